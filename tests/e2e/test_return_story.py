"""One customer's return, from the carrier's scan to the credit note and the stock:
a real Vayla between a shop, a payment provider, a carrier, a warehouse and the
books, and nobody who does anything in it."""
import json
import time

import pytest

from harness import books, cents, check_books, until
from shop import send_callback, send_order, shop_order, total_cents
from test_parcels import PUSH, pushed, scan
from test_refunds import paid_back, send_refund, shop_refund
from test_stock import ShopFar, held, names, product, put
from vyclient import Client

SHOP, PAY = 'shop-secret', 'pay-secret'
OUT, BACK = 'JJFI64574900000104201', 'JJFI64574900000104202'


@pytest.fixture
def far():
    made = ShopFar()
    yield made
    made.stop()


def show(v, word='1042'):
    return json.loads(v.command('order', 'show', word, '-o', 'json').stdout, parse_float=str)


def events(v, type):
    return [r for r in show(v)['records'] if r['kind'] == 'event' and r['type'] == type]


def status(v, parcel):
    told = [r['data'] for r in events(v, 'shipment.status_changed') if r['data']['tracking_number'] == parcel]
    return (told[-1]['direction'], told[-1]['status']) if told else None


def balance(v):
    sums = {}
    for t in books(v.books):
        assert sum(c for _, c in t['postings']) == 0, t
        for account, amount in t['postings']:
            sums[account] = sums.get(account, 0) + amount
    return {a: c for a, c in sums.items() if c}


def booked(v, n):
    until(lambda: (v.books / 'books.journal').exists() and len(books(v.books)) == n, 20, 0.2)
    check_books(v.books)
    return balance(v)


def acts(v):
    """What people did: every ACTION of the journal but the rulesets taken into use."""
    op = Client(v.bus, 'story', 'operator')
    try:
        op.hello()
        seqs = range(1, op.ask('status')['journal']['next'])
        found = [op.ask('event', seq=s) for s in seqs]
    finally:
        op.close()
    return [r for r in found if r['kind'] == 'action' and r['act'] != 'ruleset']


