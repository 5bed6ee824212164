"""Money that goes back, from the shop's refund, the provider's callback and its
settlement to three accounting programs, by examples a person can add up."""
import hashlib
import hmac
import json
import random
import time
import urllib.parse

import pytest

from farside import Answer, Far
from harness import FIXTURES, books, cents, check_books, until
from shop import euro, request, send_callback, send_order, shop_order, total_cents

SHOP, PAY = 'shop-secret', 'pay-secret'
OWED = 'Liabilities:Customer-prepayments'


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


def shop_refund(order, number, parts, shipping=0, amount=None, **more):
    """parts: (line of the order from 1, quantity, net, VAT in cents); shipping: (net, VAT)."""
    lines = []
    for n, quantity, net, vat in parts:
        line = order['line_items'][n - 1]
        lines.append({'id': 800 + n, 'name': line['name'], 'product_id': line['product_id'], 'variation_id': 0, 'quantity': -quantity,
                      'tax_class': line['tax_class'], 'total': '-' + euro(net), 'total_tax': '-' + euro(vat), 'sku': line['sku'],
                      'meta_data': [{'id': 1, 'key': '_refunded_item_id', 'value': str(line['id'])}]})
    ships = [{'id': 890, 'method_title': 'Postipaketti', 'total': '-' + euro(shipping[0]), 'total_tax': '-' + euro(shipping[1]),
              'meta_data': [{'id': 2, 'key': '_refunded_item_id', 'value': '90'}]}] if shipping else []
    told = sum(net + vat for _, _, net, vat in parts) + (sum(shipping) if shipping else 0)
    return {'id': number, 'parent_id': order['id'], 'date_created_gmt': '2026-03-09T12:10:20', 'amount': euro(told if amount is None else amount),
            'reason': '', 'refunded_by': 1, 'refunded_payment': True, 'meta_data': [], 'line_items': lines, 'shipping_lines': ships,
            'fee_lines': [], 'tax_lines': [], **more}


def send_refund(v, refund):
    assert send_order(v, SHOP, refund, topic='refund.created')[0] == 200


def paid_back(v, number, amount, transaction, status='ok', stamp=None):
    q = {'checkout-account': '375917', 'checkout-algorithm': 'sha256', 'checkout-amount': str(amount), 'checkout-reference': str(number),
         'checkout-stamp': stamp or f'r-{transaction}', 'checkout-status': status, 'checkout-provider': 'osuuspankki'}
    if transaction:
        q['checkout-transaction-id'] = transaction
    text = ''.join(f'{k}:{q[k]}\n' for k in sorted(q))
    q['signature'] = hmac.new(PAY.encode(), text.encode(), 'sha256').hexdigest()
    assert request(f'{v.url}/in/payments/refund?{urllib.parse.urlencode(q)}')[0] == 200


def send_report(v, rows, spoil=b''):
    body = json.dumps(rows).encode()
    head = {'checkout-account': '375917', 'checkout-algorithm': 'sha512'}
    text = ''.join(f'{k}:{head[k]}\n' for k in sorted(head)).encode() + body
    sign = hmac.new(PAY.encode(), text, hashlib.sha512).hexdigest()
    return request(f'{v.url}/in/payments/report', 'POST', body + spoil, {**head, 'signature': sign, 'Content-Type': 'application/json'})[0]


def booked(v, n, seconds=30):
    """Wait for n transactions; the balance of every account that has one."""
    until(lambda: (v.books / 'books.journal').exists() and len(books(v.books)) >= n, seconds, 0.2)
    v.settled()
    found = books(v.books)
    assert len(found) == n, "\n".join(f"{t['tags']} {t['postings']}" for t in found)
    return booked_now(v)


def booked_now(v):
    found = books(v.books)
    check_books(v.books)
    sums = {}
    for t in found:
        assert sum(c for _, c in t['postings']) == 0, t
        for account, amount in t['postings']:
            sums[account] = sums.get(account, 0) + amount
    return {a: c for a, c in sums.items() if c}


