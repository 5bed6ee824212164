"""fire - a week that must come out the same: what holds of it in the end, and what
may happen to it meanwhile: a process killed every second, a disk that is full, a
folder of books that cannot be written.

The small disk is a tmpfs in a mount namespace of its own, the closed books are a
bind mount made read-only there; who may not mount cannot run this.
"""
import errno
import os
import pathlib
import random
import shutil
import subprocess
import time
from collections import Counter

import pytest

from harness import ROOT, books, cents, until
from test_day import agree
from test_week import at_rest, equation, everything, next_list, to_sell, wrong
from vyclient import Client

DISK = '700m'
PARTS = ('broker', 'receiver', 'shop', 'depot', 'books')


def told(name, w, v, folder, more=''):
    c, n = v.status()['counts'], w.counts
    print(f"\n{name}: {len(w.orders)} orders, {n['sent']} messages ({n['late']} late, {n['again']} again, {n['lost']} lost), "
          f"{c['events']} events, {len(books(folder))} transactions, {n['credits']} refunds, {n['parcels']} parcels, "
          f"paid {sum(cents(o['captured']) for o in w.orders) / 100:.2f} EUR, "
          f"{sum(cents(o['by_card']) for o in w.orders) / 100:.2f} of it by gift card{more}")


def balance(folder):
    sums = Counter()
    for t in books(folder):
        for account, n in t['postings']:
            sums[account] += n
    return {a: n for a, n in sums.items() if n}


def asked(v, w):
    """What no webhook told is asked for: the shop's process begins anew, as often as
    its shop has a bad moment, until every order is known."""
    bus = Client(v.bus, 'asked', 'operator', access=v.data / 'access')
    bus.hello()
    end = time.monotonic() + 300
    while True:
        v.kill('shop')
        soon, bad = time.monotonic() + 10, True
        while bad is not None and time.monotonic() < soon:
            time.sleep(1)
            bad = next((b for o in w.orders if (b := wrong(bus, o))), None)
        if bad is None:
            break
        assert time.monotonic() < end, bad
    bus.close()


def right(v, w, folder):
    """All that must hold in the end."""
    until(lambda: v.command('status', check=False, timeout=30).returncode == 0, 120, 0.5)
    asked(v, w)
    next_list(v, w)
    at_rest(v, 900)
    equation(v, w.orders)
    folder = folder()
    agree(w.orders, folder, revised=True)
    assert w.stock() == to_sell(w)
    return folder


PASSING = ('woocommerce.order', 'shipment.status_changed', 'stock.reserved')


def facts(v):
    """All that the journal holds, by (source, type, subject, id); none stands there
    twice, a revision is the one after the last. Without the catalogue, which the
    shop tells as often as it is asked, and without states that others follow: which
    of them are seen is a matter of when."""
    bus, found = Client(v.bus, 'facts', 'operator', access=v.data / 'access'), {}
    bus.hello()
    n = bus.ask('status')['journal']['next']
    time.sleep(1.2)     # the index is at most a second behind
    for seq in range(1, n):
        e = bus.ask('event', seq=seq)
        if not e or e['kind'] != 'event' or 'product' in e['type']:
            continue
        key = e['source'], e['type'], e['subject'], e['id']
        assert e['revision'] == found.get(key, 0) + 1, f'{key} stands twice'
        found[key] = e['revision']
    bus.close()
    return {key for key in found if key[1] not in PASSING}


class Disk:
    """A small disk of its own for journal, index and books, that can be filled, and
    whose books can be closed to writing: mounts in a namespace of their own."""

    def __init__(self, v):
        self.v, self.at = v, v.folder / 'disk'
        self.at.mkdir()
        v.books = self.at / 'books'
        v.config['broker']['data'] = str(self.at / 'data')
        script = (f'mount -t tmpfs -o size={DISK} none "{self.at}" && mkdir "{v.books}" && '
                  f'mount --bind "{v.books}" "{v.books}" && exec "$@"')
        self.wrap = ('unshare', '-m', 'sh', '-c', script, 'sh')
        if subprocess.run([*self.wrap, 'true'], stderr=subprocess.DEVNULL).returncode != 0:
            pytest.skip('may not mount here: no disk of its own to fill')

    def inside(self, path):
        return pathlib.Path(f'/proc/{self.v.process.pid}/root') / str(path).lstrip('/')

    def fill(self):
        with open(self.inside(self.at / 'ballast'), 'wb', buffering=0) as f:
            try:
                while True:
                    f.write(bytes(65536))
            except OSError as e:
                assert e.errno == errno.ENOSPC

    def topped_up(self):
        """What was given back meanwhile is taken again."""
        try:
            with open(self.inside(self.at / 'ballast'), 'ab', buffering=0) as f:
                while True:
                    f.write(bytes(4096))
        except OSError as e:
            assert e.errno == errno.ENOSPC

    def free(self):
        os.unlink(self.inside(self.at / 'ballast'))

    def books_are(self, how):
        words = ['nsenter', '-t', str(self.v.process.pid), '-m', 'mount', '-o', f'remount,{how},bind', str(self.v.books)]

        def done():
            # who has a file open for writing would keep it open, and the kernel us out
            self.v.kill('books')
            return subprocess.run(words, stderr=subprocess.DEVNULL).returncode == 0
        until(done, 30)

    def copy(self, to):
        shutil.copytree(self.inside(self.v.books), to)
        return to


class Fire:
    """Kills a process a second, fills the disk for a minute, closes the books for a
    minute; `minute`: how many seconds that is. It burns until the week is played."""

    def __init__(self, v, disk, w, seed, minute):
        self.v, self.disk, self.w, self.minute = v, disk, w, minute
        self.rnd, self.kills = random.Random(seed), Counter()
        self.full = self.closed = 0

    def burn(self, seconds, each=lambda: None):
        begun = time.monotonic()
        while time.monotonic() < begun + seconds:
            time.sleep(1)
            each()
            running = sorted(set(self.v.pids()) & set(PARTS))
            if running:
                name = self.rnd.choice(running)
                self.kills[name] += self.v.kill(name) is not None
        return time.monotonic() - begun

    def run(self):
        self.burn(self.minute / 2)
        self.disk.fill()
        self.full = self.burn(self.minute, self.disk.topped_up)
        self.disk.free()
        self.burn(self.minute / 2)
        self.disk.books_are('ro')
        self.closed = self.burn(self.minute)
        self.disk.books_are('rw')
        end = time.monotonic() + 600
        while not self.w.played():
            self.burn(1)
            assert time.monotonic() < end, self.v.log.read_text()[-3000:]
        self.felt = sum(m['tries'] - 1 for m in self.w.sent if m['tries'])
        return self


def under_fire(v, week, orders, seed, minute, to, *words):
    """A week under fire until all is right; (the fire, the week, a copy of the books)."""
    disk = Disk(v)
    v.config['systems'] = everything(v)
    v.start(wrap=disk.wrap)
    v.data = disk.inside(disk.at / 'data')
    v.within = ('nsenter', '-t', str(v.process.pid), '-m', f'--wd={ROOT}', '--')
    w = week(v, '--orders', orders, '--seed', seed, *words, '--seconds', 4 * minute, '--patience', 600, seconds=0)
    fire = Fire(v, disk, w, seed, minute).run()
    folder = right(v, w, lambda: disk.copy(to))
    said = v.log.read_text(errors='replace')
    assert 'No space left' in said and 'Read-only' in said, 'neither disk nor books were felt'
    assert fire.felt > 0, 'no message had to be sent again'
    return fire, w, folder