def test_a_return_without_a_step(vayla, tmp_path, far):
    lists, morning = tmp_path / 'lists', int(time.time()) - 5000
    v = vayla({
        'shop': {'use': 'woocommerce', 'mode': 'live', 'local': True, 'url': far.url, 'key': 'ck', 'secret': 'cs', 'reserve': 9999, 'webhook_secret': SHOP},
        'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY},
        'parcels': {'use': 'pakettikauppa', 'of': 'shop', 'secret': PUSH, 'returns': 'R'},
        'depot': {'use': 'stock-csv', 'folder': str(lists), 'stable': '1s'},
        'books': {'use': 'ledger', 'mode': 'live', 'folder': str(tmp_path / 'books')}})
    v.books = tmp_path / 'books'
    v.start()

    def order(when, **more):
        made = shop_order(1042, modified=f'2026-03-{when}', **{k: more[k] for k in more if k not in ('reduced', 'restocked')})
        return held(made, reduced=more.get('reduced'), restocked=more.get('restocked'))

    def counted(n, day):
        put(lists, f'day-{day}.csv', [f'SKU-1;{n}'], when=morning + day)
        until(lambda: f'day-{day}.csv' in names(lists / 'done'), 20)

    # the warehouse counts ten mugs, and the shop sells two of them
    assert send_order(v, SHOP, product(61, 'SKU-1'), 'product.updated')[0] == 200
    counted(10, 1)
    until(lambda: far.stock == {'61': [10]}, 20)
    sold = order('02T09:21:10', reduced=2)
    assert send_order(v, SHOP, sold)[0] == 200
    assert send_callback(v, PAY, 1042, total_cents(sold), 'tx-1042')[0] == 200
    whole = {'Assets:Clearing:Banks': 5635, 'Income:Sales:Standard': -4490, 'Liabilities:VAT:Standard': -1145}
    assert booked(v, 1) == whole
    counted(10, 2)                                # they are still there, and sold
    until(lambda: far.stock == {'61': [10, 8]}, 20)

    # out they go, and arrive
    assert send_order(v, SHOP, order('03T08:00:00', reduced=2, status='completed'), 'order.updated')[0] == 200
    pushed(v, scan(OUT, '68', '2026-03-03 10:00:00', reference='1042'), scan(OUT, '31', '2026-03-04 03:00:00', reference='1042'),
           scan(OUT, '22', '2026-03-05 16:40:00', reference='1042'))
    until(lambda: status(v, OUT) == ('out', 'delivered'), 20, 0.3)
    counted(8, 3)
    until(lambda: far.stock == {'61': [10, 8, 8]}, 20)

    # one comes back: the carrier scans the label for returns; handing it over is no delivery
    pushed(v, scan(BACK, '68', '2026-03-08 12:00:00', reference='R1042'), scan(BACK, '31', '2026-03-09 02:00:00', reference='R1042'),
           scan(BACK, '22', '2026-03-10 08:15:00', reference='R1042'))
    until(lambda: status(v, BACK) == ('return', 'returned'), 20, 0.3)
    assert [r['data']['status'] for r in events(v, 'shipment.status_changed') if r['data']['tracking_number'] == BACK][-1] != 'delivered'
    assert show(v, BACK)['subject'] == 'order:shop/1042' and booked(v, 1) == whole

    # the shop takes it back and puts it on the shelf; the provider says that the money went
    note = shop_refund(sold, 5090, [(1, 1, 1950, 498)])
    assert send_order(v, SHOP, order('10T09:02:00', reduced=1, restocked=1, status='completed', refunds=[
        {'id': 5090, 'reason': 'Liian pieni', 'total': '-24.48'}]), 'order.updated')[0] == 200
    send_refund(v, note)
    until(lambda: events(v, 'credit_note.issued'), 20, 0.3)
    until(lambda: show(v)['money']['reason'] == 'credited by the shop; the money has not gone back', 20, 0.3)
    paid_back(v, 1042, 2448, 'rf-1042')
    assert booked(v, 3) == {'Assets:Clearing:Banks': 5635 - 2448, 'Income:Sales:Standard': -(4490 - 1950), 'Liabilities:VAT:Standard': -(1145 - 498)}
    credit = [t for t in books(v.books) if 'credit-note' in t['tags']]
    assert [sorted(t['postings']) for t in credit] == [sorted([
        ('Income:Sales:Standard', 1950), ('Liabilities:VAT:Standard', 498), ('Liabilities:Customer-prepayments', -2448)])]

    # the warehouse has unpacked it
    counted(9, 4)
    until(lambda: far.stock == {'61': [10, 8, 8, 9]}, 20)

    # all of it stands in one timeline, and nothing is left to do
    def told():
        t = show(v)
        return t['open'] == [] and t['money']['reason'] == 'settled' and t
    t = until(told, 20, 0.3)
    assert {k: cents(t['money'][k]) for k in ('ordered', 'credited', 'captured', 'refunded', 'open')} == {
        'ordered': 5635, 'credited': 2448, 'captured': 5635, 'refunded': 2448, 'open': 0}
    way = [r['type'] for r in t['records'] if r['kind'] == 'event']
    first = {type: way.index(type) for type in way}
    assert first['order.placed'] < first['stock.reserved'] < first['payment.captured'] < \
        first['shipment.status_changed'] < first['stock.released'] < first['credit_note.issued'] < first['refund.completed']
    assert way.count('shipment.status_changed') == 6 and way.count('shipment.requested') == 2
    assert (way.count('ledger.posting'), way.count('credit_note.issued'), way.count('refund.completed')) == (3, 1, 1)
    [released] = [r for r in t['records'] if r.get('type') == 'stock.released']
    assert (released['data']['sku'], released['data']['quantity']) == ('SKU-1', 1)
    assert len([r for r in t['records'] if r['kind'] == 'settle' and r['sub'] == 'books' and r['verdict'] == 'ok']) == 3
    # and the article's way stands in its own
    def numbers():
        return [(d['stock_quantity'], d.get('reserved', 0)) for d in
                (r['data'] for r in show(v, 'SKU-1')['records'] if r.get('type') == 'woocommerce.stock')]
    until(lambda: numbers() == [(10, 0), (8, 2), (8, 0), (9, 0)], 20, 0.3)
    for word in ('1042', 'SKU-1'):
        print(v.command('order', 'show', word).stdout)

    # what people did: nothing
    assert acts(v) == [] and 'Nothing needs a person' in v.command('inbox', 'list').stdout
    c = v.status()['counts']
    assert (c['ask'], c['parked'], c['wait'], c['retry'], c['behind']) == (0, 0, 0, 0, 0)