def money(v, word, want, reason):
    """The panel's equation and its reason."""
    def same():
        got = show(v, word)['money']
        return all(cents(got[k]) == want[k] for k in want) and got['reason'] == reason
    try:
        until(same, 10, 0.2)
    except AssertionError:
        raise AssertionError(f'{word}: {show(v, word)["money"]}, expected {want}, {reason}')


# 39.00 + 9.95 and 36.00 + 4.86 and shipping 5.90 + 1.50: 97.21
LINES = ((2, 1950, 2550), (3, 1200, 1350))


def paid_order(v, number):
    order = shop_order(number, lines=LINES, shipping=590)
    assert total_cents(order) == 9721
    assert send_order(v, SHOP, order)[0] == 200
    assert send_callback(v, PAY, number, 9721, f'tx-{number}')[0] == 200
    return order


def test_partial_refunds_give_back_two_rates_to_the_cent(v):
    order = paid_order(v, 1)
    send_refund(v, shop_refund(order, 71, [(1, 1, 1950, 497)]))                 # one of two: 24.47
    paid_back(v, 1, 2447, 'r-1')
    send_refund(v, shop_refund(order, 72, [(2, 2, 2400, 324)], (590, 150)))     # two of three, and shipping: 34.64
    paid_back(v, 1, 3464, 'r-2')
    assert booked(v, 5) == {
        'Assets:Clearing:Banks': 9721 - 2447 - 3464, 'Income:Sales:Standard': -1950, 'Liabilities:VAT:Standard': -(1145 - 497 - 150),
        'Income:Sales:Reduced': -1200, 'Liabilities:VAT:Reduced': -162}
    money(v, '1', {'ordered': 9721, 'captured': 9721, 'credited': 5911, 'refunded': 5911, 'open': 0}, 'settled')
    # the rest as a sum without lines: nothing is left on any account
    send_refund(v, shop_refund(order, 73, [], amount=3810))
    paid_back(v, 1, 3810, 'r-3')
    assert booked(v, 7) == {}
    # the shop tells the order again, refunds and all: nothing is booked anew
    refunds = [{'id': n, 'reason': '', 'total': f'-{euro(c)}'} for n, c in ((71, 2447), (72, 3464), (73, 3810))]
    again = shop_order(1, lines=LINES, shipping=590, status='refunded', modified='2026-03-09T12:11:00', refunds=refunds)
    assert send_order(v, SHOP, again, topic='order.updated')[0] == 200
    until(lambda: v.status()['types'].get('refund.requested') == 3, 10)
    assert booked(v, 7) == {}
    # then otherwise: a line of 11.35 more. All that was paid went back, so that is what the customer owes, and the sales
    # are what is left of the order: what its notes did not take
    longer = LINES + ((1, 1000, 1350),)
    assert send_order(v, SHOP, shop_order(1, lines=longer, shipping=590, status='refunded', modified='2026-03-09T12:12:00', refunds=refunds),
                      topic='order.updated')[0] == 200
    until(lambda: booked_now(v).get(OWED) == 1135, 20, 0.3)
    v.settled()
    left = booked_now(v)
    assert left.pop(OWED) == 1135 and sum(left.values()) == -1135 and 'Assets:Clearing:Banks' not in left, left
    money(v, '1', {'ordered': 10856, 'credited': 9721, 'refunded': 9721, 'open': 1135}, 'partly paid')
    # and as it was: as if nothing had been
    assert send_order(v, SHOP, shop_order(1, lines=LINES, shipping=590, status='refunded', modified='2026-03-09T12:13:00', refunds=refunds),
                      topic='order.updated')[0] == 200
    until(lambda: booked_now(v) == {}, 20, 0.3)
    money(v, '1', {'credited': 9721, 'refunded': 9721, 'open': 0}, 'settled')


