"""A standby: what is confirmed is on both disks, byte for byte; whichever of the two is killed,
and whenever, nothing that was confirmed is lost, and the old primary stays out."""
import os
import random
import signal
import subprocess
import threading
import time

import toybroker
from harness import PROGRAM, ROOT, until
from toybroker import order
from vyclient import No, Silence

ROUNDS = int(os.environ.get('VAYLA_STANDBY_ROUNDS', '4'))


class Standby(toybroker.Broker):
    """`vayla standby` in a folder of its own; after promote() a broker."""

    def __init__(self, folder, primary):
        folder.mkdir()
        super().__init__(folder)
        self.config['broker']['follow'] = primary.ship
        self.primary = primary
        vayla('key', 'new', 'standby', '--role', 'standby', '--out', folder / 'data' / 'access',
              '--config', primary.file)

    def follow(self):
        import json
        self.file.write_text(json.dumps(self.config, indent=1))
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen([str(PROGRAM), 'standby', str(self.file)], cwd=ROOT,
                                            stdout=log, stderr=log)
        return self

    def promote(self):
        return vayla('promote', self.file, '--yes', '--reason', 'the test')


def vayla(*words, status=0):
    r = subprocess.run([str(PROGRAM), *map(str, words)], cwd=ROOT, text=True, timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert r.returncode == status, r.stdout
    return r.stdout


def pair(tmp_path, away='wait', patience='1s'):
    (tmp_path / 'a').mkdir()
    a = toybroker.Broker(tmp_path / 'a')
    a.ship = f'ipc://{tmp_path}/a/ship.sock'
    a.config['broker']['standby'] = {'listen': a.ship, 'away': away, 'patience': patience}
    a.start()
    b = Standby(tmp_path / 'b', a).follow()
    return a, b


def state(op):
    return op.ask('status')['standby']['state']


def together(a):
    op = a.client('watch', 'operator')
    until(lambda: state(op) == 'together', 20)
    return op


def same_bytes(a, b):
    """Is the standby's journal a beginning of the primary's? How long it is."""
    total = 0
    for seg in sorted((b.folder / 'data' / 'log').glob('*.seg')):
        mine = seg.read_bytes()
        theirs = (a.folder / 'data' / 'log' / seg.name).read_bytes()
        assert theirs[:len(mine)] == mine, seg.name
        total += len(mine)
    return total


class Load(threading.Thread):
    """Publishes until told to stop; `confirmed` are the ids that got their PUBOK."""

    def __init__(self, b, name):
        super().__init__(daemon=True)
        self.b, self.name, self.confirmed, self.refused, self.stop = b, name, [], 0, False
        self.c = b.client('shop', 'connector')

    def run(self):
        i = 0
        while not self.stop:
            i += 1
            number = f'{self.name}-{i}'
            try:
                self.c.publish(order(number), seconds=2)
                self.confirmed.append(f'order:{number}:1')
            except No as no:
                assert no.cls == 'RETRY', no
                self.refused += 1
                time.sleep(0.01)
            except Silence:
                if self.b.process.poll() is not None:
                    return


def everything(b):
    op = b.client('reader', 'operator')
    ids = set()
    for seq in range(1, op.ask('status')['journal']['next']):
        r = op.ask('event', seq=seq, unseal=True)
        if r['kind'] == 'event':
            assert not r.get('erased')
            ids.add(r['id'])
    return ids


def test_both_disks_have_the_same_bytes_and_the_copy_takes_over(tmp_path):
    a, b = pair(tmp_path)
    try:
        op = together(a)
        assert op.ask('status')['journal']['survives'] == 'machine'
        c = a.client('shop', 'connector')
        for i in range(30):
            c.publish(order(i))
        assert 'together' in vayla('status', '--config', a.file)
        n = op.ask('status')['journal']['next']
        until(lambda: state(op) == 'together')
        assert same_bytes(a, b) > 5000
        # a copy is nobody's journal, and is not promoted while it follows
        assert 'copy of a standby' in vayla('broker', b.file, status=1)
        assert 'stop it first' in vayla('promote', b.file, '--yes', status=1)
        assert 'add --yes' in vayla('promote', b.file, status=2)
        a.kill()
        assert b.stop() == 0
        assert f'up to record {n}' in b.promote()       # and the act of promoting
        b.start()
        ids = everything(b)
        assert all(f'order:{i}:1' in ids for i in range(30))
        c, books = b.client('shop', 'connector'), b.client('books', 'connector')
        new = b.client('cli', 'operator')
        known = new.ask('status')['counts']['events']
        c.publish(order(3))                             # what is known is known
        assert new.ask('status')['counts']['events'] == known
        c.publish(order('fresh'))
        books.subscribe(window=100)
        assert len({books.delivery()[1]['subject'] for _ in range(31)}) == 31
        act = new.ask('event', seq=n)
        assert act['act'] == 'promote' and act['reason'] == 'the test'
        assert new.ask('status')['epoch'] > 2 ** 32
        # the old primary finds out, and stays out
        a.config['broker']['standby']['away'] = 'alone'
        a.start(wait=False)
        assert a.process.wait(20) != 0
        assert 'was promoted' in a.text()
        a.start(wait=False)
        assert a.process.wait(20) != 0 and 'not the primary' in a.text()
        assert b.stop() == 0
        assert 'are whole' in vayla('verify', b.folder / 'data')
    finally:
        a.close()
        b.close()


def test_away_and_wait(tmp_path):
    a, b = pair(tmp_path)
    try:
        op = together(a)
        c = a.client('shop', 'connector')
        c.publish(order(1))
        b.process.send_signal(signal.SIGSTOP)
        try:
            c.publish(order(2), seconds=10)
            raise AssertionError('confirmed without the standby')
        except No as no:
            assert no.cls == 'RETRY' and 'standby is away' in no.text
        assert state(op) == 'held'                       # it can be asked all the while
        assert 'held' in vayla('status', '--config', a.file)
        try:
            c.publish(order(3))
            raise AssertionError('confirmed without the standby')
        except No as no:
            assert no.code == 'BUSY'
        b.process.send_signal(signal.SIGCONT)
        until(lambda: state(op) == 'together', 20)
        c.publish(order(2), order(3))
        assert op.ask('status')['types']['toyshop.order'] == 3
        assert same_bytes(a, b) > 0
    finally:
        a.close()
        b.close()


def test_away_and_alone_says_so(tmp_path):
    a, b = pair(tmp_path, away='alone')
    try:
        op = together(a)
        c = a.client('shop', 'connector')
        c.publish(order(1))
        b.kill()
        for i in range(2, 6):
            c.publish(order(i), seconds=10)
        s = op.ask('status')
        assert s['standby']['state'] == 'alone' and s['standby']['alone'] >= 4
        assert s['journal']['survives'] == 'power loss' and 'going on ALONE' in a.text()
        b.follow()
        until(lambda: state(op) == 'together', 20)
        c.publish(order(6))
        until(lambda: same_bytes(a, b) > 0)
        # who is no standby gets nothing
        b.kill()
        access = b.folder / 'data' / 'access'
        vayla('key', 'new', 'spy', '--role', 'operator', '--out', tmp_path / 'spy', '--config', a.file)
        (access / 'standby.key').write_bytes((tmp_path / 'spy' / 'spy.key').read_bytes())
        b.follow()
        assert b.process.wait(20) != 0 and 'not of the role standby' in b.text()
    finally:
        a.close()
        b.close()


def test_a_journal_with_turns_of_its_own_is_no_copy(tmp_path):
    a, b = pair(tmp_path, away='alone')
    try:
        together(a)
        a.client('shop', 'connector').publish(order(1))
        b.kill()
        other = toybroker.Broker(tmp_path / 'b')        # a broker wrote in the copy
        (b.folder / 'data' / 'standby').unlink()
        other.start()
        other.client('shop', 'connector').publish(order('own'))
        assert other.stop() == 0
        other.close()
        b.follow()
        assert b.process.wait(20) != 0 and 'turns of its own' in b.text()
    finally:
        a.close()
        b.close()


def test_kill_either_at_random_then_promote(tmp_path):
    """Either is killed at random moments while orders come in; at last the primary for good."""
    seed = int(os.environ.get('VAYLA_SEED', str(random.randrange(10 ** 6))))
    rng = random.Random(seed)
    print('seed', seed)
    a, b = pair(tmp_path)
    confirmed = []
    try:
        for i in range(ROUNDS):
            together(a)
            load = Load(a, f'r{i}')
            load.start()
            until(lambda: load.confirmed, 20)
            time.sleep(rng.uniform(0.05, 0.6))
            last = i == ROUNDS - 1
            victim = a if last or rng.random() < 0.5 else b
            victim.kill()
            time.sleep(rng.uniform(0.0, 0.3))
            if last:
                b.process.send_signal(rng.choice([signal.SIGKILL, signal.SIGTERM]))
                b.process.wait(20)
            load.stop = True
            load.join(30)
            confirmed += load.confirmed
            if victim is b:
                b.follow()
            elif not last:
                a.start()
        same_bytes(a, b)
        b.promote()
        b.start()
        ids = everything(b)
        missing = [i for i in confirmed if i not in ids]
        assert not missing, (seed, missing[:5], len(confirmed))
        assert len(confirmed) > 5 * ROUNDS
        b.client('shop', 'connector').publish(order('fresh'))
        assert b.stop() == 0
        assert 'are whole' in vayla('verify', b.folder / 'data')
    finally:
        a.close()
        b.close()


def test_the_copy_follows_what_is_let_go_of(tmp_path):
    """Segments that the primary trims are trimmed on the standby, too, and it takes over all the same."""
    (tmp_path / 'a').mkdir()
    a = toybroker.Broker(tmp_path / 'a')
    a.ship = f'ipc://{tmp_path}/a/ship.sock'
    a.config['broker']['standby'] = {'listen': a.ship, 'away': 'wait', 'patience': '2s'}
    a.start()
    b = Standby(tmp_path / 'b', a).follow()
    try:
        together(a)
        c, books = a.client('shop', 'connector'), a.client('books', 'connector')
        books.subscribe(window=500)
        for i in range(160):
            c.publish(order(i, ref='x' * 900_000), seconds=60)
        stuck = books.delivery()[0]['seq']
        books.settle(stuck, 'reject', text='x')
        for _ in range(159):
            books.settle(books.delivery()[0]['seq'])
        assert a.stop() == 0
        a.config['broker']['retention'] = {'size': '1MiB'}
        a.start()
        op = together(a)
        until(lambda: op.ask('status')['retention']['trimmed'] >= 1, 30)
        a.client('shop', 'connector').publish(order('more'))

        def followed():
            mine, theirs = ({p.name: p.stat().st_size for p in (x.folder / 'data' / 'log').glob('*.seg')} for x in (b, a))
            last = max(theirs)
            return mine.keys() == theirs.keys() and all(mine[n] == theirs[n] for n in theirs if n != last)
        until(followed, 30)
        assert same_bytes(a, b) > 0
        a.kill()
        assert b.stop() == 0
        b.promote()
        b.start()
        counts = b.client('cli', 'operator').ask('status')['counts']
        assert counts['parked'] == 1 and counts['ready'] + counts['retry'] == 1     # the stuck one, and `more`
        assert b.stop() == 0
        assert 'are whole' in vayla('verify', b.folder / 'data')
    finally:
        a.close()
        b.close()
