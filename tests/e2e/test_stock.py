"""A warehouse's lists from a folder into the journal, and from there the stock of
a shop: files that are whole, broken or half bad, a connector that is killed
while they arrive, lists that overtake each other, and a shop that is away."""
import json
import os
import random
import re
import time

import pytest

from farside import Answer, Far
from harness import until
from shop import send_order, shop_order
from vyclient import Client


def warehouse(v, **settings):
    return {'use': 'stock-csv', 'folder': str(v / 'lists'), 'stable': '1s', **settings}


def put(folder, name, rows, heading='sku;saldo', encoding='utf-8', when=None):
    """A list that appears whole, by rename; `when`: its time of change."""
    folder.mkdir(parents=True, exist_ok=True)
    hidden = folder / f'.{name}.part'
    hidden.write_bytes('\n'.join([heading, *rows, '']).encode(encoding))
    if when is not None:
        os.utime(hidden, (when, when))
    hidden.rename(folder / name)


def names(folder):
    return sorted(p.name for p in folder.iterdir() if p.is_file())


def journal(v):
    """Every event that stands in it."""
    op = Client(v.bus, 'op', 'operator')
    try:
        op.hello()
        n = op.ask('status')['journal']['next']
        time.sleep(1.2)  # the index is at most a second behind
        found = [op.ask('event', seq=seq, unseal=True) for seq in range(1, n)]
    finally:
        op.close()
    return [e for e in found if e and 'type' in e]


def on_hand(v):
    """{(sku, place): [how many, revision by revision]}."""
    found = {}
    for e in journal(v):
        if e['type'] == 'stock.changed':
            d = e['data']
            n = d['on_hand']
            found.setdefault((d['sku'], d['location']), []).append(n if isinstance(n, int) else n.data.decode())
    return found


def test_lists_become_states(vayla, tmp_path):
    box = tmp_path / 'lists'
    v = vayla({'depot': warehouse(tmp_path)}).start()
    put(box, 'monday.csv', ['A-1;5', '', '"B ""2""";1200', 'C-3;2,5'])
    until(lambda: names(box / 'done') == ['monday.csv'])
    assert names(box) == [] and names(box / 'refused') == []
    native = [e for e in journal(v) if e['type'] == 'stock-csv.row']
    assert [e['subject'] for e in native] == ['sku:A-1', 'sku:B "2"', 'sku:C-3']
    assert on_hand(v) == {('A-1', 'warehouse'): [5], ('B "2"', 'warehouse'): [1200], ('C-3', 'warehouse'): ['2.5']}
    # back to an earlier state, in a file of the same name and content
    put(box, 'monday.csv', ['A-1;3'])
    until(lambda: len(names(box / 'done')) == 2)
    put(box, 'monday.csv', ['A-1;5'])
    until(lambda: len(names(box / 'done')) == 3)
    assert on_hand(v)[('A-1', 'warehouse')] == [5, 3, 5]


def test_a_late_list_changes_nothing(vayla, tmp_path):
    box, now = tmp_path / 'lists', int(time.time())
    v = vayla({'depot': warehouse(tmp_path)}).start()
    put(box, 'new.csv', ['A-1;5'], when=now - 100)
    until(lambda: names(box / 'done') == ['new.csv'])
    put(box, 'old.csv', ['A-1;9'], when=now - 3600)
    until(lambda: len(names(box / 'done')) == 2)
    put(box, 'newest.csv', ['A-1;4'], when=now - 50)
    until(lambda: len(names(box / 'done')) == 3)
    assert on_hand(v)[('A-1', 'warehouse')] == [5, 4]


def test_one_bad_row_does_not_hold_the_rest(vayla, tmp_path):
    box = tmp_path / 'lists'
    v = vayla({'depot': warehouse(tmp_path, encoding='windows-1252')}).start()
    put(box, 'list.csv', ['A-1;5;Päivä', 'B-2;many;x', ';7;no sku', 'C-3;1;x', 'A-1;6;again', 'D-4;1'], 'sku;saldo;nimi', 'cp1252')
    until(lambda: names(box / 'done') == ['list.csv'])
    assert on_hand(v) == {('A-1', 'warehouse'): [5], ('C-3', 'warehouse'): [1]}
    assert next(e for e in journal(v) if e['type'] == 'stock-csv.row')['data']['nimi'] == 'Päivä'
    assert names(box / 'refused') == ['list.csv', 'list.csv.reason.txt']
    why = (box / 'refused' / 'list.csv.reason.txt').read_text()
    assert '4 of the 6 rows' in why and 'line 3, column 2 (on_hand): "many" is no number' in why
    assert 'line 4: id' in why and 'line 6: "A-1:" stands in this file before' in why and 'line 7: it has 2 columns' in why
    spoilt = box / 'refused' / 'list.csv'
    assert spoilt.read_bytes().decode('cp1252') == 'sku;saldo;nimi\nB-2;many;x\n;7;no sku\nA-1;6;again\nD-4;1\n'
    # as the text says: mend it and put it back
    put(box, 'list.csv', ['B-2;8;x'], 'sku;saldo;nimi')
    until(lambda: len(names(box / 'done')) == 2)
    assert on_hand(v)[('B-2', 'warehouse')] == [8]
    assert names(box / 'refused') == ['list.csv', 'list.csv.reason.txt']