def test_either_order_of_note_and_money_gives_the_same_books(v):
    first, second = paid_order(v, 2), paid_order(v, 3)
    paid_back(v, 2, 2447, 'r-2')
    money(v, '2', {'refunded': 2447, 'credited': 0, 'open': 2447}, 'money went back; no credit note for it is known')
    send_refund(v, shop_refund(first, 74, [(1, 1, 1950, 497)]))
    send_refund(v, shop_refund(second, 75, [(1, 1, 1950, 497)]))
    money(v, '3', {'refunded': 0, 'credited': 2447, 'open': -2447}, 'credited by the shop; the money has not gone back')
    assert booked(v, 5)[OWED] == -2447
    paid_back(v, 3, 2447, 'r-3')
    assert booked(v, 6) == {
        'Assets:Clearing:Banks': 2 * (9721 - 2447), 'Income:Sales:Standard': -2 * (4490 - 1950), 'Liabilities:VAT:Standard': -2 * (1145 - 497),
        'Income:Sales:Reduced': -2 * 3600, 'Liabilities:VAT:Reduced': -2 * 486}
    for n in '23':
        money(v, n, {'open': 0}, 'settled')


def test_a_refund_before_its_order_and_payment_waits_for_them(v):
    order = shop_order(4, lines=LINES, shipping=590)
    paid_back(v, 4, 740, 'r-4')
    send_refund(v, shop_refund(order, 76, [], (590, 150)))                      # the shipping alone
    until(lambda: v.status()['counts']['wait'] == 2, 10)
    v.stop()
    v.start()
    assert send_callback(v, PAY, 4, 9721, 'tx-4')[0] == 200
    assert send_order(v, SHOP, order)[0] == 200
    assert booked(v, 3) == {
        'Assets:Clearing:Banks': 9721 - 740, 'Income:Sales:Standard': -3900, 'Liabilities:VAT:Standard': -995,
        'Income:Sales:Reduced': -3600, 'Liabilities:VAT:Reduced': -486}


def test_the_same_again_changes_nothing(v):
    order = paid_order(v, 5)
    for _ in range(3):
        send_refund(v, shop_refund(order, 77, [(1, 1, 1950, 497)]))
        paid_back(v, 5, 2447, 'r-5')
    assert booked(v, 3)['Assets:Clearing:Banks'] == 9721 - 2447
    assert v.status()['counts']['duplicates'] == 4


def test_a_refused_refund_moves_no_money(v):
    order = paid_order(v, 6)
    send_refund(v, shop_refund(order, 78, [(1, 1, 1950, 497)]))
    paid_back(v, 6, 2447, None, status='fail', stamp='s-6')
    money(v, '6', {'refunded': 0, 'credited': 2447, 'open': -2447}, 'a refund failed at the provider; the customer is owed it')
    assert booked(v, 2)[OWED] == -2447
    paid_back(v, 6, 2447, 'r-6', stamp='s-6b')
    assert OWED not in booked(v, 3)
    money(v, '6', {'open': 0}, 'settled')


def test_more_back_than_came_in_is_not_booked_and_says_so(v):
    paid_order(v, 7)
    paid_back(v, 7, 9722, 'r-7')
    item = until(lambda: show(v, '7')['open'], 10)[0]
    assert item['state'] == 'parked' and 'goes_back <= came_in' in item['text'] and '97.22' in item['text'] and '97.21' in item['text'], item
    assert booked(v, 1)['Assets:Clearing:Banks'] == 9721


def test_a_cancelled_order_that_is_refunded_is_settled(v):
    order = paid_order(v, 11)
    assert send_order(v, SHOP, shop_order(11, lines=LINES, shipping=590, status='cancelled', modified='2026-03-09T10:00:00', refunds=[
        {'id': 81, 'reason': 'Peruttu', 'total': '-97.21'}]), topic='order.updated')[0] == 200
    money(v, '11', {'captured': 9721, 'open': -9721}, 'cancelled after payment: to be refunded')
    send_refund(v, shop_refund(order, 81, [], amount=9721))
    paid_back(v, 11, 9721, 'r-11')
    assert booked(v, 3) == {}
    money(v, '11', {'captured': 9721, 'refunded': 9721, 'open': 0}, 'settled')


