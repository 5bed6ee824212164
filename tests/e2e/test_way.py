"""The way of an order, from a signed webhook to three accounting programs, by
examples whose books a person can add up."""
import json

import pytest

from harness import books, check_books, until
from shop import send_callback, send_order, shop_order, total_cents

SHOP, PAY = 'shop-secret', 'pay-secret'


@pytest.fixture
def v(vayla, tmp_path):
    made = vayla({
        'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
        'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY},
        'books': {'use': 'ledger', 'mode': 'live', 'folder': str(tmp_path / 'books')}})
    made.books = tmp_path / 'books'
    return made.start()


def show(v, word):
    return json.loads(v.command('order', 'show', word, '-o', 'json').stdout, parse_float=str)


def kinds(timeline):
    return [r['type'] for r in timeline['records'] if r['kind'] == 'event']


def booked(v, n, seconds=30):
    """Wait for n transactions; their postings."""
    until(lambda: (v.books / 'books.journal').exists() and len(books(v.books)) >= n, seconds, 0.2)
    found = books(v.books)
    assert len(found) == n, found
    check_books(v.books)
    return [dict(t['postings']) for t in found]


def test_paid_order_is_in_the_books_with_its_vat(v):
    order = shop_order(1042, lines=((2, 1950, 2550), (1, 1200, 1350)), shipping=590)
    assert send_order(v, SHOP, order)[0] == 200
    assert send_callback(v, PAY, 1042, total_cents(order), 'tx-1')[0] == 200
    (p,) = booked(v, 1)
    # 39.00 + 9.95 (9.945), 12.00 + 1.62, shipping 5.90 + 1.50 (1.5045)
    assert p == {'Assets:Clearing:Banks': 6997, 'Income:Sales:Standard': -4490, 'Liabilities:VAT:Standard': -1145,
                 'Income:Sales:Reduced': -1200, 'Liabilities:VAT:Reduced': -162}
    t = until(lambda: (lambda x: x if any(r['kind'] == 'settle' and r['verdict'] == 'ok' for r in x['records']) else None)(show(v, '1042')), 10)
    assert kinds(t) == ['woocommerce.order', 'order.placed', 'paytrail.callback', 'payment.captured', 'ledger.posting']
    assert t['subject'] == 'order:shop/1042'
    # the same by the payment's and by the shop's own number
    for word in ('tx-1', '5001042', 'order:shop/1042'):
        assert show(v, word)['subject'] == 'order:shop/1042', word
    assert {k: str(t['money'][k]) for k in ('ordered', 'captured', 'open')} == {'ordered': '69.97', 'captured': '69.97', 'open': '0.00'}
    assert t['open'] == []
    assert 'Korhonen' not in json.dumps(t)


def ended(v, how):
    """Vayla ends, in good order or not at all, and is there again."""
    if how == 'stop':
        v.stop()
        v.start()
        return
    for name in list(v.pids()):
        v.kill(name)
    until(lambda: v.command('status', check=False).returncode == 0 and v.status()['systems'], 20)


def arrives(v, order):
    """Sent until it is taken: the receiver may just be starting."""
    def sent():
        try:
            return send_order(v, SHOP, order)[0] == 200
        except OSError:
            return False
    until(sent, 20, 0.2)


@pytest.mark.parametrize('how', ['stop', 'kill'])
def test_payment_before_its_order_waits_even_over_a_restart(v, how):
    order = shop_order(7)
    assert send_callback(v, PAY, 7, total_cents(order), 'tx-7')[0] == 200
    waits = until(lambda: show(v, 'tx-7')['open'], 10)
    assert waits[0]['state'].startswith('wait') and 'order' in waits[0]['text']
    ended(v, how)
    assert until(lambda: show(v, 'tx-7')['open'], 10)
    arrives(v, order)
    (p,) = booked(v, 1)
    assert p['Assets:Clearing:Banks'] == total_cents(order)
    until(lambda: not show(v, '7')['open'], 10)


def test_the_same_again_changes_nothing(v):
    order = shop_order(8)
    for _ in range(3):
        assert send_order(v, SHOP, order)[0] == 200
        assert send_callback(v, PAY, 8, total_cents(order), 'tx-8')[0] == 200
    assert len(booked(v, 1)) == 1
    until(lambda: len(kinds(show(v, '8'))) == 5, 10)
    assert v.status()['counts']['duplicates'] == 4


def test_an_update_that_comes_before_its_creation_wins(v):
    created = shop_order(9, lines=((1, 1000, 2550),), shipping=0, modified='2026-03-02T09:00:00', status='pending')
    updated = shop_order(9, lines=((3, 1000, 2550),), shipping=0, modified='2026-03-02T09:05:00')
    assert send_order(v, SHOP, updated, topic='order.updated')[0] == 200
    assert send_order(v, SHOP, created)[0] == 200
    assert send_callback(v, PAY, 9, total_cents(updated), 'tx-9')[0] == 200
    (p,) = booked(v, 1)
    assert p == {'Assets:Clearing:Banks': 3765, 'Income:Sales:Standard': -3000, 'Liabilities:VAT:Standard': -765}