@pytest.mark.parametrize('name,content,why', [
    ('empty', b'', 'no heading'),
    ('separator', b'sku,saldo\nA,1\n', 'is the separator right?'),
    ('column', b'sku;hinta\nA;1\n', '"on_hand" or "saldo"'),
    ('quote', b'sku;saldo\nA;1\n"B;2\nC;3\n', 'line 3, column 1 (sku): a quoted cell begins here'),
    ('utf16', 'sku;saldo\nA;1\n'.encode('utf-16'), 'UTF-16'),
    ('twice', b'sku;saldo;x;x\nA;1;2;3\n', 'two columns "x"'),
    ('all', b'sku;saldo\nA;x\nB;y\n', 'line 3, column 2 (on_hand): "y" is no number'),
    ('encoding', b'sku;saldo;p\xe4iv\xe4\nA;1;2\n', 'not UTF-8'),
])
def test_broken_files_are_refused_whole(vayla, tmp_path, name, content, why):
    box = tmp_path / 'lists'
    v = vayla({'depot': warehouse(tmp_path)}).start()
    box.mkdir(exist_ok=True)
    (box / f'{name}.csv').write_bytes(content)
    put(box, 'good.csv', ['G-1;1'])
    until(lambda: names(box / 'refused') == [f'{name}.csv', f'{name}.csv.reason.txt'] and names(box / 'done') == ['good.csv'])
    assert (box / 'refused' / f'{name}.csv').read_bytes() == content
    assert why in (box / 'refused' / f'{name}.csv.reason.txt').read_text()
    assert set(on_hand(v)) == {('G-1', 'warehouse')}


def test_half_a_file_is_left_alone(vayla, tmp_path):
    """A list that is written slowly, and things that are no lists."""
    box = tmp_path / 'lists'
    v = vayla({'depot': warehouse(tmp_path, stable='2s')}).start()
    box.mkdir(exist_ok=True)
    (box / 'notes.txt').write_text('sku;saldo\nN-1;1\n')
    (box / 'folder.csv').mkdir()
    (box / 'link.csv').symlink_to(box / 'notes.txt')
    os.mkfifo(box / 'pipe.csv')
    with open(box / 'slow.csv', 'w') as f:
        f.write('sku;saldo\n')
        for i in range(12):
            f.write(f'S-{i};{i}')
            f.flush()
            time.sleep(0.3)
            f.write('\n')
            assert names(box / 'done') == []
    until(lambda: names(box / 'done') == ['slow.csv'])
    assert len(on_hand(v)) == 12 and names(box / 'refused') == []
    assert (box / 'notes.txt').exists() and (box / 'link.csv').is_symlink() and (box / 'pipe.csv').exists()


def test_killed_twenty_times_while_lists_arrive(vayla, tmp_path):
    """Nothing is lost and nothing stands twice."""
    box, dice = tmp_path / 'lists', random.Random(7)
    v = vayla({'depot': warehouse(tmp_path)}).start()
    want, sent, base = {}, 0, int(time.time()) - 10000
    for round in range(20):
        rows = []
        for sku in dice.sample(range(900), 300):
            n = dice.randrange(1000)
            rows.append(f'K-{sku};{n}')
            want.setdefault((f'K-{sku}', 'warehouse'), []).append(n)
        put(box, f'list-{round:02}.csv', rows, when=base + round)
        sent += len(rows)
        time.sleep(dice.random() * 1.5)
        v.kill('depot')
    until(lambda: len(names(box / 'done')) == 20 and names(box) == [], 120)
    assert names(box / 'refused') == []
    events = journal(v)
    assert sum(e['type'] == 'stock-csv.row' for e in events) == sent
    assert len({e['id'] for e in events if e['type'] == 'stock-csv.row'}) == sent
    got = on_hand(v)
    assert {k: states[-1] for k, states in got.items()} == {k: states[-1] for k, states in want.items()}
    assert got == want


