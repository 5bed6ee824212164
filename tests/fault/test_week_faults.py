"""A shop's week of 2,000 orders: by a fixed seed, by 20 random seeds, and with a
process killed every second. Each prints what it counted.

VAYLA_SEED: the seed of the fixed week, and what the random ones and the killer
start from. VAYLA_ORDERS, VAYLA_SEEDS, VAYLA_SEED_ORDERS: how much.
"""
import json
import os
import random
import subprocess
import time
from collections import Counter

import pytest

from harness import PROGRAM, ROOT, books, cents
from test_day import agree, systems
from test_week import BEGINS, equation, week

SEED = int(os.environ.get('VAYLA_SEED', '1'))
ORDERS = int(os.environ.get('VAYLA_ORDERS', '2000'))
SEEDS = int(os.environ.get('VAYLA_SEEDS', '20'))
SEED_ORDERS = int(os.environ.get('VAYLA_SEED_ORDERS', str(ORDERS)))
PARTS = ('broker', 'receiver', 'books')


def told(name, orders, counts, v):
    c = v.status()['counts']
    assert c['parked'] == c['ask'] == c['wait'] == c['ready'] == c['retry'] == 0, c
    print(f"\n{name}: {len(orders)} orders, {counts['sent']} messages ({counts['late']} late, {counts['again']} again), "
          f"{c['events']} events, {len(books(v.books))} transactions, "
          f"{sum(len(o['credits']) for o in orders)} refunds, paid {sum(cents(o['captured']) for o in orders) / 100:.2f} EUR"
          + (f", {counts['kills']} kills, {counts['felt']} messages sent again for it" if counts['kills'] else ''))


def balance(folder):
    sums = Counter()
    for t in books(folder):
        for account, n in t['postings']:
            sums[account] += n
    return {a: n for a, n in sums.items() if n}


def calm(vayla, tmp_path, seed, n):
    v = vayla({})
    v.config['systems'] = systems(v.books)
    v.start()
    orders, counts = week(v, tmp_path, '--orders', n, '--seed', seed, '--parallel', 16)
    v.settled(300)
    agree(orders, v.books, revised=True)
    return v, orders, counts


def test_a_week_and_the_same_week_under_fire(vayla, tmp_path):
    v, orders, counts = calm(vayla, tmp_path, SEED, ORDERS)
    assert len(orders) == ORDERS
    equation(v, orders)
    told(f'seed {SEED}', orders, counts, v)
    want = balance(v.books)
    v.stop()

    w, rnd = vayla({}), random.Random(SEED)
    w.config['systems'] = systems(w.books)
    w.start()
    log = tmp_path / 'fire.log'
    out = open(tmp_path / 'fire.out', 'wb')
    sim = subprocess.Popen([str(PROGRAM), 'sim', 'woocommerce', 'paytrail', '--config', str(w.file), '--log', str(log), '--week',
                            '--first', '1001', '--at', BEGINS, '--orders', str(ORDERS), '--seed', str(SEED), '--parallel', '16',
                            '--seconds', '90', '--patience', '300', '--quiet'], cwd=ROOT, stdout=out, stderr=out)
    try:
        kills, end = Counter(), time.monotonic() + 600
        while sim.poll() is None and time.monotonic() < end:
            time.sleep(1)
            name = rnd.choice(PARTS)
            kills[name] += w.kill(name) is not None
        assert sim.poll() == 0, (tmp_path / 'fire.out').read_text()[-3000:] + w.log.read_text()[-3000:]
    finally:
        if sim.poll() is None:
            sim.kill()
            sim.wait()
        out.close()
    fired = [json.loads(x) for x in log.read_text().splitlines()]
    assert len(fired) == ORDERS and all(kills[p] >= 5 for p in PARTS), kills
    sent = [m for o in fired for m in o['messages']]
    felt = sum(m['tries'] - 1 for m in sent)
    assert felt > 0, 'no kill was felt'
    end = time.monotonic() + 120
    while w.command('status', check=False, timeout=30).returncode != 0:
        assert time.monotonic() < end, w.log.read_text()[-3000:]
        time.sleep(0.5)
    w.settled(300)
    agree(fired, w.books, revised=True)
    equation(w, fired)
    assert balance(w.books) == want
    told(f'seed {SEED}, {dict(kills)}', fired,
         Counter(sent=len(sent), late=sum(m['late'] for m in sent), again=sum(m['copy'] > 0 for m in sent), kills=sum(kills.values()),
                 felt=felt), w)


@pytest.mark.parametrize('which', range(SEEDS))
def test_a_week_of_a_random_seed(vayla, tmp_path, which):
    seed = random.Random(SEED * 1000 + which).randrange(1, 2 ** 31)
    v, orders, counts = calm(vayla, tmp_path, seed, SEED_ORDERS)
    assert len(orders) == SEED_ORDERS
    equation(v, orders)
    told(f'seed {seed}', orders, counts, v)
