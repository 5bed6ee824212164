"""Postings of captured money against sums made here: many orders, cut into any
number of payments, too much and too little, with the shop's own rounding. Every
posting balances; when the order is paid, the books hold its VAT to the cent."""
import json
import random
import subprocess

from harness import PROGRAM, ROOT, cents

MAP = 'mappings/ledger/payment-captured.map.yaml'
SALES = {'S': 'Income:Sales:Standard', 'R': 'Income:Sales:Reduced', 'Z': 'Income:Sales:Zero', 'E': 'Income:Sales:Exempt'}
VAT = {'S': 'Liabilities:VAT:Standard', 'R': 'Liabilities:VAT:Reduced', 'Z': 'Liabilities:VAT:Zero', 'E': 'Liabilities:VAT:Exempt'}
OWED = 'Liabilities:Customer-prepayments'


def text(c):
    return f'{"-" if c < 0 else ""}{abs(c) // 100}.{abs(c) % 100:02d}'


def posting(order, payment, earlier):
    r = subprocess.run([str(PROGRAM), 'map', 'run', MAP, '--settings', '{"folder": "x"}',
                        '--with', json.dumps({'order': order, 'earlier': earlier})],
                       input=json.dumps(payment), text=True, cwd=ROOT, timeout=20,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert r.returncode == 0, (r.stderr, order, payment, earlier)
    (line,) = r.stdout.splitlines()
    # digits stay digits: no float on the way
    return json.loads(line, parse_float=str, parse_int=str)['data']


def an_order(rng):
    summary = []
    for code in rng.sample(list(SALES), rng.randint(1, 4)):
        net = rng.choice((0, 1, 7, rng.randint(1, 999), rng.randint(1000, 99999)))
        rate = {'S': 2550, 'R': rng.choice((1000, 1350)), 'Z': 0, 'E': 0}[code]
        # the shop rounds each line on its own: its VAT is not net times rate
        vat = max(0, (net * rate + 5000) // 10000 + (rng.randint(-2, 2) if rate and net > 50 else 0))
        summary.append((code, net, vat))
    total = sum(n + v for _, n, v in summary)
    gross = total + (rng.choice((-2, -1, 0, 0, 0, 1, 2)) if total > 100 else 0)
    return summary, total, gross


def payments(rng, gross):
    left, parts = gross, []
    for _ in range(rng.randint(0, 4)):
        part = rng.randint(1, max(1, left // 2))
        if part < left:
            parts.append(part)
            left -= part
    parts.append(left)
    if rng.random() < 0.3:
        parts.append(rng.randint(1, 5000))  # more than is due
    return [p for p in parts if p > 0]


def test_any_cut_of_any_order():
    rng = random.Random(20260301)
    cases = 0
    while cases < 60:
        summary, total, gross = an_order(rng)
        if gross <= 0:
            continue
        cases += 1
        order = {'number': '7', 'currency': 'EUR', 'totals': {'gross': text(gross)},
                 'vat_summary': [{'code': c, 'net': text(n), 'vat': text(v)} for c, n, v in summary]}
        books, earlier, paid = {}, [], 0
        for n, part in enumerate(payments(rng, gross)):
            payment = {'payment_id': f'p{n}', 'method': 'card', 'amount': text(part), 'currency': 'EUR',
                       'captured_at': '2026-03-01T10:00:00Z', 'source_status': 'ok'}
            entries = posting(order, payment, earlier)['entries']
            earlier.append(payment)
            paid += part
            sides = 0
            for e in entries:
                assert ('debit' in e) != ('credit' in e), e
                amount = cents(e['debit']) if 'debit' in e else -cents(e['credit'])
                assert amount != 0 and cents(e.get('debit', e.get('credit'))) > 0, e
                sides += amount
                books[e['account']] = books.get(e['account'], 0) + amount
            assert sides == 0, (order, payment, entries)
            taken = -sum(books.get(a, 0) for c in SALES for a in (SALES[c], VAT[c]))
            assert taken == min(paid, gross), (order, earlier, books)
            assert -books.get(OWED, 0) == max(0, paid - gross)
            for code, net, vat in summary:
                # a share of the code's money carries that share of its VAT
                have = -books.get(SALES[code], 0) - books.get(VAT[code], 0)
                want = vat * have / (net + vat) if net + vat else 0
                assert abs(-books.get(VAT[code], 0) - want) <= 0.5, (order, earlier, books)
        if paid >= gross == total:
            for code, net, vat in summary:
                assert (-books.get(SALES[code], 0), -books.get(VAT[code], 0)) == (net, vat), (order, earlier, books)


def test_an_order_of_nothing_owes_all_that_is_paid():
    order = {'number': '7', 'currency': 'EUR', 'totals': {'gross': '0.00'}, 'vat_summary': [{'code': 'S', 'net': '0.00', 'vat': '0.00'}]}
    payment = {'payment_id': 'p', 'method': 'card', 'amount': '5.00', 'currency': 'EUR', 'captured_at': '2026-03-01T10:00:00Z',
               'source_status': 'ok'}
    entries = posting(order, payment, [])['entries']
    assert entries == [{'account': 'Assets:Clearing:Cards', 'debit': '5.00'}, {'account': OWED, 'credit': '5.00'}]
