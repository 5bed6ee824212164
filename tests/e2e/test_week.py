"""A shop's week on one timeline, messages late, doubled and out of order, its parcels
and its warehouse; the books, the parcels and the stock computed here, to the
cent, from what the simulator says happened."""
import json
import os
import subprocess
import time
import urllib.request
from collections import Counter

import pytest

from harness import PROGRAM, ROOT, books, cents, free_port, until
from test_day import agree, systems
from vyclient import Client, No

BEGINS = '2026-03-02T00:00:00Z'
PACKS = ('woocommerce', 'paytrail', 'pakettikauppa', 'stock-csv')
PRODUCTS = '/wp-json/wc/v3/products'


def everything(v, live=True):
    """The systems of a whole shop; `live`: it answers, and takes the stock."""
    found = {**systems(v.books),
             'parcels': {'use': 'pakettikauppa', 'of': 'shop', 'secret': 'week-parcels-secret', 'returns': 'R'},
             'depot': {'use': 'stock-csv', 'folder': str(v.folder / 'lists'), 'stable': '1s'}}
    if live:
        found['shop'].update(url=f'http://127.0.0.1:{free_port()}', key='ck_1', secret='cs_1', local=True, mode='live', since=BEGINS[:10])
    return found


class Week:
    """`vayla sim --week --stay`: what it played, and the far sides that answer on."""

    def __init__(self, v, folder, *words, packs=PACKS):
        self.v, self.log, self.out = v, folder / 'sim.log', folder / 'sim.out'
        self.log.unlink(missing_ok=True)
        with open(self.out, 'wb') as out:
            self.process = subprocess.Popen(
                [str(PROGRAM), 'sim', *packs, '--config', str(v.file), '--log', str(self.log), '--week', '--stay', '--first', '1001',
                 '--at', BEGINS, '--quiet', *map(str, words)], cwd=ROOT, stdout=out, stderr=out)

    def played(self):
        """True once all is sent."""
        said = self.out.read_text()
        if self.process.poll() is None and '\nordered ' not in said:
            return False
        assert self.process.poll() is None, said
        *self.orders, self.warehouse = [json.loads(x) for x in self.log.read_text().splitlines()]
        self.sent = [m for o in self.orders for m in o['messages']]
        assert all(200 <= m['status'] < 300 for m in self.sent if not m['lost']), said
        assert all(m['status'] == 0 for m in self.sent if m['lost'])
        for o in self.orders:
            assert cents(o['refunded']) == sum(cents(c['gross']) for c in o['credits']) <= cents(o['captured']) - cents(o['by_card']), o
        self.counts = Counter(credits=sum(len(o['credits']) for o in self.orders), late=sum(m['late'] for m in self.sent),
                              again=sum(m['copy'] > 0 for m in self.sent), lost=sum(m['lost'] for m in self.sent), sent=len(self.sent),
                              parcels=sum(len(o['parcels']) for o in self.orders))
        return True

    def stock(self):
        """{article: how many}, as the shop has it now."""
        ask = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        end = time.monotonic() + 60
        while True:
            try:
                with ask.open(self.v.config['systems']['shop']['url'] + PRODUCTS + '?per_page=100', timeout=20) as r:
                    found = json.load(r)
                if isinstance(found, list):
                    return {p['sku']: p['stock_quantity'] for p in found}
            except (OSError, ValueError):
                pass        # it is a shop that has bad moments
            except Exception as e:
                assert type(e).__name__ in ('IncompleteRead', 'BadStatusLine', 'RemoteDisconnected'), e
            assert time.monotonic() < end, 'the shop never answers'

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(30) == 0, self.out.read_text()
        return self.out.read_text()


@pytest.fixture
def week(tmp_path):
    """week(v, ...): a Week that is over, and ends with the test."""
    made = []

    def make(v, *words, seconds=300, **kw):
        folder = tmp_path / f'w{len(made)}'
        folder.mkdir()
        made.append(Week(v, folder, *words, **kw))
        if seconds:
            until(made[-1].played, seconds)
        return made[-1]
    yield make
    for w in made:
        if w.process.poll() is None:
            w.process.kill()
            w.process.wait()


def wrong(bus, o):
    """What of an order's money is not as it should be, or of its last state, or None."""
    try:
        t = bus.ask('timeline', subject=f"order:shop/{o['number']}")
    except No as e:
        return str(e)
    money = t['money']
    told = [r['data'].get('source_status') for r in t['records'] if r['kind'] == 'event' and r['type'] == 'order.placed']
    if not told or told[-1].replace('-', '_') != o['status']:
        return f'told {told}: {o}'
    money = {k: cents(x.data.decode()) for k, x in money.items() if hasattr(x, 'data')}
    ordered = 0 if o['status'] == 'cancelled' else cents(o['gross'])
    credited = sum(cents(c['gross']) for c in o['credits'])
    captured, refunded = cents(o['captured']), cents(o['refunded'])
    want = {'ordered': ordered, 'credited': credited, 'captured': captured, 'refunded': refunded,
            'open': ordered - credited - captured + refunded}
    return None if money == want else f'{money} is not {want}: {o}'


def astray(bus, o, p):
    """What of a parcel is not as it should be, or None."""
    try:
        records = bus.ask('timeline', subject=f"parcel:{p['number']}")['records']
        order = bus.ask('find', word=p['number'])
    except No as e:
        return str(e)
    mine = [r for r in records if r['kind'] == 'event']
    scans = [r['id'] for r in mine if r['type'] == 'shipment.checkpoint']
    said = [r for r in mine if r['type'] == 'shipment.status_changed']
    last = said[-1]['data'] if said else {}
    got = (len(scans), len(set(scans)), last.get('status'), last.get('direction'), order)
    want = (p['scans'], p['scans'], p['end'], p['direction'], [f"order:shop/{o['number']}"])
    return None if got == want else f'{got} is not {want}: {p}'


