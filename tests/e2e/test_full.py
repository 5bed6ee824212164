"""A full disk: events are refused with a reason, settling goes on, nothing that was
confirmed is lost, and publishing goes on by itself when there is space again."""
import json
import os
import pathlib
import subprocess
import time

import pytest
import toybroker
from harness import PROGRAM, ROOT, until
from toybroker import order
from vyclient import No, Silence

DISK = '220m'           # three segments of 64 MiB, and a little for the rest
BALLAST = 20            # MiB that are freed again


@pytest.fixture
def broker(tmp_path):
    """A broker whose data folder is a small disk of its own."""
    b = toybroker.Broker(tmp_path)
    data = tmp_path / 'data'
    data.mkdir()
    b.config['broker']['access'] = str(tmp_path / 'access')     # where we can see it
    b.file.write_text(json.dumps(b.config))
    script = (f'mount -t tmpfs -o size={DISK} none "{data}" || exit 99; '
              f'dd if=/dev/zero of="{data}/ballast" bs=1M count={BALLAST} 2>/dev/null; '
              f'exec "{PROGRAM}" broker "{b.file}"')
    with open(b.log, 'ab') as log:
        try:
            b.process = subprocess.Popen(['unshare', '-m', 'sh', '-c', script], cwd=ROOT, stdout=log, stderr=log)
        except OSError:
            pytest.skip('no unshare')
    time.sleep(0.3)
    if b.process.poll() is not None and ('mount' in b.text() or 'unshare' in b.text()):
        pytest.skip('may not mount here: ' + b.text().strip())
    b.client('probe', 'operator').bye()
    yield b
    b.close()


def test_disk_full(broker):
    b = broker
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    op = b.client('cli', 'operator')
    books.subscribe(window=1000)
    confirmed, no, big = [], None, 'x' * 400_000
    for i in range(1000):
        try:
            c.publish(order(f'n{i}', ref=big), seconds=30)
            confirmed.append(f'order:n{i}:1')
        except No as refused:
            no = refused
            break
    assert no is not None and no.code == 'FULL' and no.cls == 'RETRY' and 'full' in no.text
    assert len(confirmed) > 100
    # what is out can be settled, and a person can act
    seqs = [books.delivery()[0]['seq'] for _ in range(20)]
    for seq in seqs:
        books.settle(seq)
    op.act('pause', system='books')
    op.act('resume', system='books')
    with pytest.raises(No) as again:
        c.publish(order('later', ref=big))
    assert again.value.code == 'FULL'
    # every confirmed one is there
    s = op.ask('status')
    assert s['types']['toyshop.order'] == len(confirmed) and s['counts']['settled'] == 20
    os.unlink(pathlib.Path(f'/proc/{b.process.pid}/root') / str(b.folder / 'data/ballast').lstrip('/'))

    def goes_on():
        try:
            return c.publish(order('after'), seconds=30)
        except No as full:
            assert full.code == 'FULL'
            return None
    until(goes_on, 30, 0.3)


def test_a_sync_that_fails_ends_the_broker_unconfirmed(tmp_path):
    """fdatasync says EIO once the journal is in use: nobody is told anything."""
    if not any(os.access(f'{d}/strace', os.X_OK) for d in ('/usr/bin', '/bin')):
        pytest.skip('no strace')
    b = toybroker.Broker(tmp_path)
    b.start()
    b.client('shop', 'connector').publish(order(1))
    assert b.stop() == 0
    log = open(b.log, 'ab')
    b.process = subprocess.Popen(
        ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=fdatasync', '-e',
         'inject=fdatasync:error=EIO:when=3+', str(PROGRAM), 'broker', str(b.file)], cwd=ROOT, stdout=log, stderr=log)
    try:
        c = b.client('shop', 'connector')
        answered = 0
        try:
            for i in range(2, 20):
                c.publish(order(i), seconds=3)
                answered = i
        except Silence:
            pass
        assert b.process.wait(20) not in (0, None)
        assert answered < 19, 'no sync failed'
        b.start()
        op = b.client('cli', 'operator')
        kept = op.ask('status')['counts']['events'] // 3
        assert kept >= max(answered, 1)
    finally:
        b.close()
