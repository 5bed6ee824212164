"""The power fails: a disk under the broker (tests/fault/disk.c) that forgets a random,
torn part of what was not synced, under log, keys, rulesets and SQLite alike; and a
checker that knows only what was confirmed (BUS.md, section 6).

VAYLA_SCHEDULES: how many failures; VAYLA_SEED: the first one's seed.
"""
import os
import random
import shutil
import subprocess
import time

import pytest
import toybroker
from harness import ROOT, until
from test_crash import Shop, check, journal, mend, run_round, whole
from vyclient import No, Silence

SCHEDULES = int(os.environ.get('VAYLA_SCHEDULES', '40'))
SEED = int(os.environ.get('VAYLA_SEED', '1'))
LIVES = 40              # of one journal, before it is checked whole and another begins


@pytest.fixture(scope='module')
def disk(tmp_path_factory):
    if any(s in os.environ.get('VAYLA_BUILD', '') for s in ('address', 'thread')):
        pytest.skip('a sanitizer stands where this disk would')
    if shutil.which('gcc') is None:
        pytest.skip('no gcc')
    so = tmp_path_factory.mktemp('disk') / 'disk.so'
    subprocess.run(['gcc', '-std=c11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Werror', '-fPIC', '-shared', '-o', str(so),
                    str(ROOT / 'tests/fault/disk.c')], check=True)
    return so


class Place:
    """One journal on the disk that forgets, and the shop that writes to it."""

    def __init__(self, folder, disk, seed):
        (folder / 'data').mkdir(parents=True)
        (folder / 'keep').mkdir()
        self.folder, self.disk, self.rng = folder, disk, random.Random(seed)
        self.b = toybroker.Broker(folder, retry={'first_ms': 10, 'most_ms': 50, 'attempts': 1000})
        self.shop = Shop(self.rng)

    def life(self, at, **env):
        """A broker until the power fails at its at-th call, or a kill -9 soon after."""
        b = self.b
        b.start(wait=False, env={
            'LD_PRELOAD': str(self.disk), 'VAYLA_DISK_DIR': str(self.folder / 'data'),
            'VAYLA_DISK_KEEP': str(self.folder / 'keep'), 'VAYLA_DISK_CRASH': str(at),
            'VAYLA_DISK_SEED': str(self.rng.getrandbits(60)), **env})
        try:
            run_round(b, self.shop, self.rng, False, 1.5, 150 if at < 200 else 400)
        except (Silence, No, AssertionError):
            assert b.process.poll() is not None, b.text()
        code = b.process.wait()
        assert code == -9, f'ended with {code}:\n{b.text()}'
        for x in b.clients:
            x.close()
        b.clients = []
        for f in (self.folder / 'keep').iterdir():
            f.unlink()

    def finish(self):
        """All is mended and done; how many were confirmed, and how many events there are."""
        b, rng = self.b, self.rng
        b.start(wait=False)
        run_round(b, self.shop, rng, True)
        assert not self.shop.pending
        mend(b.client('checker', 'operator'), rng, True)
        run_round(b, self.shop, rng, True)
        op = b.client('checker', 'operator')
        until(lambda: op.ask('status')['counts']['ready'] == 0)
        # what was being mapped at two failures is parked, and passed over by who mends
        events, _ = check(journal(op), self.shop.confirmed, True)
        whole(b)
        return len(self.shop.confirmed), events


def lives(folder, disk, seed, n):
    p = Place(folder, disk, seed)
    try:
        for _ in range(n):
            # early ones hit opening and recovery, late ones what is written behind
            p.life(p.rng.randint(1, p.rng.choice((10, 30, 30, 60, 60, 60, 200, 1000))))
        return p.finish()
    except AssertionError as e:
        raise AssertionError(f'seed {seed}: {e}') from e
    finally:
        p.b.close()


def test_power_failures(tmp_path, disk):
    began, confirmed, events, done = time.monotonic(), 0, 0, 0
    while done < SCHEDULES:
        n, seed = min(LIVES, SCHEDULES - done), SEED + done
        folder = tmp_path / f'j{seed}'
        c, e = lives(folder, disk, seed, n)
        shutil.rmtree(folder)
        confirmed, events, done = confirmed + c, events + e, done + n
        print(f'seed {seed}: {done} power failures in {time.monotonic() - began:.0f} s, {confirmed} confirmed, '
              f'{events} events, 0 violations', flush=True)
    assert confirmed > SCHEDULES / 4, 'the schedules did nothing'


def test_a_disk_that_lies_is_found_out(tmp_path, disk):
    """The checker itself: with syncs that keep nothing, the loss is seen."""
    for seed in range(1, 30):
        p = Place(tmp_path / f'j{seed}', disk, seed)
        try:
            p.life(300, VAYLA_DISK_LIES='1')
            try:
                p.b.start()
                check(journal(p.b.client('checker', 'operator')), p.shop.confirmed)
            except (AssertionError, No):
                return
        finally:
            p.b.close()
    raise AssertionError('no loss was seen')
