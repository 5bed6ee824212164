"""A shop's week of 2,000 orders, its parcels and its stock: by a fixed seed, by 20
random seeds, and with a process killed every second, a full disk for a minute and
the books' folder unwritable for a minute. Each prints what it counted.

VAYLA_SEED: the seed of the fixed week, and what the random ones and the killer
start from. VAYLA_ORDERS, VAYLA_SEEDS, VAYLA_SEED_ORDERS: how much. VAYLA_MINUTE:
how long a minute is, in seconds (15, so that `make fault` comes to an end).
"""
import os
import random

import pytest

from fire import PARTS, balance, facts, right, told, under_fire
from test_week import everything, week   # noqa: F401 (a fixture)

SEED = int(os.environ.get('VAYLA_SEED', '1'))
ORDERS = int(os.environ.get('VAYLA_ORDERS', '2000'))
SEEDS = int(os.environ.get('VAYLA_SEEDS', '20'))
SEED_ORDERS = int(os.environ.get('VAYLA_SEED_ORDERS', str(ORDERS)))
MINUTE = int(os.environ.get('VAYLA_MINUTE', '15'))
WORDS = ('--parallel', 16, '--far-faults', 10, '--lists', 4)


def calm(vayla, week, seed, n):     # noqa: F811
    v = vayla({})
    v.config['systems'] = everything(v)
    v.start()
    w = week(v, '--orders', n, '--seed', seed, *WORDS)
    assert len(w.orders) == n
    right(v, w, lambda: v.books)
    told(f'seed {seed}', w, v, v.books)
    return v, w


def test_a_week_and_the_same_week_under_fire(vayla, week, tmp_path):     # noqa: F811
    v, w = calm(vayla, week, SEED, ORDERS)
    want, stock, known = balance(v.books), w.stock(), facts(v)
    w.end()
    v.stop()

    v = vayla({})
    fire, w, folder = under_fire(v, week, ORDERS, SEED, MINUTE, tmp_path / 'burnt', *WORDS)
    assert balance(folder) == want and w.stock() == stock
    assert facts(v) == known
    assert all(fire.kills[p] >= 3 for p in PARTS), fire.kills
    told(f'seed {SEED}, under fire', w, v, folder,
         f"; {sum(fire.kills.values())} kills {dict(fire.kills)}, the disk full for {fire.full:.0f} s, the books closed for "
         f"{fire.closed:.0f} s, {fire.felt} messages sent again for it")


@pytest.mark.parametrize('which', range(SEEDS))
def test_a_week_of_a_random_seed(vayla, week, which):     # noqa: F811
    calm(vayla, week, random.Random(SEED * 1000 + which).randrange(1, 2 ** 31), SEED_ORDERS)
