"""A mapping of two types that joins both means "when both are there", whichever comes
last, and says it once."""
import json
import shutil

from harness import ROOT, until
from shop import send_callback, send_order, shop_order, total_cents

SHOP, PAY = 'shop-secret', 'pay-secret'

PACK = """pack: both/1
title: An order and its payment
"""
PAID = """map: both.paid/1
from: [order.placed, payment.captured]
join:
  order: {last: order.placed, absent: skip}
  money: {last: payment.captured, absent: skip}
emit:
  - type: order.paid
    id: "paid"
    data:
      number: order.number
      paid_at: money.captured_at
      currency: order.currency
      source_status: "paid"
tests:
  - name: both
    given: {data: {}}
    with: {order: {number: "7", currency: EUR}, money: {captured_at: "2026-03-01T10:00:00Z"}}
    event: {subject: "order:7"}
    expect: {number: "7"}
  - name: only one
    given: {data: {}}
    with: {order: {number: "7", currency: EUR}}
    event: {subject: "order:7"}
    skips: true
"""


def paid(v, number):
    records = json.loads(v.command('order', 'show', number, '-o', 'json').stdout)['records']
    return [r for r in records if r.get('type') == 'order.paid']


def test_whichever_comes_last(vayla, tmp_path):
    packs = tmp_path / 'packs'
    shutil.copytree(ROOT / 'mappings', packs, ignore=shutil.ignore_patterns('engine'))
    (packs / 'both').mkdir()
    (packs / 'both' / 'pack.yaml').write_text(PACK)
    (packs / 'both' / 'paid.map.yaml').write_text(PAID)
    v = vayla({'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
               'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY},
               'watch': {'use': 'both', 'of': 'shop', 'mode': 'live'}}, {'packs': str(packs)}).start()
    assert v.command('map', 'test', packs / 'both').returncode == 0
    first, second = shop_order(1), shop_order(2)
    assert send_order(v, SHOP, first)[0] == 200
    assert send_callback(v, PAY, 1, total_cents(first), 'tx-1')[0] == 200
    assert send_callback(v, PAY, 2, total_cents(second), 'tx-2')[0] == 200
    assert send_order(v, SHOP, second)[0] == 200
    for n in (1, 2):
        found = until(lambda: paid(v, n), 10)
        assert len(found) == 1, found
    # told again, they say nothing new; an order without money says nothing at all
    assert send_order(v, SHOP, shop_order(1, modified='2026-03-02T09:30:00', customer_note='Ring'), topic='order.updated')[0] == 200
    assert send_order(v, SHOP, shop_order(3))[0] == 200
    until(lambda: v.status()['types'].get('order.placed', 0) == 4, 10)
    assert [len(paid(v, n)) for n in (1, 2, 3)] == [1, 1, 0]
    assert v.status()['counts']['parked'] == 0
    v.stop()
    assert v.command('verify', v.data).returncode == 0