def test_a_refund_of_which_only_the_sum_is_known_is_said(v):
    paid_order(v, 12)
    assert send_order(v, SHOP, shop_order(12, lines=LINES, shipping=590, modified='2026-03-09T10:00:00', refunds=[
        {'id': 82, 'reason': '', 'total': '-5.00'}]), topic='order.updated')[0] == 200
    money(v, '12', {'credited': 0, 'refunded': 0, 'open': 0}, 'settled, but the shop asks for a refund')
    assert 'refund.requested' in [r['type'] for r in show(v, '12')['records'] if r['kind'] == 'event']
    assert len(booked(v, 1)) == 5


def test_a_price_reduction_before_the_payment_is_not_owed(v):
    order = shop_order(8, lines=LINES, shipping=590)
    assert send_order(v, SHOP, order)[0] == 200
    send_refund(v, shop_refund(order, 79, [(1, 0, 1000, 255)]))                 # 12.55 off
    assert booked(v, 1) and OWED not in booked(v, 1)
    assert send_callback(v, PAY, 8, 9721 - 1255, 'tx-8')[0] == 200
    assert booked(v, 2) == {
        'Assets:Clearing:Banks': 8466, 'Income:Sales:Standard': -3490, 'Liabilities:VAT:Standard': -890,
        'Income:Sales:Reduced': -3600, 'Liabilities:VAT:Reduced': -486}
    money(v, '8', {'open': 0}, 'settled')


def test_a_gift_card_is_a_debt_that_is_paid_off(v):
    order = shop_order(13, lines=LINES, shipping=590, gift_cards=[{'id': 43, 'code': 'AAAA-BBBB-CCCC', 'amount': '40.00'}])
    order['total'] = '57.21'
    assert send_order(v, SHOP, order)[0] == 200
    assert send_callback(v, PAY, 13, 5721, 'tx-13')[0] == 200
    assert booked(v, 2) == {
        'Liabilities:Gift-cards': 4000, 'Assets:Clearing:Banks': 5721, 'Income:Sales:Standard': -4490, 'Liabilities:VAT:Standard': -1145,
        'Income:Sales:Reduced': -3600, 'Liabilities:VAT:Reduced': -486}
    money(v, '13', {'ordered': 9721, 'captured': 9721, 'open': 0}, 'settled')


def test_a_settlement_empties_the_clearing_account(v):
    order = paid_order(v, 9)
    other = shop_order(10, lines=((1, 1000, 2550),), shipping=0)
    assert send_order(v, SHOP, other)[0] == 200
    assert send_callback(v, PAY, 10, 1255, 'tx-10', provider='creditcard')[0] == 200
    send_refund(v, shop_refund(order, 80, [(1, 1, 1950, 497)]))
    paid_back(v, 9, 2447, 'r-9')

    def row(amount, reference, method, number, **more):
        return {'amount': amount, 'reference': reference, 'paymentMethod': method, 'checkoutReference': number, 'stamp': f's{number}',
                'settlementId': 880017, 'settlementDate': '10-03-2026', 'status': 'ok', **more}
    rows = [row(97.21, '9', 'osuuspankki', '1', paymentMethodFee=0.35, paymentMethodCommission=0.50),
            row(12.55, '10', 'creditcard', '2', paymentMethodFee=0.35, paymentMethodCommission=0.2),
            row(-24.47, '9', 'osuuspankki', '3')]
    assert send_report(v, rows, b' ') == 401
    for _ in range(2):
        assert send_report(v, rows) == 200
    assert booked(v, 5) == {
        'Assets:Bank': 9721 + 1255 - 2447 - 140, 'Expenses:Payment-fees': 140, 'Income:Sales:Standard': -(4490 - 1950 + 1000),
        'Liabilities:VAT:Standard': -(1145 - 497 + 255), 'Income:Sales:Reduced': -3600, 'Liabilities:VAT:Reduced': -486}
    dated = [t for t in books(v.books) if 'payout' in t['tags']]
    assert [t['date'] for t in dated] == ['2026-03-10']


