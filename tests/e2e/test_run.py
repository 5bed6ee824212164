"""The supervisor: everything comes up, what crashes comes back, all of it ends
with it, in order, however it ends."""
import os
import pathlib
import signal
import subprocess
import time

import pytest

from harness import PROGRAM, ROOT, books, check_books, until
from shop import send_callback, send_order, shop_order, total_cents

SHOP, PAY = 'shop-secret', 'pay-secret'


@pytest.fixture
def v(vayla, tmp_path):
    made = vayla({
        'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
        'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY},
        'books': {'use': 'ledger', 'mode': 'live', 'folder': str(tmp_path / 'books')}})
    made.books = tmp_path / 'books'
    return made


def alive(pid):
    try:
        return pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


def one_order(v, number, seconds=30):
    """Through everything there is, once."""
    order = shop_order(number)

    def taken(call):
        try:
            return call()[0] == 200
        except OSError:
            return False
    until(lambda: taken(lambda: send_order(v, SHOP, order)), seconds)
    until(lambda: taken(lambda: send_callback(v, PAY, number, total_cents(order), f'tx-{number}')), seconds)
    until(lambda: (v.books / 'books.journal').exists()
          and any(t['tags'].get('order') == str(number) for t in books(v.books)), seconds, 0.2)


def test_only_what_has_something_to_do_runs(v):
    v.start()
    assert set(v.pids()) == {'broker', 'receiver', 'books'}
    assert v.stop() == 0


def test_it_ends_in_order(v):
    v.start()
    pids = v.pids()
    assert v.stop() == 0
    assert not [name for name, pid in pids.items() if alive(pid)]
    said = [line for line in v.log.read_text().splitlines() if 'ending' in line]
    who = [w for line in said for w in ('by=run', 'by=receiver', 'by=books', 'by=broker') if w in line]
    assert who[:3] == ['by=run', 'by=receiver', 'by=books'], said


def test_what_crashes_comes_back(v):
    v.start()
    one_order(v, 1)
    for n, name in enumerate(('books', 'receiver', 'broker'), 2):
        was = v.kill(name)
        assert was
        until(lambda: v.pids().get(name) not in (None, was), 20)
        one_order(v, n)
    assert {t['tags']['order'] for t in books(v.books)} == {'1', '2', '3', '4'} and len(books(v.books)) == 4
    check_books(v.books)
    assert v.stop() == 0


def test_all_end_with_it_even_when_it_is_killed(v):
    v.start()
    one_order(v, 1)
    pids = v.pids()
    assert len(pids) == 3
    v.process.kill()
    v.process.wait()
    until(lambda: not any(alive(pid) for pid in pids.values()), 20)
    v.start()
    one_order(v, 2)
    assert len(books(v.books)) == 2


def test_a_folder_that_cannot_be_written_ends_it_with_a_line(v):
    v.books.write_text('a file')
    v.write()
    r = subprocess.run([str(PROGRAM), 'run', str(v.file)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=60)
    assert r.returncode != 0 and str(v.books) in r.stdout, r.stdout
    assert 'Vayla is ready' not in r.stdout


def test_it_hands_on_what_a_terminal_sends(v):
    """Ctrl-C goes to the whole foreground group: the children are not in it."""
    v.start()
    for pid in v.pids().values():
        assert os.getpgid(pid) != os.getpgid(v.process.pid)
    v.process.send_signal(signal.SIGINT)
    end = time.monotonic() + 30
    while v.process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    assert v.process.poll() == 0