def test_partial_payments_book_the_vat_to_the_cent(v):
    order = shop_order(10, lines=((1, 999, 2550), (1, 333, 1350)), shipping=0)
    total = total_cents(order)
    assert send_order(v, SHOP, order)[0] == 200
    parts = [total // 3, total // 3, total - 2 * (total // 3)]
    for n, part in enumerate(parts):
        assert send_callback(v, PAY, 10, part, f'tx-10-{n}', alg='sha512')[0] == 200
    sums = {}
    for p in booked(v, 3):
        assert sum(p.values()) == 0
        for account, cents in p.items():
            sums[account] = sums.get(account, 0) + cents
    assert sums == {'Assets:Clearing:Banks': total, 'Income:Sales:Standard': -999, 'Liabilities:VAT:Standard': -255,
                    'Income:Sales:Reduced': -333, 'Liabilities:VAT:Reduced': -45}


def test_an_unknown_tax_class_is_parked_and_the_others_flow(v):
    strange = shop_order(11)
    strange['line_items'][0]['tax_class'] = 'luxury'
    fine = shop_order(12)
    assert send_order(v, SHOP, strange)[0] == 200
    assert send_callback(v, PAY, 11, total_cents(strange), 'tx-11')[0] == 200
    assert send_order(v, SHOP, fine)[0] == 200
    assert send_callback(v, PAY, 12, total_cents(fine), 'tx-12')[0] == 200
    (p,) = booked(v, 1)
    assert p['Assets:Clearing:Banks'] == total_cents(fine)
    item = until(lambda: [i for i in show(v, '11')['open'] if i['state'] in ('parked', 'asks', 'ask')], 10)[0]
    assert 'luxury' in item['text'] and 'vat_code' in item['text'] and 'map.yaml' in item['where']
    assert 'order:shop/11' in v.command('inbox', 'list').stdout
    # an answer frees it, and then the payment that waited for it
    v.command('inbox', 'answer', item['sub'], item['table'], item['key'], 'S')
    assert len(booked(v, 2)) == 2
    until(lambda: not show(v, '11')['open'], 10)


@pytest.mark.parametrize('how', ['stop', 'kill'])
def test_one_answer_frees_every_order_that_asked(v, how):
    orders = [shop_order(n) for n in (20, 21, 22)]
    for o in orders:
        assert send_order(v, SHOP, o)[0] == 200
        assert send_callback(v, PAY, int(o['number']), total_cents(o), f'tx-{o["number"]}', provider='uusipankki')[0] == 200
    until(lambda: v.status()['counts']['ask'] == 3, 10)
    ended(v, how)
    item = until(lambda: show(v, '20')['open'], 10)[0]
    v.command('inbox', 'answer', item['sub'], 'provider', 'uusipankki', 'online_bank')
    ended(v, how)                                 # the answer is on record, whatever has become of the rest
    assert len(booked(v, 3)) == 3
    until(lambda: v.status()['counts']['ask'] == 0, 10)
    # and it holds for who comes later
    o = shop_order(23)
    arrives(v, o)
    until(lambda: send_callback(v, PAY, 23, total_cents(o), 'tx-23', provider='uusipankki')[0] == 200, 10)
    assert len(booked(v, 4)) == 4 and v.status()['counts']['ask'] == 0


def test_a_missing_required_field_says_where(v):
    order = shop_order(30)
    del order['line_items'][0]['total']
    assert send_order(v, SHOP, order)[0] == 200
    item = until(lambda: show(v, '30')['open'], 10)[0]
    assert 'total' in item['text'] and 'map.yaml:' in item['where'], item
    v.command('inbox', 'skip', item['sub'], item['seq'], '--reason', 'a test order')
    until(lambda: not show(v, '30')['open'], 10)


def test_the_journal_verifies_and_its_index_is_what_the_log_says(v):
    for n in range(40, 60):
        o = shop_order(n)
        send_order(v, SHOP, o)
        send_callback(v, PAY, n, total_cents(o), f'tx-{n}')
    booked(v, 20)
    v.stop()
    assert v.command('verify', v.data).returncode == 0
    # losing the index costs a rebuild and nothing else
    for f in v.data.glob('index.db*'):
        f.unlink()
    v.start()
    assert v.status()['counts']['events'] == 100
    assert show(v, 'tx-45')['subject'] == 'order:shop/45'
    assert len(booked(v, 20)) == 20