@pytest.mark.parametrize('seed', [1, 2, 3])
def test_in_any_order_the_books_are_the_same(v, seed):
    """Orders, part payments, notes and refunds, shuffled; the balances are added up from what was sent."""
    rnd = random.Random(seed)
    steps, want, count = [], {}, 0

    def add(account, amount):
        want[account] = want.get(account, 0) + amount
    for number in range(100, 112):
        order = shop_order(number, lines=LINES, shipping=590)
        todo = [lambda o=order: send_order(v, SHOP, o)]
        first = rnd.randrange(1, 9720)
        for k, part in enumerate((first, 9721 - first)):
            todo.append(lambda n=number, c=part, k=k: send_callback(v, PAY, n, c, f'tx-{n}-{k}'))
        for account, amount in (('Assets:Clearing:Banks', 9721), ('Income:Sales:Standard', -4490), ('Liabilities:VAT:Standard', -1145),
                                ('Income:Sales:Reduced', -3600), ('Liabilities:VAT:Reduced', -486)):
            add(account, amount)
        count += 2
        notes = rnd.sample([([(1, 1, 1950, 497)], 0), ([(1, 1, 1950, 498)], 0), ([(2, 1, 1200, 162)], 0), ([(2, 0, 333, 45)], 0), ([], (590, 150))], rnd.randrange(1, 5))
        for k, (parts, shipping) in enumerate(notes):
            refund = shop_refund(order, number * 10 + k, parts, shipping)
            back = cents(refund['amount'])
            todo.append(lambda r=refund: send_refund(v, r))
            todo.append(lambda n=number, c=back, k=k: paid_back(v, n, c, f'r-{n}-{k}'))
            for line, _, net, vat in parts:
                add(f'Income:Sales:{"Standard" if line == 1 else "Reduced"}', net)
                add(f'Liabilities:VAT:{"Standard" if line == 1 else "Reduced"}', vat)
            if shipping:
                add('Income:Sales:Standard', shipping[0])
                add('Liabilities:VAT:Standard', shipping[1])
            add('Assets:Clearing:Banks', -back)
            count += 2
        # money cannot go back before enough of it came in
        back = todo[4::2]
        front = [t for t in todo if t not in back]
        # told again, as shops do, before and after the rest
        for k in range(3):
            later = shop_order(number, lines=LINES, shipping=590, status='completed', modified=f'2026-03-0{k + 3}T09:00:00')
            front.append(lambda o=later: send_order(v, SHOP, o, topic='order.updated'))
        rnd.shuffle(front)
        for k in range(2):
            later = shop_order(number, lines=LINES, shipping=590, status='refunded', modified=f'2026-03-1{k}T09:00:00')
            back.insert(rnd.randrange(len(back) + 1), lambda o=later: send_order(v, SHOP, o, topic='order.updated'))
        steps.append(front + back)
    while steps:
        one = rnd.choice(steps)
        one.pop(0)()
        if not one:
            steps.remove(one)
    assert booked(v, count) == {a: c for a, c in want.items() if c}
    for number in range(100, 112):
        money(v, str(number), {'open': 0}, 'settled')
    assert not [n for n in range(100, 112) if show(v, str(n))['open']]


