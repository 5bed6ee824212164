"""The simulator against a far end of the test's own: its signatures by a signer
written apart, its sums to the cent, its patience, its orders the same for the
same seed."""
import http.server
import json
import subprocess
import threading
import urllib.parse
from collections import Counter

import pytest

import sign
from harness import PROGRAM, ROOT, cents

SHOP, PAY = 'a shop secret', 'a payments secret'


class Far(http.server.ThreadingHTTPServer):
    """Takes everything, or answers what `answer(n, request)` says."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer=None):
        self.got, self.answer, self.lock = [], answer, threading.Lock()
        super().__init__(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self.server_port}'
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def take(self):
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        at = urllib.parse.urlsplit(self.path)
        one = {'method': self.command, 'path': at.path, 'query': urllib.parse.parse_qsl(at.query, True),
               'headers': {k.lower(): v for k, v in self.headers.items()}, 'body': body}
        with self.server.lock:
            self.server.got.append(one)
            n = len(self.server.got)
        status, more = self.server.answer(n, one) if self.server.answer else (200, {})
        self.send_response(status)
        for k, v in more.items():
            self.send_header(k, v)
        self.send_header('Content-Length', '0')
        self.end_headers()
    do_GET = do_POST = take

    def log_message(self, *_):
        pass


@pytest.fixture
def far():
    made = []

    def make(answer=None):
        made.append(Far(answer))
        return made[-1]
    yield make
    for f in made:
        f.close()


def sim(folder, far, *words, packs=('woocommerce', 'paytrail'), seed=1, orders=60, first=1001):
    file = folder / 'vayla.yaml'
    file.write_text(json.dumps({
        'broker': {'data': str(folder / 'data'), 'bus': f'ipc://{folder}/bus', 'console': 'http://127.0.0.1:1'},
        'receiver': {'listen': 'http://127.0.0.1:2'},
        'systems': {'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
                    'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY}}}))
    log = folder / 'sim.log'
    r = subprocess.run([str(PROGRAM), 'sim', *packs, '--config', str(file), '--to', far.url if far else 'http://127.0.0.1:1',
                        '--seed', str(seed), '--orders', str(orders), *(['--first', str(first)] if first else []),
                        '--log', str(log), *map(str, words)], cwd=ROOT, text=True, timeout=120,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    r.orders = [json.loads(x) for x in log.read_text().splitlines()] if log.exists() else []
    return r


def test_every_signature_is_right(tmp_path, far):
    f = far()
    r = sim(tmp_path, f, orders=200)
    assert r.returncode == 0, r.stderr
    shop = [x for x in f.got if x['path'] == '/in/shop']
    pay = [x for x in f.got if x['path'] == '/in/payments']
    assert len(shop) + len(pay) == len(f.got) and len(shop) > 250 and len(pay) > 150
    for x in shop:
        assert x['method'] == 'POST' and x['headers']['content-type'] == 'application/json'
        assert x['headers']['x-wc-webhook-signature'] == sign.body_base64(SHOP, x['body'])
    how = Counter()
    for x in pay:
        q = dict(x['query'])
        assert x['method'] == 'GET' and not x['body'] and len(q) == len(x['query'])
        assert q.pop('signature') == sign.sorted_params(PAY, q)
        how[q['checkout-algorithm']] += 1
    assert set(how) == {'sha256', 'sha512'}


def body_sums(order):
    """All of an order's sums, in cents, from its native body."""
    parts = order['line_items'] + order['shipping_lines'] + order['fee_lines']
    net, vat = (sum(cents(p[k]) for p in parts) for k in ('total', 'total_tax'))
    assert cents(order['total']) + sum(cents(g['amount']) for g in order['gift_cards']) == net + vat and cents(order['total_tax']) == vat
    assert cents(order['shipping_total']) == sum(cents(s['total']) for s in order['shipping_lines'])
    assert cents(order['discount_total']) == sum(cents(x['subtotal']) - cents(x['total']) for x in order['line_items'])
    assert cents(order['discount_tax']) == sum(cents(x['subtotal_tax']) - cents(x['total_tax']) for x in order['line_items'])
    assert sum(cents(t['tax_total']) + cents(t['shipping_tax_total']) for t in order['tax_lines']) == vat
    rates = {t['rate_id']: t['rate_percent'] for t in order['tax_lines']}
    for p in parts:
        [tax] = p['taxes']
        gross = cents(p['total']) + cents(p['total_tax'])
        permille = round(rates[tax['id']] * 10)
        # tax out of a gross price, half up
        assert cents(p['total_tax']) == (gross * permille * 2 + 1000 + permille) // (2 * (1000 + permille))
    return net, vat