class ShopFar(Far):
    """A shop's REST: products by number, and what was set there."""

    def __init__(self):
        super().__init__()
        self.stock, self.down, self.lies = {}, False, []
        self.always = self.answer

    def answer(self, q):
        if self.down:
            return Answer(503, {'message': 'maintenance'})
        found = re.fullmatch(r'/wp-json/wc/v3/products/(\d+)(?:/variations/(\d+))?', q['path'])
        if q['method'] == 'PUT' and found:
            if self.lies:
                return Answer(200, self.lies.pop())
            body = json.loads(q['body'])
            assert body.pop('manage_stock') is True and list(body) == ['stock_quantity']
            self.stock.setdefault(found[2] or found[1], []).append(body['stock_quantity'])
            return Answer(200, {'id': int(found[1]), **body})
        return Answer(200, [])


@pytest.fixture
def shop():
    far = ShopFar()
    yield far
    far.stop()


SECRET = 'hook'


def both(tmp_path, shop):
    return {'depot': warehouse(tmp_path),
            'shop': {'use': 'woocommerce', 'mode': 'live', 'local': True, 'url': shop.url, 'key': 'ck', 'secret': 'cs', 'reserve': 9999,
                     'webhook_secret': SECRET}}


def product(number, sku, **more):
    return {'id': number, 'name': f'Tuote {sku}', 'type': 'simple', 'status': 'publish', 'sku': sku, 'price': '12.00',
            'stock_quantity': 1, 'date_modified_gmt': '2026-03-01T07:30:00', 'parent_id': 0, **more}


def test_the_shop_has_what_the_warehouse_has(vayla, tmp_path, shop):
    box, base = tmp_path / 'lists', int(time.time()) - 1000
    v = vayla(both(tmp_path, shop)).start()
    for p in (product(61, 'A-1'), product(62, 'B-2'), product(93, 'V-M', type='variation', parent_id=90)):
        assert send_order(v, SECRET, p, 'product.updated')[0] == 200
    put(box, '1.csv', ['A-1;5', 'B-2;7', 'V-M;2', 'unknown-in-the-shop;4'], when=base)
    until(lambda: shop.stock == {'61': [5], '62': [7], '93': [2]})
    put(box, '2.csv', ['A-1;3', 'B-2;7', 'V-M;2'], when=base + 10)
    until(lambda: shop.stock['61'] == [5, 3])
    put(box, 'late.csv', ['A-1;99', 'B-2;98'], when=base + 5)
    put(box, '3.csv', ['A-1;5', 'B-2;7', 'V-M;0'], when=base + 20)
    until(lambda: shop.stock['61'] == [5, 3, 5] and shop.stock['93'] == [2, 0])
    until(lambda: len(names(box / 'done')) == 4)
    v.settled()
    # what did not change is not said again
    assert shop.stock == {'61': [5, 3, 5], '62': [7], '93': [2, 0]}
    assert v.status()['counts']['parked'] == 0
    # the shop's own news of its stock goes nowhere
    assert send_order(v, SECRET, product(61, 'A-1', stock_quantity=4, date_modified_gmt='2026-03-05T07:30:00'), 'product.updated')[0] == 200
    v.settled()
    assert shop.stock['61'] == [5, 3, 5]


def test_a_shop_that_is_down_gets_the_last_state(vayla, tmp_path, shop):
    box, base = tmp_path / 'lists', int(time.time()) - 1000
    v = vayla(both(tmp_path, shop)).start()
    assert send_order(v, SECRET, product(61, 'A-1'), 'product.updated')[0] == 200
    shop.down = True
    for n in range(3):
        put(box, f'{n}.csv', [f'A-1;{n}'], when=base + n)
    until(lambda: len(names(box / 'done')) == 3)
    # each fails, and gives way to the newer
    until(lambda: any(q['method'] == 'PUT' and b': 2' in q['body'].replace(b':', b': ') for q in shop.asked), 90)
    assert shop.stock == {}
    shop.down = False
    until(lambda: shop.stock, 120)
    v.settled(120)
    assert v.status()['counts']['parked'] == 0
    assert shop.stock == {'61': [2]}


