"""Orders that change while they are paid in parts, all their messages in any
order and many at once: the books end up with what each order last was, its VAT
to the cent, as if everything had come one by one."""
import random
from concurrent.futures import ThreadPoolExecutor

from harness import books, cents, check_books, until
from shop import send_callback, send_order, shop_order, total_cents

SHOP, PAY = 'shop-secret', 'pay-secret'
CODE = {'': 'Standard', 'reduced-rate': 'Reduced', 'zero-rate': 'Zero'}


def versions_of(rng, number):
    """An order as the shop told it, one to four times; the last one counts."""
    return [shop_order(number,
                       lines=tuple((rng.randint(1, 3), rng.randint(100, 5000), rng.choice((2550, 1350, 0)))
                                   for _ in range(rng.randint(1, 3))),
                       shipping=rng.choice((0, 590)), modified=f'2026-03-02T09:21:{10 + k}', customer_note=str(k))
            for k in range(rng.randint(1, 4))]


def parts_of(rng, total):
    parts = []
    while total:
        parts.append(total if rng.random() < 0.5 else rng.randint(1, total))
        total -= parts[-1]
    return parts


def wanted(order):
    """What the books must hold of an order that is paid in full."""
    found = {'Assets:Clearing:Banks': total_cents(order)}
    for line in order['line_items'] + [{**s, 'tax_class': ''} for s in order['shipping_lines']]:
        code = CODE[line['tax_class']] if cents(line['total_tax']) else 'Zero'
        for account, amount in (('Income:Sales:', line['total']), ('Liabilities:VAT:', line['total_tax'])):
            found[account + code] = found.get(account + code, 0) - cents(amount)
    return {a: c for a, c in found.items() if c}


def test_the_books_do_not_depend_on_what_came_first(vayla, tmp_path):
    v = vayla({
        'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
        'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY},
        'books': {'use': 'ledger', 'mode': 'live', 'folder': str(tmp_path / 'books')}})
    v.start()
    rng = random.Random(1202)
    messages, want = [], {}
    for number in range(1000, 1150):
        versions = versions_of(rng, number)
        want[str(number)] = wanted(versions[-1])
        messages += [lambda o=o: send_order(v, SHOP, o, 'order.updated') for o in versions]
        messages += [lambda n=number, i=i, p=p: send_callback(v, PAY, n, p, f'tx-{n}-{i}')
                     for i, p in enumerate(parts_of(rng, total_cents(versions[-1])))]
    rng.shuffle(messages)
    with ThreadPoolExecutor(16) as crowd:
        assert {status for status, _ in crowd.map(lambda send: send(), messages)} == {200}

    def right():
        got = {}
        for t in books(tmp_path / 'books'):
            sums = got.setdefault(t['tags']['order'], {})
            for account, amount in t['postings']:
                sums[account] = sums.get(account, 0) + amount
        wrong.clear()
        wrong.update({n: ({a: c for a, c in got.get(n, {}).items() if c}, want[n]) for n in want
                      if {a: c for a, c in got.get(n, {}).items() if c} != want[n]})
        return not wrong
    wrong = {}
    try:
        until(right, 60, 0.5)
    except AssertionError:
        raise AssertionError(f'{len(wrong)} orders are wrong in the books, as {list(wrong.items())[:3]}')
    check_books(tmp_path / 'books')
    counts = v.status()['counts']
    assert (counts['parked'], counts['ask'], counts['wait'], counts['refused']) == (0, 0, 0, 0)
