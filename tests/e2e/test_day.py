"""A simulated day, and what the books say of it: computed here, to the cent, from
what the simulator says it sent and from what hledger reads, without our code.

    ordered - credited = captured - refunded + still open      for each order
    sales + VAT posted = captured - refunded                   for each VAT code

What a gift card paid came in as well: it is taken off what is owed for cards.
"""
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter, defaultdict

import pytest

from harness import PROGRAM, ROOT, Vayla, balances, books, cents, check_books, until

SHOP, PAY = 'day-shop-secret', 'day-payments-secret'
CODES = {'25.5': 'Standard', '13.5': 'Reduced', '0.0': 'Zero'}


def systems(folder):
    return {'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
            'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY},
            'books': {'use': 'ledger', 'mode': 'live', 'folder': str(folder)}}


def simulate(v, folder, *words):
    log = folder / 'sim.log'
    r = v.command('sim', 'woocommerce', 'paytrail', '--config', v.file, '--log', log, '--first', 1001, *words,
                  check=False, timeout=300)
    assert r.returncode == 0, r.stdout + r.stderr
    return [json.loads(x) for x in log.read_text().splitlines()]


def shared(total, parts):
    """A sum without lines, over the VAT codes of the order by what each of them
    comes to: {rate: (net, vat)}; the largest remainder takes the odd cent."""
    sums = {}
    for p in parts:
        net, vat = sums.get(p['rate'], (0, 0))
        sums[p['rate']] = net + cents(p['net']), vat + cents(p['vat'])
    sums = {r: s for r, s in sums.items() if sum(s)}
    whole = sum(map(sum, sums.values()))
    share = {r: total * sum(s) // whole for r, s in sums.items()}
    odd = sorted(sums, key=lambda r: -(total * sum(sums[r]) % whole))
    for r in odd[:total - sum(share.values())]:
        share[r] += 1
    vat = {r: (2 * sums[r][1] * share[r] + sum(sums[r])) // (2 * sum(sums[r])) for r in sums}
    return {r: (share[r] - vat[r], vat[r]) for r in sums}


def posted(order):
    """What one order's postings must come to: {account: cents}."""
    want = defaultdict(int)
    if cents(order['captured']) == 0:
        return {}
    assert order['captured'] == order['gross'] and cents(order['gross']) == cents(order['net']) + cents(order['vat'])
    parts = order['lines'] + order['shipping'] + order['fees']
    assert sum(cents(p['net']) + cents(p['vat']) for p in parts) == cents(order['gross'])
    for p in parts:
        want[f'Income:Sales:{CODES[p["rate"]]}'] -= cents(p['net'])
        want[f'Liabilities:VAT:{CODES[p["rate"]]}'] -= cents(p['vat'])
    for p in (p for c in order['credits'] for p in c['lines'] + c['shipping']):
        want[f'Income:Sales:{CODES[p["rate"]]}'] += cents(p['net'])
        want[f'Liabilities:VAT:{CODES[p["rate"]]}'] += cents(p['vat'])
    for c in order['credits']:
        if not c['lines'] and not c['shipping']:
            assert len(order['credits']) == 1
            for rate, (net, vat) in shared(cents(c['gross']), parts).items():
                want[f'Income:Sales:{CODES[rate]}'] += net
                want[f'Liabilities:VAT:{CODES[rate]}'] += vat
    want['Liabilities:Gift-cards'] += cents(order['by_card'])
    return {k: n for k, n in want.items() if n}


def paid_out(orders, payouts):
    """The settlements, each once: with them nothing is left where the provider kept it."""
    fees = sum(cents(o['provider_fees']) for o in orders)
    moved = sum(cents(o['captured']) - cents(o['by_card']) - cents(o['refunded']) for o in orders)
    sums = Counter()
    for t in payouts:
        for account, n in t['postings']:
            sums['Clearing' if account.startswith('Assets:Clearing:') else account] += n
    assert sums.pop('Clearing') == -moved and sums.pop('Assets:Bank') == moved - fees
    assert list(sums.values()) == [fees] and fees > 0, sums
    assert len({t['tags']['payout'] for t in payouts}) == len(payouts)


def whole(orders, folder, payouts):
    """Every account, as each of the three programs sums it, is what we say it is."""
    want = Counter()
    for o in orders:
        want.update(posted(o))
    came = sum(cents(o['captured']) - cents(o['by_card']) - cents(o['refunded']) for o in orders)
    if payouts:
        fees = sum(cents(o['provider_fees']) for o in orders)
        want.update({'Assets:Bank': came - fees, 'Expenses:Payment-fees': fees})
    want = {a: n for a, n in want.items() if n}
    for program, found in balances(folder).items():
        held = sum(n for a, n in found.items() if a.startswith('Assets:Clearing:'))
        assert held == (0 if payouts else came), program
        assert {a: n for a, n in found.items() if not a.startswith('Assets:Clearing:')} == want, program


def agree(orders, folder, revised=False):
    """Books and log say the same of every order, and each payment once; where an
    order may be told anew after it was paid, once and each reversal with its new one."""
    check_books(folder)
    by_order, payments, notes, backs = defaultdict(Counter), Counter(), Counter(), Counter()
    payouts, left = [], Counter()
    for t in books(folder):
        assert sum(n for _, n in t['postings']) == 0
        for account, n in t['postings']:
            if account.startswith('Assets:Clearing:'):
                left[account] += n
        if 'payout' in t['tags']:
            payouts.append(t)
            continue
        for counter, tag in ((payments, 'payment'), (notes, 'credit-note'), (backs, 'refund')):
            if tag in t['tags']:
                counter[t['tags'][tag]] += 1
        for account, n in t['postings']:
            by_order[t['tags']['order']][account] += n
    for o in orders:
        got = by_order.pop(o['number'], {})
        cleared = sum(n for a, n in got.items() if a.startswith('Assets:Clearing:'))
        assert cleared == cents(o['captured']) - cents(o['by_card']) - cents(o['refunded']), (o['number'], o['fate'], cleared, o['captured'], o['refunded'])
        rest = {a: n for a, n in got.items() if not a.startswith('Assets:Clearing:') and n}
        assert rest == posted(o), (o['number'], o['fate'])
    if payouts:
        paid_out(orders, payouts)
        assert not any(left.values()), left
    whole(orders, folder, payouts)
    assert not by_order, f'nobody ordered {list(by_order)}'
    paid = {p['transaction'] for o in orders for p in o['payments'] if p['status'] == 'ok'}
    paid |= {f"giftcard-{o['id']}-{o['card']}" for o in orders if cents(o['by_card'])}
    if revised:
        assert all(n % 2 for c in (payments, notes, backs) for n in c.values()), (payments, notes, backs)
        payments, notes, backs = Counter(payments.keys()), Counter(notes.keys()), Counter(backs.keys())
    assert payments == Counter(paid)
    assert notes == Counter(c['id'] for o in orders for c in o['credits'])
    assert sum(backs.values()) == sum(len(o['credits']) for o in orders)


def test_a_day(vayla, tmp_path):
    folder = tmp_path / 'books'
    v = vayla(systems(folder)).start()
    orders = simulate(v, tmp_path, '--seed', 11)
    assert len(orders) == 200 and len({o['fate'] for o in orders}) >= 10
    v.settled(60)
    agree(orders, folder)
    status = v.status()
    assert status['counts']['parked'] == status['counts']['ask'] == status['counts']['wait'] == 0
    sent = sum(len(o['messages']) for o in orders)
    report = until(lambda: [s.get('report') for s in v.status()['sessions'] if s['role'] == 'receiver' and
                            s.get('report', {}).get('shop.stored', 0) + s.get('report', {}).get('payments.stored', 0) == sent], 30)
    assert report and f"shop.stored {report[0]['shop.stored']}" in v.command('status').stdout
    # each order's equation, as a person is shown it
    still = 0
    for o in orders:
        money = json.loads(v.command('order', 'show', o['number'], '-o', 'json').stdout)['money']
        ordered = 0 if o['status'] == 'cancelled' else cents(o['gross'])
        assert cents(money['ordered']) == ordered, o
        assert cents(money['captured']) == cents(o['captured'])
        assert ordered - cents(money['credited']) == \
            cents(money['captured']) - cents(money['refunded']) + cents(money['open'])
        assert cents(money['open']) == ordered - cents(o['captured'])
        if cents(money['open']):
            still += cents(money['open'])
            assert money['reason'], o['number']
    assert still == sum(cents(o['gross']) - cents(o['captured']) for o in orders if o['status'] != 'cancelled') > 0
    assert v.stop() == 0


def test_the_same_day_again_changes_nothing(vayla, tmp_path):
    folder = tmp_path / 'books'
    v = vayla(systems(folder)).start()
    words = ('--orders', 40, '--at', '2026-03-01T10:00:00Z')
    orders = simulate(v, tmp_path, *words)
    v.settled()
    before, events = (folder / 'books.journal').read_bytes(), v.status()['counts']['events']
    assert simulate(v, tmp_path, *words) and v.status()['counts']['events'] == events
    v.settled()
    assert (folder / 'books.journal').read_bytes() == before
    agree(orders, folder)


class Parts:
    """The processes as systemd would have them: each started again at once."""

    def __init__(self, v):
        self.v, self.running = v, {}
        v.write()
        self.log = open(v.log, 'ab')

    def start(self, *words):
        self.running[words[-1]] = subprocess.Popen([str(PROGRAM), *words, str(self.v.file)], cwd=ROOT,
                                                   stdout=self.log, stderr=self.log)

    def answers(self):
        return self.v.command('status', check=False, timeout=30).returncode == 0

    def stop(self):
        for name in ('receiver', 'books', 'broker'):
            if name in self.running:
                self.running[name].send_signal(signal.SIGTERM)
                self.running[name].wait(30)
        self.log.close()


def test_the_broker_is_killed_fifty_times(tmp_path):
    folder = tmp_path / 'books'
    v = Vayla(tmp_path, systems(folder))
    parts, rnd = Parts(v), random.Random(os.environ.get('VAYLA_SEED', '1'))
    try:
        parts.start('broker')
        until(parts.answers, 30)
        parts.start('connector', 'receiver')
        parts.start('connector', 'books')
        log = tmp_path / 'sim.log'
        sim = subprocess.Popen([str(PROGRAM), 'sim', 'woocommerce', 'paytrail', '--config', str(v.file), '--log', str(log),
                                '--first', '1001', '--orders', '300', '--rate', '15', '--parallel', '16', '--quiet'],
                               cwd=ROOT, stdout=parts.log, stderr=parts.log)
        kills = 0
        end = time.monotonic() + 240
        while kills < 50 and time.monotonic() < end:
            time.sleep(rnd.uniform(0.02, 0.6))
            assert parts.running['broker'].poll() is None, v.log.read_text()[-3000:]
            parts.running['broker'].kill()
            parts.running['broker'].wait()
            kills += 1
            parts.start('broker')
        assert kills == 50
        assert sim.wait(240) == 0, v.log.read_text()[-3000:]
        orders = [json.loads(x) for x in log.read_text().splitlines()]
        assert len(orders) == 300
        assert any(m['tries'] > 1 for o in orders for m in o['messages']), 'no kill was felt'
        until(parts.answers, 30)
        v.settled(120)
        agree(orders, folder)
    finally:
        parts.stop()