@pytest.mark.parametrize('lie', [{'status': 'FAILED', 'message': 'not now'}, {'id': 61, 'stock_quantity': 1}, {'id': 61, 'stock_quantity': None}])
def test_a_shop_that_says_yes_and_does_nothing(vayla, tmp_path, shop, lie):
    """A 200 whose article does not have the number that was sent is no answer."""
    v = vayla(both(tmp_path, shop)).start()
    assert send_order(v, SECRET, product(61, 'A-1'), 'product.updated')[0] == 200
    shop.lies = [lie]
    put(tmp_path / 'lists', '1.csv', ['A-1;5,00'])
    until(lambda: shop.stock == {'61': [5]}, 20)
    v.settled()
    assert v.status()['counts']['parked'] == 0 and not shop.lies


def held(order, line=1, reduced=None, restocked=None):
    """The order with what the shop says of its own stock."""
    order['line_items'][line - 1]['meta_data'] = [
        {'id': 1, 'key': k, 'value': str(n)} for k, n in (('_reduced_stock', reduced), ('_restock_refunded_items', restocked)) if n]
    return order


def test_what_is_sold_and_not_sent_is_not_sold_again(vayla, tmp_path, shop):
    """The warehouse counts what still lies there; the shop has sold some of it."""
    box, base = tmp_path / 'lists', int(time.time()) - 1000
    v = vayla(both(tmp_path, shop)).start()
    assert send_order(v, SECRET, product(61, 'SKU-1'), 'product.updated')[0] == 200
    for n, q in ((1, 2), (2, 3)):
        assert send_order(v, SECRET, held(shop_order(n, lines=((q, 1000, 2550),)), reduced=q))[0] == 200
    put(box, '1.csv', ['SKU-1;10'], when=base)
    until(lambda: shop.stock == {'61': [5]})
    # told again on its way, as shops do: it holds the same
    for k in range(3):
        assert send_order(v, SECRET, held(shop_order(1, lines=((2, 1000, 2550),), modified=f'2026-03-02T09:30:0{k}', customer_note=str(k)),
                                          reduced=2), 'order.updated')[0] == 200
    # one leaves, one is off; a third comes: nobody has to tell the shop what it did itself
    assert send_order(v, SECRET, held(shop_order(1, lines=((2, 1000, 2550),), modified='2026-03-03T09:30:00', status='completed'), reduced=2), 'order.updated')[0] == 200
    assert send_order(v, SECRET, shop_order(2, lines=((3, 1000, 2550),), modified='2026-03-03T09:31:00', status='cancelled'), 'order.updated')[0] == 200
    assert send_order(v, SECRET, held(shop_order(3, lines=((1, 1000, 2550),)), reduced=1))[0] == 200
    # nor is what it then says of its own count, or of anything else, a reason
    assert send_order(v, SECRET, product(61, 'SKU-1', stock_quantity=7, price='13.00', date_modified_gmt='2026-03-03T09:40:00'), 'product.updated')[0] == 200
    v.settled()
    assert shop.stock == {'61': [5]}
    # 2 have left the warehouse; 1 is held
    put(box, '2.csv', ['SKU-1;8'], when=base + 10)
    until(lambda: shop.stock == {'61': [5, 7]})
    # over a restart; one of the sent ones came back and was put on the shelf
    v.stop()
    v.start()
    assert send_order(v, SECRET, held(shop_order(1, lines=((2, 1000, 2550),), modified='2026-03-04T09:30:00', status='completed'), reduced=1, restocked=1), 'order.updated')[0] == 200
    put(box, '3.csv', ['SKU-1;9'], when=base + 20)
    until(lambda: shop.stock == {'61': [5, 7, 8]})
    events = journal(v)
    now = {}
    for e in events:
        if e['type'] in ('stock.reserved', 'stock.released'):
            now[e['type'], e['id']] = None if e.get('withdrawn') else e['data']
    assert sorted((k[0], d['order_number'], int(getattr(d['quantity'], 'data', d['quantity']))) for k, d in now.items() if d) == [
        ('stock.released', '1', 1), ('stock.reserved', '3', 1)]
    assert v.status()['counts']['parked'] == 0


def test_a_list_that_knows_its_orders(vayla, tmp_path, shop):
    box = tmp_path / 'lists'
    v = vayla(both(tmp_path, shop)).start()
    assert send_order(v, SECRET, product(61, 'SKU-1'), 'product.updated')[0] == 200
    assert send_order(v, SECRET, held(shop_order(1, lines=((2, 1000, 2550),)), reduced=2))[0] == 200
    put(box, '1.csv', ['SKU-1;10;9'], 'sku;saldo;vapaa')
    until(lambda: shop.stock == {'61': [9]})


