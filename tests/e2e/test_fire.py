"""A few orders' week while a process is killed every second, the disk is full and the
books cannot be written, for seconds each: the same money, stock and parcels as
without. `make fault` does it with 2,000 orders, and with minutes."""
import os

from fire import balance, facts, right, under_fire
from test_week import everything, week   # noqa: F401 (a fixture)

ORDERS, SEED, WORDS = 60, int(os.environ.get('VAYLA_SEED', '7')), ('--far-faults', 10, '--lists', 1)


def test_a_week_comes_out_the_same(vayla, week, tmp_path):     # noqa: F811
    v = vayla({})
    v.config['systems'] = everything(v)
    v.start()
    w = week(v, '--orders', ORDERS, '--seed', SEED, *WORDS)
    right(v, w, lambda: v.books)
    want, stock, known = balance(v.books), w.stock(), facts(v)
    w.end()
    v.stop()

    v = vayla({})
    fire, w, folder = under_fire(v, week, ORDERS, SEED, 4, tmp_path / 'burnt', *WORDS)
    assert balance(folder) == want and w.stock() == stock
    assert facts(v) == known and sum(fire.kills.values()) >= 8
