"""What the first three packs decide, seen in a running Vayla: statuses, updates
of one second, orders thrown away, more money than ordered, orders that change
after they were paid, a merchant's own accounts."""
import json
import subprocess

import pytest

from harness import PROGRAM, ROOT, books, check_books, until
from shop import request, send_callback, send_order, shop_order, total_cents

SHOP, PAY = 'shop-secret', 'pay-secret'
OWN = {'clearing': {'rows': {'card': 'Assets:Bank:Cards'}},
       'vat': {'rows': {'R': ['Income:Food', 'Liabilities:VAT:Food']}}}


@pytest.fixture
def v(vayla, tmp_path):
    made = vayla({
        'shop': {'use': 'woocommerce', 'webhook_secret': SHOP, 'webhook_secret_old': 'the former one'},
        'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY},
        'books': {'use': 'ledger', 'mode': 'live', 'folder': str(tmp_path / 'books'), 'tables': OWN}})
    made.books = tmp_path / 'books'
    return made.start()


def show(v, word):
    return json.loads(v.command('order', 'show', str(word), '-o', 'json').stdout)


def events(v, word, kind):
    return [r for r in show(v, word)['records'] if r['kind'] == 'event' and r['type'] == kind]


def order(v, *args, system='shop', secret=SHOP, topic='order.updated', **more):
    o = shop_order(*args, **more)
    assert send_order(v, secret, o, topic, system)[0] == 200
    return o


def pay(v, number, cents, transaction, **more):
    assert send_callback(v, PAY, number, cents, transaction, **more)[0] == 200


def booked(v, n):
    """Postings of the n transactions that there are to be, in their order."""
    until(lambda: (v.books / 'books.journal').exists() and len(books(v.books)) >= n, 30, 0.2)
    v.settled()
    found = [dict(t['postings']) for t in books(v.books)]
    assert len(found) == n, found
    check_books(v.books)
    return found


def sums(found):
    total = {}
    for p in found:
        for account, cents in p.items():
            total[account] = total.get(account, 0) + cents
    return {a: c for a, c in total.items() if c}


def test_updates_within_one_second_are_all_kept_and_the_last_counts(v):
    for note in ('', 'Soita', 'Soita kahdesti'):
        order(v, 50, customer_note=note)
    until(lambda: [e['revision'] for e in events(v, 50, 'order.placed')] == [1, 2, 3], 10)
    # one that was true a second earlier comes late: kept as it came, no revision
    order(v, 50, customer_note='vanha', modified='2026-03-02T09:21:09')
    until(lambda: len(events(v, 50, 'woocommerce.order')) == 4, 10)
    assert len(events(v, 50, 'order.placed')) == 3


def test_what_each_status_becomes(v):
    order(v, 60, status='checkout-draft', date_created_gmt=None, date_modified_gmt=None)
    until(lambda: events(v, 60, 'woocommerce.order'), 10)
    assert not events(v, 60, 'order.placed')
    for number, status in ((61, 'pending'), (62, 'on-hold'), (63, 'failed'), (64, 'refunded'), (65, 'packed-by-a-plugin')):
        order(v, number, status=status)
        until(lambda: [e['data']['source_status'] for e in events(v, number, 'order.placed')] == [status], 10)
        assert show(v, number)['money']['open'] == show(v, number)['money']['ordered']
    order(v, 66)
    order(v, 66, status='cancelled', modified='2026-03-02T10:00:00')
    order(v, 66, status='cancelled', modified='2026-03-02T10:00:01')
    until(lambda: [e['data']['source_status'] for e in events(v, 66, 'order.placed')] == ['processing', 'cancelled', 'cancelled'], 10)
    assert len(events(v, 66, 'order.cancelled')) == 1


def test_an_order_thrown_away_is_cancelled_and_an_unknown_one_is_nothing(v):
    o = order(v, 70)
    assert send_order(v, SHOP, json.dumps({'id': o['id']}).encode(), 'order.deleted')[0] == 200
    until(lambda: [e['data']['reason'] for e in events(v, 70, 'order.cancelled')] == ['deleted in the shop'], 10)
    assert send_order(v, SHOP, b'{"id": 404404}', 'order.deleted')[0] == 200
    until(lambda: v.status()['counts']['events'] == 5, 10)
    assert v.status()['counts']['parked'] == 0


def test_the_former_secret_still_opens_and_any_other_does_not(v):
    order(v, 80, secret='the former one')
    assert send_order(v, 'another', shop_order(81))[0] == 401
    assert v.status()['counts']['events'] == 2


def test_a_ping_is_answered_and_nothing_else_gets_in_that_way(v):
    for kind in ('application/x-www-form-urlencoded', 'application/x-www-form-urlencoded; charset=UTF-8'):
        body = json.dumps(shop_order(82)).encode()
        for said in (b'webhook_id=7', body):
            assert request(f'{v.url}/in/shop', 'POST', said, {'Content-Type': kind, 'X-WC-Webhook-Topic': 'order.created'})[0] == 200
    assert v.status()['counts']['events'] == 0