def equation(v, orders):
    """ordered - credited = captured - refunded + still open, for each order, and
    each parcel is where it is; the timeline follows the journal, so it is given a
    moment."""
    bus = Client(v.bus, 'week', 'operator', access=v.data / 'access')
    bus.hello()
    end = time.monotonic() + 60
    for o in orders:
        while (bad := wrong(bus, o)) is not None:
            assert time.monotonic() < end, bad
            time.sleep(0.1)
        for p in o['parcels']:
            while (bad := astray(bus, o, p)) is not None:
                assert time.monotonic() < end, bad
                time.sleep(0.1)
    bus.close()


def to_sell(w):
    """What the shop has to sell by our own count: what the warehouse's last list says
    (what stood there, left, and came back) less what orders hold that it has not sent."""
    held = {a['sku']: a['start'] for a in w.warehouse['stock']}
    for o in w.orders:
        for m in o['moves']:
            held[m['sku']] += m['delta']
    assert held == {a['sku']: a['end'] for a in w.warehouse['stock']} and min(held.values()) > 0
    for o in w.orders:
        for x in o['lines']:
            held[x['sku']] -= x['quantity'] if o['status'] in ('processing', 'on_hold') else 0
    return held


def next_list(v, w, n=1):
    """The warehouse makes its list again, an hour later: nothing has changed there."""
    lists = v.folder / 'lists'
    until(lambda: len(list((lists / 'done').glob('*.csv'))) == w.warehouse['lists'] + n - 1, 60)
    last = max((lists / 'done').glob('*.csv'), key=lambda p: p.stat().st_mtime)
    part, when = lists / '.next.part', last.stat().st_mtime + 3600
    part.write_bytes(last.read_bytes())
    os.utime(part, (when, when))
    part.rename(lists / f'next-{n}.csv')
    until(lambda: len(list((lists / 'done').glob('*.csv'))) == w.warehouse['lists'] + n, 60)


def at_rest(v, seconds=60):
    """Nothing to deliver, nothing that waits, nobody to be asked."""
    until(lambda: not any(v.status()['counts'][x] for x in ('ready', 'retry', 'wait', 'behind')), seconds, 0.2)
    held = v.status()['counts']
    assert held['parked'] == held['ask'] == 0, v.command('inbox', 'list', check=False).stdout


def test_a_week(vayla, week):
    v = vayla({})
    v.config['systems'] = everything(v, live=False)
    v.start()
    w = week(v, '--orders', 150, '--seed', os.environ.get('VAYLA_SEED', '7'))
    orders, counts = w.orders, w.counts
    assert len(orders) == 150 and len({o['fate'] for o in orders}) >= 9
    assert counts['late'] > 20 and counts['again'] > 20 and counts['credits'] > 20 and not counts['lost'], counts
    clothes = [o for o in orders if cents(o['captured']) and any(x['sku'].startswith(('PELLAVA', 'VILLA')) for x in o['lines'])]
    assert 0.4 < sum(bool(o['credits']) for o in clothes) / len(clothes) < 0.8
    assert any(len(o['credits']) > 1 for o in orders) and any(x['quantity'] == 0 for o in orders for c in o['credits'] for x in c['lines'])
    assert any(not c['lines'] for o in orders for c in o['credits']), 'a sum without lines'
    assert any(cents(o['by_card']) for o in orders), 'a gift card'
    ways = {p['way'] for o in orders for p in o['parcels']}
    assert len(ways) == 7 and any(len(o['parcels']) == 2 for o in orders), ways
    at_rest(v)
    agree(orders, v.books, revised=True)
    assert len([t for t in books(v.books) if 'payout' in t['tags']]) == 4     # of 40 orders each
    equation(v, orders)
    w.end()
    assert v.stop() == 0


def test_the_same_seed_is_the_same_week(vayla, week):
    v = vayla({})
    v.config['systems'] = everything(v, live=False)
    v.start()
    words = ('--orders', 40, '--seed', 3, '--lists', 2)
    first = week(v, *words)
    v.settled()
    before = (v.books / 'books.journal').read_bytes()
    until(lambda: len(list((v.folder / 'lists' / 'done').iterdir())) == 2)
    events = v.status()['counts']['events']
    first.end()
    second = week(v, *words)

    def told(w):
        return [{**o, 'messages': [{**m, 'tries': 0} for m in o['messages']]} for o in w.orders], w.warehouse
    assert told(first) == told(second)
    until(lambda: len(list((v.folder / 'lists' / 'done').iterdir())) == 4)
    assert v.status()['counts']['events'] == events
    v.settled()
    assert (v.books / 'books.journal').read_bytes() == before
    second.end()
    assert told(week(v, '--orders', 40, '--seed', 4, '--lists', 2)) != told(first)


def test_far_sides_with_bad_moments(vayla, week):
    """The shop is asked for what its webhooks lost, and told of its stock; a third of
    the time it answers 500, 429, HTML, FAILED, by half, late or not at all."""
    v = vayla({})
    v.config['systems'] = everything(v)
    v.start()
    w = week(v, '--orders', 150, '--seed', 5, '--far-faults', 33, '--lists', 1)
    lost = [m for m in w.sent if m['lost']]
    assert len(lost) > 10 and {m['what'] for m in lost} == {'sim.order', 'sim.refund'}
    v.kill('shop')      # its polls begin anew at once, from where their cursors stand
    equation(v, w.orders)
    at_rest(v, 120)
    agree(w.orders, v.books, revised=True)
    next_list(v, w)
    at_rest(v, 120)
    assert w.stock() == to_sell(w)
    assert 'in vain; ' in w.end()
