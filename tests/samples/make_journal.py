#!/usr/bin/python3
"""make_journal.py NAME - a journal of 20 events of today's form, to be committed
as tests/samples/journal-NAME.tar.gz; every later version opens it and verifies it
(tests/e2e/test_old_journals.py). Run from the root after `make`, once for each
form that users may have on their disks; never make one anew."""
import os
import pathlib
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests' / 'e2e'))
from harness import Vayla, books, until  # noqa: E402
from shop import send_callback, send_order, shop_order, total_cents  # noqa: E402


def trimmed(path):
    """A segment without the zeros it was set aside with."""
    size = path.stat().st_size
    with open(path, 'r+b') as f:
        data = f.read().rstrip(b'\0')
        f.truncate((len(data) + 8 + 7) // 8 * 8 if size > len(data) else size)


def main():
    out = ROOT / 'tests' / 'samples' / f'journal-{sys.argv[1]}.tar.gz'
    assert not out.exists(), f'{out} exists'
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        v = Vayla(folder, {
            'shop': {'use': 'woocommerce', 'webhook_secret': 'old-shop'},
            'payments': {'use': 'paytrail', 'of': 'shop', 'secret': 'old-pay'},
            'books': {'use': 'ledger', 'mode': 'live', 'folder': str(folder / 'books')}})
        v.start()
        for n in (1, 2, 3, 4):
            o = shop_order(n)
            assert send_order(v, 'old-shop', o)[0] == 200
            assert send_callback(v, 'old-pay', n, total_cents(o), f'tx-{n}')[0] == 200
        until(lambda: (v.books / 'books.journal').exists() and len(books(v.books)) == 4)
        v.settled()
        assert v.status()['counts']['events'] == 20
        v.stop()
        for junk in ('console.link', 'lock', 'index.db', 'index.db-wal', 'index.db-shm', 'guard'):
            (v.data / junk).unlink(missing_ok=True)
        for name in ('reserve', 'spare'):
            (v.data / 'log' / name).unlink(missing_ok=True)
        for segment in (v.data / 'log').glob('*.seg'):
            trimmed(segment)

        def nobody(info):
            info.uid = info.gid = 0
            info.uname = info.gname = ''
            return info
        with tarfile.open(out, 'w:gz') as tar:
            tar.add(v.data, 'data', filter=nobody)
    print(out, os.path.getsize(out), 'bytes')


main()