def test_an_article_is_told_as_soon_as_the_shop_has_it(vayla, tmp_path, shop):
    box, base = tmp_path / 'lists', int(time.time()) - 1000
    v = vayla(both(tmp_path, shop)).start()
    put(box, '1.csv', ['N-1;5', 'N-2;6'], when=base)
    put(box, '2.csv', ['N-1;4', 'N-2;6'], when=base + 1)
    until(lambda: len(names(box / 'done')) == 2)
    v.settled()
    assert shop.stock == {}
    assert send_order(v, SECRET, product(71, 'N-1'), 'product.created')[0] == 200
    until(lambda: shop.stock == {'71': [4]})
    v.stop()
    v.start()
    assert send_order(v, SECRET, product(95, 'N-2', type='variation', parent_id=90), 'product.created')[0] == 200
    until(lambda: shop.stock == {'71': [4], '95': [6]})
    # told again, with the number it was given: nothing more is sent
    assert send_order(v, SECRET, product(71, 'N-1', stock_quantity=4, date_modified_gmt='2026-03-05T07:30:00'), 'product.updated')[0] == 200
    v.settled()
    assert shop.stock == {'71': [4], '95': [6]}
    assert v.status()['counts'] | {'parked': 0, 'ask': 0, 'wait': 0} == v.status()['counts']


def test_two_places_are_one_number(vayla, tmp_path, shop):
    base = int(time.time()) - 1000
    a, b = tmp_path / 'lists', tmp_path / 'turku'
    systems = both(tmp_path, shop)
    systems['turku'] = {'use': 'stock-csv', 'folder': str(b), 'stable': '1s', 'location': 'turku'}
    v = vayla(systems).start()
    assert send_order(v, SECRET, product(61, 'A-1'), 'product.updated')[0] == 200
    put(a, '1.csv', ['A-1;5'], when=base)
    until(lambda: shop.stock == {'61': [5]})
    put(b, '1.csv', ['A-1;7'], when=base + 1)
    until(lambda: shop.stock == {'61': [5, 12]})
    put(a, '2.csv', ['A-1;4'], when=base + 2)
    until(lambda: shop.stock == {'61': [5, 12, 11]})
    # a list that was made before the other place's last one
    put(b, '2.csv', ['A-1;3'], when=base + 1.5)
    until(lambda: shop.stock == {'61': [5, 12, 11, 7]})
    put(a, '3.csv', ['A-1;5'], when=base + 30)
    until(lambda: shop.stock == {'61': [5, 12, 11, 7, 8]})
    v.settled()
    assert shop.stock['61'][-1] == 8 and len(shop.stock['61']) == 5


class Strict(ShopFar):
    """A shop that does not have, or does not take, some products."""

    def __init__(self):
        super().__init__()
        self.gone = {}

    def answer(self, q):
        found = re.fullmatch(r'/wp-json/wc/v3/products/(\d+)', q['path'])
        if q['method'] == 'PUT' and found and found[1] in self.gone:
            return Answer(self.gone[found[1]], {'code': 'woocommerce_rest_product_invalid_id', 'message': 'no'})
        return super().answer(q)


@pytest.mark.parametrize('status', [404, 400])
def test_a_stuck_state_gives_way_to_a_newer_one(vayla, tmp_path, status):
    box, base = tmp_path / 'lists', int(time.time()) - 1000
    shop = Strict()
    try:
        v = vayla(both(tmp_path, shop)).start()
        for n, sku in ((61, 'A-1'), (62, 'B-2')):
            assert send_order(v, SECRET, product(n, sku), 'product.updated')[0] == 200
        shop.gone = {'61': status}
        put(box, '1.csv', ['A-1;5', 'B-2;1'], when=base)

        def stuck():
            c = v.status()['counts']
            return c['ask'] + c['parked'] == 1 and c['ready'] == 0
        until(stuck, 20)
        put(box, '2.csv', ['A-1;6', 'B-2;2'], when=base + 1)
        until(lambda: shop.stock == {'62': [1, 2]})
        until(stuck, 20)                          # the newest alone is asked about
        # the broker is killed, and comes back with what is open
        v.kill('broker')
        until(lambda: v.command('status', check=False).returncode == 0, 20)
        shop.gone = {}
        put(box, '3.csv', ['A-1;7', 'B-2;2'], when=base + 2)
        until(lambda: shop.stock == {'62': [1, 2], '61': [7]}, 40)
        v.settled()
        assert v.status()['counts']['ask'] == v.status()['counts']['parked'] == 0
    finally:
        shop.stop()
