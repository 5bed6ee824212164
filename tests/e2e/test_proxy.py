"""A network that delays, cuts and swallows, between the bus and our own connectors on another machine: what
was answered with 200 is in the books, once."""
import itertools
import json
import os
import random
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import PROGRAM, ROOT, books, check_books, free_port, until
from proxy import Proxy
from shop import send_callback, send_order, shop_order, total_cents

SHOP, PAY = 'shop-secret', 'pay-secret'
SECONDS = float(os.environ.get('VAYLA_PROXY_SECONDS', '6'))


@pytest.fixture
def far(vayla, tmp_path):
    """A broker here, receiver and books behind a proxy, with the keys they were given."""
    port = free_port()
    v = vayla({'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
               'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY},
               'books': {'use': 'ledger', 'mode': 'live', 'folder': str(tmp_path / 'books')}},
              broker={'bus': [f'ipc://{tmp_path}/v0/bus.sock', f'tcp://127.0.0.1:{port}']})
    v.books = tmp_path / 'books'
    v.write()
    v.proxy = Proxy(port)
    processes, logs = [], []

    def run(*words):
        log = open(tmp_path / f'{words[1] if len(words) > 2 else words[0]}.log', 'ab')
        logs.append(log)
        processes.append(subprocess.Popen([str(PROGRAM), *map(str, words)], cwd=ROOT, stdout=log, stderr=log))
    run('broker', v.file)
    until(lambda: v.command('status', check=False).returncode == 0, 20)
    away = tmp_path / 'away'
    for user, role in (('receiver', 'receiver'), ('books', 'connector')):
        v.command('key', 'new', user, '--role', role, '--out', away)
    v.config['broker'].update(bus=f'tcp://127.0.0.1:{v.proxy.port}', access=str(away))
    other = tmp_path / 'away.yaml'
    other.write_text(json.dumps(v.config))
    time.sleep(2)               # the broker looks at the keys once a second
    run('connector', 'receiver', other)
    run('connector', 'books', other)
    yield v
    for p in reversed(processes):
        p.terminate()
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
    v.proxy.stop()
    for log in logs:
        log.close()


def taken(call):
    try:
        return call()[0] == 200
    except OSError:
        return False


def worst(proxy, rng, stop):
    """One fault after the other."""
    while not stop.wait(rng.uniform(0.1, 0.8)):
        what = rng.choice(('delay', 'cut', 'cut', 'hole', 'refuse'))
        if what == 'cut':
            proxy.cut()
        elif what == 'delay':
            proxy.delay = rng.uniform(0.01, 0.2)
        else:
            setattr(proxy, what, True)
            stop.wait(rng.uniform(0.2, 1.5))
            proxy.hole = proxy.refuse = False
            if what == 'hole':
                proxy.cut()     # what was swallowed does not come back out of a connection
        if rng.random() < 0.5:
            proxy.delay = 0.0
    proxy.delay, proxy.hole, proxy.refuse = 0.0, False, False


def test_orders_over_a_bad_network(far):
    seed = int(os.environ.get('VAYLA_SEED', '1'))
    rng, stop = random.Random(seed), threading.Event()
    trouble = threading.Thread(target=worst, args=(far.proxy, rng, stop))
    until(lambda: taken(lambda: send_order(far, SHOP, shop_order(1))), 30)
    trouble.start()
    numbers, tries, end = itertools.count(2), [], time.monotonic() + SECONDS

    def customer(_):
        while time.monotonic() < end:
            number = next(numbers)
            order = shop_order(number)
            for send in (lambda: send_order(far, SHOP, order),
                         lambda: send_callback(far, PAY, number, total_cents(order), f'tx-{number}')):
                while not taken(send):
                    assert time.monotonic() < end + 60, 'never taken'
                    tries.append(number)
                    time.sleep(0.05)
    try:
        with ThreadPoolExecutor(8) as crowd:
            list(crowd.map(customer, range(8)))
    finally:
        stop.set()
        trouble.join(10)
    # the network is well again: a fresh order goes all the way
    number = next(numbers)
    order = shop_order(number)
    until(lambda: taken(lambda: send_order(far, SHOP, order)), 60)
    until(lambda: taken(lambda: send_callback(far, PAY, number, total_cents(order), f'tx-{number}')), 60)
    until(lambda: (far.books / 'books.journal').exists() and
          len({t['tags'].get('order') for t in books(far.books)}) == number - 1, 90, 0.3)      # the first was not paid
    far.settled(60)
    print(f'seed {seed}: {number} orders, {len(tries)} sent again, {far.proxy.cuts} connections cut, {far.proxy.passed // 1024} KiB passed')
    assert far.proxy.cuts > 2
    check_books(far.books)
    assert len(books(far.books)) == number - 1, 'booked twice'