def test_a_shop_that_is_asked_tells_its_refunds(vayla, tmp_path):
    """No topic of the shop's brings a refund's lines: they are asked for, and what came both ways is one note."""
    far = Far()
    asked = []
    order = shop_order(20, lines=LINES, shipping=590)
    refunds = [shop_refund(order, 91, [(1, 1, 1950, 497)], date_created_gmt=time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(time.time() - 600))),
               shop_refund(order, 92, [], amount=500, date_created_gmt=time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(time.time() - 300)))]

    def answer(q):
        if q['path'] != '/wp-json/wc/v3/refunds':
            return Answer(200, [])
        asked.append(q['query'])
        return Answer(200, [r for r in refunds if r['date_created_gmt'] > q['query']['after'].rstrip('Z')])
    far.always = answer
    try:
        v = vayla({
            'shop': {'use': 'woocommerce', 'webhook_secret': SHOP, 'local': True, 'url': far.url, 'key': 'ck_1', 'secret': 'cs_2'},
            'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY},
            'books': {'use': 'ledger', 'mode': 'live', 'folder': str(tmp_path / 'books')}})
        v.books = tmp_path / 'books'
        v.start()
        assert send_order(v, SHOP, order)[0] == 200
        assert send_callback(v, PAY, 20, 9721, 'tx-20')[0] == 200
        send_refund(v, refunds[0])
        paid_back(v, 20, 2447 + 500, 'r-20')
        # 5.00 of the 72.74 that are left, 31.88 S and 40.86 R: 2.19 and 2.81, of it 0.45 and 0.33 VAT
        assert booked(v, 4) == {
            'Assets:Clearing:Banks': 9721 - 2947, 'Income:Sales:Standard': -(4490 - 1950 - 174), 'Liabilities:VAT:Standard': -(1145 - 497 - 45),
            'Income:Sales:Reduced': -(3600 - 248), 'Liabilities:VAT:Reduced': -(486 - 33)}
        assert v.status()['types']['woocommerce.refund'] == 2
        assert asked and all(q['dates_are_gmt'] == 'true' and q['orderby'] == 'date' and q['order'] == 'asc' for q in asked)
        money(v, '20', {'open': 0}, 'settled')
        assert v.stop() == 0
    finally:
        far.stop()


LIVE = FIXTURES / 'live' / 'woocommerce'


@pytest.mark.skipif(not LIVE.is_dir(), reason=f'NO FIXTURES in {FIXTURES}')
def test_a_refund_of_a_running_shop(v):
    """An order of two as WooCommerce 11 told it, and the refund of one of them, put back on the shelf."""
    def said(name):
        text = (LIVE / f'{name}.response.txt').read_text()
        return json.loads(text[text.index('{'):])
    refund = said('12-refund')
    assert send_order(v, SHOP, said('10-order'))[0] == 200
    assert send_callback(v, PAY, 12, 3570, 'tx-12')[0] == 200
    send_refund(v, {**refund, 'parent_id': int(refund['_links']['up'][0]['href'].rsplit('/', 1)[1])})
    assert send_order(v, SHOP, said('13-complete'), topic='order.updated')[0] == 200
    paid_back(v, 12, 1488, 'r-12')
    assert booked(v, 3) == {'Assets:Clearing:Banks': 3570 - 1488, 'Income:Sales:Standard': -(3000 - 1250), 'Liabilities:VAT:Standard': -(570 - 238)}
    money(v, '12', {'ordered': 3570, 'captured': 3570, 'credited': 1488, 'refunded': 1488, 'open': 0}, 'settled')
    until(lambda: v.status()['types'].get('stock.released') == 1, 10)


def test_more_goes_back_than_came_in_until_the_rest_comes(v):
    """A refund of the whole that overtakes the second of two payments: booked when that is there, by itself."""
    order = shop_order(14, lines=LINES, shipping=590)
    assert send_order(v, SHOP, order)[0] == 200
    assert send_callback(v, PAY, 14, 5000, 'tx-14a')[0] == 200
    paid_back(v, 14, 9721, 'r-14')
    send_refund(v, shop_refund(order, 83, [], amount=9721))
    until(lambda: any(i['state'] == 'parked' for i in show(v, '14')['open']), 10)
    v.stop()
    v.start()
    assert send_callback(v, PAY, 14, 4721, 'tx-14b')[0] == 200
    assert booked(v, 4) == {}
    money(v, '14', {'open': 0}, 'settled')
    assert show(v, '14')['open'] == []