def test_more_money_than_ordered_is_owed_to_the_customer(v):
    o = order(v, 90, lines=((1, 1000, 2550),), shipping=0)
    pay(v, 90, 1255, 'tx-90-1', provider='creditcard')
    pay(v, 90, 1255, 'tx-90-2', provider='creditcard')
    pay(v, 90, 45, 'tx-90-3')
    assert total_cents(o) == 1255
    assert booked(v, 3)[1] == {'Assets:Bank:Cards': 1255, 'Liabilities:Customer-prepayments': -1255}
    assert sums(booked(v, 3)) == {
        'Assets:Bank:Cards': 2510, 'Assets:Clearing:Banks': 45, 'Income:Sales:Standard': -1000, 'Liabilities:VAT:Standard': -255,
        'Liabilities:Customer-prepayments': -1300}


def test_an_order_that_changes_after_it_was_paid_is_booked_anew(v):
    order(v, 100, lines=((1, 1000, 2550), (1, 1000, 1350)), shipping=0)
    pay(v, 100, 2390, 'tx-100', provider='creditcard')
    (first,) = booked(v, 1)
    assert first == {'Assets:Bank:Cards': 2390, 'Income:Sales:Standard': -1000, 'Liabilities:VAT:Standard': -255,
                     'Income:Food': -1000, 'Liabilities:VAT:Food': -135}
    # a status and a note change nothing in the books
    order(v, 100, lines=((1, 1000, 2550), (1, 1000, 1350)), shipping=0, status='completed', customer_note='kiitos',
          modified='2026-03-02T09:30:00')
    v.settled()
    assert len(booked(v, 1)) == 1
    order(v, 100, lines=((1, 1000, 2550),), shipping=0, modified='2026-03-02T09:40:00')
    found = booked(v, 3)
    assert found[1] == {a: -c for a, c in first.items()}
    assert sums(found) == {'Assets:Bank:Cards': 2390, 'Income:Sales:Standard': -1000, 'Liabilities:VAT:Standard': -255,
                           'Liabilities:Customer-prepayments': -1135}


def test_money_that_cannot_be_booked_right_is_parked(v):
    order(v, 110, currency='SEK')
    pay(v, 110, 5000, 'tx-110')
    # a fee given as a discount, in a class of its own: its VAT code is negative
    order(v, 111, lines=((1, 1000, 1350),), shipping=0, total='6.35', total_tax='0.35', fee_lines=[
        {'id': 9, 'name': 'Alennus', 'tax_class': '', 'total': '-4.00', 'total_tax': '-1.00', 'taxes': []}])
    pay(v, 111, 635, 'tx-111')
    for number in (110, 111):
        (item,) = until(lambda: show(v, number)['open'], 10)
        assert item['sub'] == 'map:books/ledger.payment-captured' and 'check' in item['path'], item
    order(v, 112)
    pay(v, 112, 100, 'tx-112')
    booked(v, 1)


def test_promised_then_paid_is_one_posting_and_a_failure_none(v):
    o = order(v, 120, transaction_id='tx-120-2')
    # the shop's word of the payment finds the order before the provider's does
    until(lambda: show(v, 'tx-120-2')['subject'] == 'order:shop/120', 10)
    total = total_cents(o)
    pay(v, 120, total, 'tx-120-1', status='fail', provider='nordea')
    pay(v, 120, total, 'tx-120-2', status='pending', provider='collectorb2c')
    pay(v, 120, total, 'tx-120-2', status='ok', provider='collectorb2c')
    (p,) = booked(v, 1)
    assert p['Assets:Clearing:Invoices'] == total
    assert show(v, 'tx-120-2')['subject'] == 'order:shop/120'
    until(lambda: [r['type'] for r in show(v, 120)['records'] if r['kind'] == 'event' and r['type'].startswith('payment.')]
          == ['payment.failed', 'payment.authorized', 'payment.captured'], 10)


def test_books_hold_no_names(v):
    o = order(v, 130, customer_note='Korhosen terveiset')
    pay(v, 130, total_cents(o), 'tx-130')
    booked(v, 1)
    for file in v.books.iterdir():
        text = file.read_bytes()
        for word in (b'Korho', b'Aino', b'aino', b'Satama', b'3585'):
            assert word not in text, (file, word)


def test_every_mapping_loads_without_a_warning_and_passes_its_own_tests():
    files = sorted(str(f.relative_to(ROOT)) for f in (ROOT / 'mappings').glob('*/*.map.yaml'))
    assert len(files) >= 6
    for verb in ('check', 'test'):
        r = subprocess.run([str(PROGRAM), 'map', verb, *files], cwd=ROOT, text=True, timeout=60,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert r.returncode == 0, r.stdout
        assert 'warning:' not in r.stdout, r.stdout