def test_sums_and_shapes(tmp_path, far):
    f = far()
    r = sim(tmp_path, f, orders=300)
    assert r.returncode == 0 and len(r.orders) == 300
    last = {}
    seen = Counter()
    for x in f.got:
        if x['path'] != '/in/shop':
            continue
        order = json.loads(x['body'])
        net, vat = body_sums(order)
        seen['company'] += bool(order['billing']['company'])
        seen['vat id'] += any(m['key'] == '_vat_number' for m in order['meta_data'])
        seen['coupon'] += bool(order['coupon_lines'])
        seen['fee'] += bool(order['fee_lines'])
        seen['no shipping'] += not order['shipping_lines']
        seen['gift card'] += bool(order['gift_cards'])
        seen['two rates'] += len(order['tax_lines']) > 1
        seen['many lines'] += len(order['line_items']) > 4
        seen['on hold'] += order['status'] == 'on-hold'
        seen['elsewhere'] += order['shipping']['city'] != order['billing']['city']
        seen['åäö'] += any(c in x['body'].decode() for c in 'ÅÄÖåäö')
        if order['number'] not in last or order['date_modified_gmt'] > last[order['number']][0]:
            last[order['number']] = (order['date_modified_gmt'], net, vat)
    assert len(seen) == 11 and min(seen.values()) > 0, seen
    # what the log says is what was sent
    assert {o['number'] for o in r.orders} == set(last) == {str(n) for n in range(1001, 1301)}
    paid = Counter()
    for x in f.got:
        if x['path'] == '/in/payments':
            q = dict(x['query'])
            if q['checkout-status'] == 'ok':
                paid[q['checkout-reference']] = int(q['checkout-amount'])
    fates = Counter()
    for o in r.orders:
        _, net, vat = last[o['number']]
        assert (cents(o['net']), cents(o['vat']), cents(o['gross'])) == (net, vat, net + vat)
        parts = o['lines'] + o['shipping'] + o['fees']
        assert sum(cents(p['net']) for p in parts) == net and sum(cents(p['vat']) for p in parts) == vat
        assert sum(cents(p['net']) for p in o['by_rate']) == net and sum(cents(p['vat']) for p in o['by_rate']) == vat
        assert cents(o['captured']) - cents(o['by_card']) == paid[o['number']] and cents(o['captured']) in (0, net + vat)
        assert all(m['status'] == 200 for m in o['messages'])
        fates[o['fate']] += 1
    assert len(fates) >= 11, fates


def test_the_same_seed_is_the_same_day(tmp_path, far):
    days = []
    for n, (seed, more) in enumerate(((7, ()), (7, ('--parallel', '1')), (8, ()))):
        f = far()
        folder = tmp_path / str(n)
        folder.mkdir()
        r = sim(folder, f, '--at', '2026-03-01T10:00:00Z', *more, seed=seed, orders=30)
        assert r.returncode == 0
        days.append((sorted(x['body'] for x in f.got), {o['number']: o['gross'] for o in r.orders}))
    assert days[0] == days[1] != days[2]


def test_orders_are_told_backwards_and_twice(tmp_path, far):
    f = far()
    assert sim(tmp_path, f, '--parallel', 32, orders=120).returncode == 0
    told = {}
    for x in f.got:
        if x['path'] == '/in/shop':
            o = json.loads(x['body'])
            told.setdefault(o['number'], []).append((x['headers']['x-wc-webhook-topic'], o['date_modified_gmt'], o['status']))
    kinds = Counter()
    for steps in told.values():
        times = [t for _, t, _ in steps]
        kinds['backwards'] += times != sorted(times)
        kinds['once'] += len(steps) == 1
        kinds['twice the same'] += any(a[1:] == b[1:] for a, b in zip(steps, steps[1:]))
    assert min(kinds.values()) > 0, kinds


def test_it_comes_again_when_nobody_takes_it(tmp_path, far):
    f = far(lambda n, _: (503, {'Retry-After': '1'}) if n % 3 == 0 else (200, {}))
    r = sim(tmp_path, f, orders=20)
    assert r.returncode == 0, r.stdout
    assert any(m['tries'] > 1 for o in r.orders for m in o['messages'])
    bodies = Counter((x['body'], tuple(x['query'])) for x in f.got)
    assert max(bodies.values()) > 1


def test_a_refusal_is_told(tmp_path, far):
    f = far(lambda n, x: (401, {}) if x['path'] == '/in/payments' else (200, {}))
    r = sim(tmp_path, f, orders=10)
    assert r.returncode == 1 and 'first refusal' in r.stdout and '401' in r.stdout


def test_nobody_there(tmp_path):
    r = sim(tmp_path, None, '--patience', 0, orders=2)
    assert r.returncode == 1 and 'connect' in r.stdout


def test_numbers_go_on(tmp_path, far):
    f = far()
    assert sim(tmp_path, f, orders=5, first=None).returncode == 0
    r = sim(tmp_path, f, orders=5, first=None)
    assert sorted(o['number'] for o in r.orders) == ['1006', '1007', '1008', '1009', '1010']


def test_what_cannot_be_played(tmp_path, far):
    r = sim(tmp_path, far(), packs=('ledger',))
    assert r.returncode == 4 and 'ledger' in r.stderr
    r = sim(tmp_path, far(), '--oders', 3)
    assert r.returncode == 2 and '--orders' in r.stderr
    r = sim(tmp_path, far(), '--at', 'tomorrow')
    assert r.returncode == 2