def test_a_fee_is_no_sale(v):
    """What the provider keeps of a settlement is a cost, whatever it was kept of: money in, money back, or by itself."""
    order = paid_order(v, 15)
    send_refund(v, shop_refund(order, 84, [(1, 2, 3900, 995)]))
    paid_back(v, 15, 4895, 'r-15')
    rows = [{'amount': 97.21, 'reference': '15', 'paymentMethod': 'osuuspankki', 'checkoutReference': '1', 'stamp': 's15', 'settlementId': 880018,
             'settlementDate': '10-03-2026', 'status': 'ok', 'paymentMethodFee': 0.35, 'paymentMethodCommission': 1.2},
            {'amount': -48.95, 'reference': '15', 'paymentMethod': 'osuuspankki', 'checkoutReference': '3', 'stamp': 'r15', 'settlementId': 880018,
             'settlementDate': '10-03-2026', 'status': 'ok', 'paymentMethodFee': 0.10}]
    assert send_report(v, rows) == 200
    assert booked(v, 4) == {
        'Assets:Bank': 9721 - 4895 - 165, 'Expenses:Payment-fees': 165, 'Income:Sales:Standard': -590, 'Liabilities:VAT:Standard': -150,
        'Income:Sales:Reduced': -3600, 'Liabilities:VAT:Reduced': -486}


def test_made_cheaper_then_sent_back(v):
    """A price reduction, then the return of the same line: what is left of it, and no cent more."""
    order = paid_order(v, 16)
    send_refund(v, shop_refund(order, 85, [(1, 0, 500, 128)]))                  # 5.00 off the two
    paid_back(v, 16, 628, 'r-16a')
    send_refund(v, shop_refund(order, 86, [(1, 2, 3400, 867)]))                 # then both back
    paid_back(v, 16, 4267, 'r-16b')
    assert booked(v, 5) == {
        'Assets:Clearing:Banks': 9721 - 628 - 4267, 'Income:Sales:Standard': -590, 'Liabilities:VAT:Standard': -150,
        'Income:Sales:Reduced': -3600, 'Liabilities:VAT:Reduced': -486}
    # and once more than was left of the order
    send_refund(v, shop_refund(order, 87, [], amount=9721 - 628 - 4267 + 1))
    item = until(lambda: [i for i in show(v, '16')['open'] if i['state'] == 'parked'] or None, 10)[0]
    assert 'totals.gross' in item['text'], item
    assert len(books(v.books)) == 5


def test_an_order_paid_by_a_gift_card_alone_and_sent_back(v):
    """The card's debt is paid off by the sale; what goes back by the provider is none, so it stands as owed."""
    order = shop_order(17, lines=LINES, shipping=590, status='processing', date_paid_gmt='2026-03-02T09:21:00',
                       gift_cards=[{'id': 44, 'code': 'AAAA-BBBB-CCCC', 'amount': '97.21'}])
    order['total'] = '0.00'
    assert send_order(v, SHOP, order)[0] == 200
    assert booked(v, 1)['Liabilities:Gift-cards'] == 9721
    send_refund(v, shop_refund(order, 88, [], (590, 150)))
    got = booked(v, 2)
    assert got['Liabilities:Gift-cards'] == 9721 and got[OWED] == -740 and sum(got.values()) == 0
    money(v, '17', {'captured': 9721, 'credited': 740, 'open': -740}, 'credited by the shop; the money has not gone back')
    assert 'AAAA' not in json.dumps(show(v, '17'))
