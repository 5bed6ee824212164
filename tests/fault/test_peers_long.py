"""Hostile peers and a bad network for longer: each attack VAYLA_HOSTILE_SECONDS (60) by a seed that is printed,
and the proxy VAYLA_PROXY_SECONDS."""
import os
import random

import pytest
import toybroker
from hostile import CONSUMERS, PRODUCERS, attack, fresh, rss
from test_proxy import far, test_orders_over_a_bad_network  # noqa: F401 - run here with a longer time

SECONDS = float(os.environ.get('VAYLA_HOSTILE_SECONDS', '60'))
SEED = int(os.environ.get('VAYLA_SEED', '1'))


@pytest.fixture
def broker(tmp_path):
    b = toybroker.Broker(tmp_path).start()
    yield b
    b.close()


@pytest.mark.parametrize('how', CONSUMERS + PRODUCERS, ids=lambda f: f.__name__)
def test_an_attack(broker, how):
    n, most = attack(broker, how, SECONDS, SEED, peers=4)
    print(f'seed {SEED}, {SECONDS:.0f} s: {n} events beside it, at most {most} MiB')


def test_all_of_them_one_after_the_other_on_one_broker(broker):
    rng, most = random.Random(SEED), 0
    order = rng.sample(CONSUMERS + PRODUCERS, len(CONSUMERS + PRODUCERS))
    for i, how in enumerate(order):
        n, m = attack(broker, how, SECONDS / 10, SEED + i, peers=rng.randrange(1, 5))
        most = max(most, m)
    fresh(broker, 2 * 10 ** 7)
    print(f'seed {SEED}: {", ".join(f.__name__ for f in order)}: at most {most} MiB, {rss(broker)} at the end')
