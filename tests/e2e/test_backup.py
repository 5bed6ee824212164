"""`vayla backup` while everything runs: what was confirmed before it began is in the copy,
and a start on the copy goes on from there."""
import json
import shutil
import subprocess
import threading
import time

import pytest
import toybroker
from harness import PROGRAM, ROOT, until
from toybroker import order
from vyclient import No, Silence

BIG = 'x' * 900_000             # 75 orders fill a segment


def vayla(b, *words, status=0):
    r = subprocess.run([str(PROGRAM), *map(str, words)], cwd=ROOT, text=True, timeout=120,
                       env={'VAYLA_CONFIG': str(b.file), 'PATH': '/usr/bin:/bin'},
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert r.returncode == status, r.stdout
    return r.stdout


def copied(text):
    """(segments, of them written to, KiB copied)"""
    words = text.split()
    return tuple(int(words[words.index(w.split()[0], 4) - 1]) for w in ('segments,', 'of', 'KiB'))


class Load(threading.Thread):
    """Publishes orders until the broker is gone; `confirmed` are their ids."""

    def __init__(self, b, name='shop'):
        super().__init__(daemon=True)
        self.c, self.confirmed, self.stop = b.client(name, 'connector'), [], False

    def run(self):
        i = 0
        while not self.stop:
            i += 1
            try:
                self.c.publish(order(f'l{i}'), seconds=3)
            except (Silence, No):
                return
            self.confirmed.append(f'order:l{i}:1')


def restored(tmp_path, copy):
    """A broker on a copy of the copy."""
    folder = tmp_path / 'restored'
    folder.mkdir()
    shutil.copytree(copy, folder / 'data')
    r = toybroker.Broker(folder)
    r.start()
    return r


def everything(b):
    op = b.client('reader', 'operator')
    found = {}
    for seq in range(1, op.ask('status')['journal']['next']):
        r = op.ask('event', seq=seq, unseal=True)
        if r['kind'] == 'event':
            found[r['id']] = r
    return found


def test_a_backup_under_load_then_kill_then_restore(tmp_path):
    b, r = toybroker.Broker(tmp_path), None
    copy = tmp_path / 'copy'
    try:
        b.start()
        load = Load(b)
        load.start()
        books = b.client('books', 'connector')
        books.subscribe(window=100)
        for _ in range(20):
            books.settle(books.delivery()[0]['seq'])
        until(lambda: len(load.confirmed) > 20)
        before = list(load.confirmed)
        vayla(b, 'backup', copy)
        assert load.is_alive(), 'the broker went on'
        b.kill()
        load.join()
        assert 'are whole' in vayla(b, 'verify', copy)
        r = restored(tmp_path, copy)
        there = everything(r)
        missing = [i for i in before if i not in there]
        assert not missing
        # fresh events flow, and what was known is known
        c, books = r.client('shop', 'connector'), r.client('books', 'connector')
        op = r.client('cli', 'operator')
        n = op.ask('status')['counts']['events']
        c.publish(order('l1'))
        assert op.ask('status')['counts']['events'] == n
        assert op.ask('status')['counts']['settled'] >= 20
        c.publish(order('fresh'))
        books.subscribe(window=1000)
        subjects = set()
        while 'note:books/fresh' not in subjects:
            h, e = books.delivery()
            subjects.add(e['subject'])
            books.settle(h['seq'])
        assert 'note:books/l1' not in subjects, 'it was settled before the backup'
    finally:
        b.close()
        if r:
            r.close()


def test_only_what_is_new_is_copied(tmp_path):
    b, r = toybroker.Broker(tmp_path), None
    copy, keys = tmp_path / 'copy', tmp_path / 'keys'
    try:
        b.start()
        c = b.client('shop', 'connector')
        for i in range(80):
            c.publish(order(f'n{i}', ref=BIG), seconds=30)
        segments, fresh, kib = copied(vayla(b, 'backup', copy, '--keys', keys))
        assert segments >= 2 and fresh == segments and kib > 65536
        assert (keys / 'keys').exists() and not (copy / 'keys').exists()
        assert copied(vayla(b, 'backup', copy, '--keys', keys))[1] == 0
        # a run that is killed leaves the copy whole, and the next one goes on
        for i in range(80, 160):
            c.publish(order(f'n{i}', ref=BIG), seconds=30)
        p = subprocess.Popen([str(PROGRAM), 'backup', str(copy), '--keys', str(keys), '--config', str(b.file)],
                             cwd=ROOT, stdout=subprocess.DEVNULL)
        time.sleep(0.03)
        p.kill()
        p.wait()
        c.publish(order('last'))
        again, fresh, _ = copied(vayla(b, 'backup', copy, '--keys', keys))
        assert again > segments and fresh < again, 'closed segments are copied once'
        assert b.stop() == 0
        log, mine = b.folder / 'data' / 'log', copy / 'log'
        names = sorted(p.name for p in log.glob('*.seg'))
        assert names == sorted(p.name for p in mine.glob('*.seg'))
        for name in names:
            size = (mine / name).stat().st_size
            assert (log / name).read_bytes()[:size] == (mine / name).read_bytes()
        # without a broker the journal itself is read
        assert copied(vayla(b, 'backup', copy, '--keys', keys))[0] == again
        # without its keys it does not start
        (tmp_path / 'restored').mkdir()
        shutil.copytree(copy, tmp_path / 'restored' / 'data')
        r = toybroker.Broker(tmp_path / 'restored')
        r.start(wait=False)
        assert r.process.wait(20) != 0 and 'keys is missing' in r.text()
        shutil.copy(keys / 'keys', tmp_path / 'restored' / 'data' / 'keys')
        r.start()
        events = r.client('cli', 'operator').ask('status')['counts']['events']
        assert events >= 161
    finally:
        b.close()
        if r:
            r.close()


def test_a_copy_that_is_cut_is_found(tmp_path):
    b = toybroker.Broker(tmp_path)
    copy = tmp_path / 'copy'
    try:
        b.start()
        c = b.client('shop', 'connector')
        for i in range(20):
            c.publish(order(f'n{i}'))
        vayla(b, 'backup', copy)
        assert b.stop() == 0
        seg, = (copy / 'log').glob('*.seg')
        with open(seg, 'r+b') as f:
            f.truncate(seg.stat().st_size // 2 // 8 * 8)
        said = vayla(b, 'verify', copy, status=1)
        assert 'were backed up and are not there' in said
        # another journal's backup is not written over
        (tmp_path / 'other').mkdir()
        other = toybroker.Broker(tmp_path / 'other')
        try:
            other.start()
            assert 'another journal' in vayla(other, 'backup', copy, status=1)
        finally:
            other.close()
        assert 'name another' in vayla(b, 'backup', tmp_path / 'data', status=2)
    finally:
        b.close()


def test_the_note_is_for_people_too(tmp_path):
    b = toybroker.Broker(tmp_path)
    try:
        b.start()
        b.client('shop', 'connector').publish(order(1))
        vayla(b, 'backup', tmp_path / 'copy')
        note = (tmp_path / 'copy' / 'backup').read_text().split('\n')
        assert note[0] == 'vayla backup 1' and note[-2] == 'keys here'
        assert json.loads(b.file.read_text())
    finally:
        b.close()


if __name__ == '__main__':
    pytest.main([__file__])
