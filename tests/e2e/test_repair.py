"""What webhooks lost, polling finds: a shop whose webhooks are lost, doubled and
late, asked over its REST API; every order once, whoever is killed meanwhile."""
import json
import random
import time

from farside import Answer, Far
from harness import books, check_books, until
from shop import request, send_callback, send_order, shop_order, total_cents

SHOP, PAY = 'shop-secret', 'pay-secret'


class Shop:
    """Orders and products as the shop's REST API lists them."""

    def __init__(self, far):
        self.far, self.orders, self.refused, self.lies = far, {}, 0, 0
        far.always = self.answer

    def put(self, order):
        with self.far.lock:
            self.orders[order['id']] = order

    def answer(self, q):
        if q['headers'].get('authorization') != 'Basic Y2tfMTpjc18y':
            self.refused += 1
            return Answer(401, {'code': 'woocommerce_rest_cannot_view'})
        if q['path'] != '/wp-json/wc/v3/orders':
            return Answer(200, [])
        if self.lies:
            self.lies -= 1
            return Answer(200, {'status': 'FAILED', 'message': 'not now'})
        since, size, page = q['query']['modified_after'].rstrip('Z'), int(q['query']['per_page']), int(q['query']['page'])
        assert q['query']['dates_are_gmt'] == 'true' and q['query']['order'] == 'asc'
        with self.far.lock:
            found = sorted((o for o in self.orders.values() if o['date_modified_gmt'] > since),
                           key=lambda o: (o['date_modified_gmt'], o['id']))
        return Answer(200, found[(page - 1) * size:page * size])


def gmt(at):
    return time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at))


def test_orders_that_webhooks_lost(vayla, tmp_path):
    far = Far()
    try:
        shop, rnd = Shop(far), random.Random(7)
        v = vayla({
            'shop': {'use': 'woocommerce', 'webhook_secret': SHOP, 'local': True, 'url': far.url, 'key': 'ck_1', 'secret': 'cs_2'},
            'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY},
            'books': {'use': 'ledger', 'mode': 'live', 'folder': str(tmp_path / 'books')}})
        v.start()
        totals = {}
        for number in range(2000, 2240):
            order = shop_order(number, lines=((1, rnd.randrange(100, 9999), 2550),), modified=gmt(time.time() - 3000 + number))
            totals[number] = total_cents(order)
            shop.put(order)
            for _ in range(rnd.choice((0, 0, 1, 2))):       # lost, as often as not
                assert send_order(v, SHOP, order)[0] == 200
            assert send_callback(v, PAY, number, totals[number], f'tx-{number}')[0] == 200
        v.kill('shop')                      # it begins again with a round of its own
        until(lambda: len(books(tmp_path / 'books')) >= len(totals), 120, 0.5)
        v.kill('shop')
        v.settled(60)
        found = books(tmp_path / 'books')
        check_books(tmp_path / 'books')
        banks = {t['tags']['order']: dict(t['postings'])['Assets:Clearing:Banks'] for t in found}
        assert banks == {str(k): t for k, t in totals.items()} and len(found) == len(totals)
        assert v.status()['types']['woocommerce.order'] == len(totals), 'an order that came both ways is one event'
        cursor = json.loads((v.data / 'connectors' / 'shop.json').read_text())['polls']['orders']
        assert cursor == max(o['date_modified_gmt'] for o in shop.orders.values()) + 'Z'
        def counted():
            s = next((s for s in v.status()['sessions'] if s['name'] == 'shop'), {})
            return (s.get('report') or {}).get('poll_rounds')
        until(counted)
        assert shop.refused == 0 and 'cs_2' not in v.log.read_text()
        assert v.stop() == 0
    finally:
        far.stop()


def test_a_list_that_is_none_ends_no_round(vayla):
    """FAILED inside a 200 is not the end of the list: it is asked for again at once,
    not after the five minutes of a round that is over."""
    far = Far()
    try:
        shop = Shop(far)
        for number in range(3000, 3003):
            shop.put(shop_order(number, lines=((1, 1000, 2550),), modified=gmt(time.time() - 600)))
        shop.lies = 2
        v = vayla({'shop': {'use': 'woocommerce', 'webhook_secret': SHOP, 'local': True, 'url': far.url, 'key': 'ck_1', 'secret': 'cs_2'}})
        v.start()
        until(lambda: v.status()['types'].get('woocommerce.order') == 3, 40, 0.3)
        assert shop.lies == 0 and v.stop() == 0
    finally:
        far.stop()


def test_a_shop_by_webhook_alone_needs_no_process(vayla):
    v = vayla({'shop': {'use': 'woocommerce', 'webhook_secret': SHOP}})
    v.start()
    assert set(v.pids()) == {'broker', 'receiver'}
    assert request(f'{v.url}/livez')[0] == 200
    assert v.stop() == 0
