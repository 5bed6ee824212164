"""A new system is watched before it is sent to, and one switch stops all sending."""
import json

from harness import books, check_books, until
from shop import send_callback, send_order, shop_order, total_cents

SHOP, PAY = 's', 'p'


def pay(v, number, day='2026-03-02'):
    o = shop_order(number)
    o['date_created_gmt'] = f'{day}T09:20:05'
    assert send_order(v, SHOP, o)[0] == 200
    assert send_callback(v, PAY, number, total_cents(o), f'tx-{number}')[0] == 200


def modes(v):
    return {s['name']: s['mode'] for s in v.status()['systems']}


def test_observe_live_pause_resume(vayla, tmp_path):
    folder = tmp_path / 'books'
    v = vayla({'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
               'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY},
               'books': {'use': 'ledger', 'folder': str(folder)}}).start()
    assert modes(v)['books'] == 'observe'
    pay(v, 1)
    until(lambda: v.status()['types'].get('ledger.posting') == 1, 10)
    journal = folder / 'books.journal'
    assert not journal.exists() or not books(folder), 'sent while observed'
    # still so after a restart; then it begins
    v.stop()
    v.start()
    assert modes(v)['books'] == 'observe'
    v.command('system', 'live', 'books', '--since', '2026-01-01')
    until(lambda: journal.exists() and len(books(folder)) == 1, 20, 0.2)
    v.command('system', 'pause', '--all', '--reason', 'stocktaking')
    pay(v, 2)
    until(lambda: v.status()['types'].get('ledger.posting') == 1, 10)
    v.stop()
    v.start()
    assert modes(v)['books'] == 'paused'
    assert len(books(folder)) == 1
    v.command('system', 'resume', '--all')
    until(lambda: len(books(folder)) == 2, 20, 0.2)
    check_books(folder)
    assert 'live' in v.command('system', 'list').stdout
    r = v.command('system', 'pause', 'bocks', check=False)
    assert r.returncode == 4 or 'bocks' in r.stderr, r


def test_facts_before_the_date_are_not_sent(vayla, tmp_path):
    folder = tmp_path / 'books'
    v = vayla({'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
               'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY},
               'books': {'use': 'ledger', 'folder': str(folder)}}).start()
    pay(v, 1)
    v.command('system', 'live', 'books', '--since', '2099-01-01')
    pay(v, 2)
    until(lambda: v.status()['types'].get('ledger.posting') == 2, 10)
    v.settled(20)
    assert not (folder / 'books.journal').exists() or not books(folder)
    t = json.loads(v.command('order', 'show', '1', '-o', 'json').stdout)
    said = [r for r in t['records'] if r['kind'] == 'settle' and r['sub'] == 'books']
    assert said and 'live' in said[-1]['text'], said


def test_one_switch_for_all_that_is_sent(vayla, tmp_path):
    """Two systems are live and one is watched: pause --all stops the two, resume --all goes on with what waited."""
    one, two = tmp_path / 'one', tmp_path / 'two'
    v = vayla({'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
               'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY},
               'books': {'use': 'ledger', 'of': 'shop', 'mode': 'live', 'folder': str(one)},
               'archive': {'use': 'ledger', 'of': 'shop', 'folder': str(two)},
               'watched': {'use': 'ledger', 'of': 'shop', 'folder': str(tmp_path / 'three')}}).start()

    def counted():
        return [len(books(f)) if (f / 'books.journal').exists() else 0 for f in (one, two, tmp_path / 'three')]
    v.command('system', 'live', 'archive', '--since', '2026-01-01')
    pay(v, 1)
    until(lambda: counted() == [1, 1, 0], 20, 0.2)
    v.command('system', 'pause', '--all', '--reason', 'the accountant called')
    assert [modes(v)[n] for n in ('books', 'archive', 'watched')] == ['paused', 'paused', 'observe']
    for n in (2, 3):
        pay(v, n)
    until(lambda: v.status()['types'].get('ledger.posting') == 9, 10)
    v.kill('broker')
    until(lambda: v.command('status', check=False).returncode == 0, 20)
    assert [modes(v)[n] for n in ('books', 'archive', 'watched')] == ['paused', 'paused', 'observe']
    assert counted() == [1, 1, 0]
    v.command('system', 'resume', '--all')
    until(lambda: counted() == [3, 3, 0], 20, 0.2)
    assert modes(v)['watched'] == 'observe'
    check_books(one)
    check_books(two)
