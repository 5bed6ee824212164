"""A full disk: events are refused with a reason, settling goes on, nothing that was
confirmed is lost, and publishing goes on by itself when there is space again."""
import json
import os
import pathlib
import random
import subprocess
import time

import pytest
import toybroker
from harness import PROGRAM, ROOT, until
from test_crash import Shop, check, journal, mend, run_round, whole
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


def test_a_disk_too_small_to_begin_with(tmp_path):
    """16 MiB: no room for one segment. It says what is needed, and makes nothing that is half."""
    b = toybroker.Broker(tmp_path)
    data = tmp_path / 'data'
    data.mkdir()
    b.file.write_text(json.dumps(b.config))
    try:
        p = subprocess.run(['unshare', '-m', 'sh', '-c', f'mount -t tmpfs -o size=16m none "{data}" || exit 99; '
                            f'"{PROGRAM}" broker "{b.file}"; rc=$?; find "{data}" -name "*.seg"; exit $rc'],
                           cwd=ROOT, text=True, timeout=60, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError:
        pytest.skip('no unshare')
    if p.returncode == 99 or p.stdout.startswith('unshare:'):
        pytest.skip('may not mount here: ' + p.stdout.strip())
    assert p.returncode not in (0, 98) and p.returncode < 128, p.stdout
    assert 'needs 80 MiB' in p.stdout and str(data) in p.stdout and '.seg\n' not in p.stdout, p.stdout


# a call of the journal, the error it gives, and from which call on
FAILING = [('fdatasync', 'EIO', '+'), ('fdatasync', 'ENOSPC', ''), ('pwritev', 'EIO', ''), ('pwritev', 'ENOSPC', '+'),
           ('pwrite64', 'EIO', ''), ('pwrite64', 'ENOSPC', '+')]
ROUNDS = int(os.environ.get('VAYLA_DISK_ERRORS', '2'))


@pytest.mark.parametrize('call,error,on', FAILING)
def test_calls_that_fail(tmp_path, call, error, on):
    """The kernel says no: the broker refuses or ends, nobody is told of what is not on disk, and it starts again."""
    if not any(os.access(f'{d}/strace', os.X_OK) for d in ('/usr/bin', '/bin')):
        pytest.skip('no strace')
    seed = int(os.environ.get('VAYLA_SEED', '3'))
    rng = random.Random(f'{seed}{call}{error}')
    b = toybroker.Broker(tmp_path, retry={'first_ms': 10, 'most_ms': 50, 'attempts': 1000})
    shop = Shop(rng)
    try:
        b.start()
        b.client('shop', 'connector').publish(order('first'))
        assert b.stop() == 0
        for _ in range(ROUNDS):
            with open(b.log, 'ab') as log:
                b.process = subprocess.Popen(
                    ['strace', '-f', '-qq', '-o', '/dev/null', '-e', f'trace={call}', '-e',
                     f'inject={call}:error={error}:when={rng.randint(1, 30)}{on}',
                     str(PROGRAM), 'broker', str(b.file)], cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
            try:
                run_round(b, shop, rng, False, 3, 100)
            except (Silence, No, AssertionError):
                b.kill()                # refused, or it ended: what was said counts
            for x in b.clients:
                x.close()
            b.clients = []
        b.start(wait=False)
        run_round(b, shop, rng, True)
        mend(b.client('mender', 'operator'), rng, True)
        run_round(b, shop, rng, True)
        op = b.client('checker', 'operator')
        until(lambda: op.ask('status')['counts']['ready'] == 0)
        check(journal(op), shop.confirmed)
        whole(b)
    finally:
        b.close()
