"""A shop's week on one timeline, messages late, doubled and out of order; the
books computed here, to the cent, from what the simulator says happened."""
import json
import os
import subprocess
import time
from collections import Counter

from harness import PROGRAM, ROOT, books, cents, free_port, until
from test_day import agree, simulate, systems
from vyclient import Client, No

BEGINS = '2026-03-02T00:00:00Z'


def week(v, folder, *words):
    orders = simulate(v, folder, '--week', '--at', BEGINS, '--quiet', *words)
    sent = [m for o in orders for m in o['messages']]
    assert all(200 <= m['status'] < 300 for m in sent)
    for o in orders:
        assert cents(o['refunded']) == sum(cents(c['gross']) for c in o['credits']) <= cents(o['captured']), o
    return orders, Counter(credits=sum(len(o['credits']) for o in orders), late=sum(m['late'] for m in sent), again=sum(m['copy'] > 0 for m in sent), sent=len(sent))


def wrong(bus, o):
    """What of an order's money is not as it should be, or None."""
    try:
        money = bus.ask('timeline', subject=f"order:shop/{o['number']}")['money']
    except No as e:
        return str(e)
    money = {k: cents(x.data.decode()) for k, x in money.items() if hasattr(x, 'data')}
    ordered = 0 if o['status'] == 'cancelled' else cents(o['gross'])
    credited = sum(cents(c['gross']) for c in o['credits'])
    captured, refunded = cents(o['captured']), cents(o['refunded'])
    want = {'ordered': ordered, 'credited': credited, 'captured': captured, 'refunded': refunded,
            'open': ordered - credited - captured + refunded}
    return None if money == want else f'{money} is not {want}: {o}'


def equation(v, orders):
    """ordered - credited = captured - refunded + still open, for each order; the
    timeline follows the journal, so it is given a moment."""
    bus = Client(v.bus, 'week', 'operator')
    bus.hello()
    end = time.monotonic() + 60
    for o in orders:
        while (bad := wrong(bus, o)) is not None:
            assert time.monotonic() < end, bad
            time.sleep(0.1)
    bus.close()


def test_a_week(vayla, tmp_path):
    folder = tmp_path / 'books'
    v = vayla(systems(folder)).start()
    orders, counts = week(v, tmp_path, '--orders', 150, '--seed', os.environ.get('VAYLA_SEED', '7'))
    assert len(orders) == 150 and len({o['fate'] for o in orders}) >= 9
    assert counts['late'] > 20 and counts['again'] > 20 and counts['credits'] > 20, counts
    clothes = [o for o in orders if cents(o['captured']) and any(x['sku'].startswith(('PELLAVA', 'VILLA')) for x in o['lines'])]
    assert 0.4 < sum(bool(o['credits']) for o in clothes) / len(clothes) < 0.8
    assert any(len(o['credits']) > 1 for o in orders) and any(x['quantity'] == 0 for o in orders for c in o['credits'] for x in c['lines'])
    v.settled(60)
    agree(orders, folder, revised=True)
    assert len([t for t in books(folder) if 'payout' in t['tags']]) == 4     # of 40 orders each
    equation(v, orders)
    held = v.status()['counts']
    assert held['parked'] == held['ask'] == held['wait'] == 0
    assert v.stop() == 0


def test_the_same_seed_is_the_same_week(vayla, tmp_path):
    folder = tmp_path / 'books'
    v = vayla(systems(folder)).start()
    words = ('--orders', 40, '--seed', 3)
    first, _ = week(v, tmp_path, *words)
    v.settled()
    before, events = (folder / 'books.journal').read_bytes(), v.status()['counts']['events']
    second, _ = week(v, tmp_path, *words)

    def told(orders):
        return [{**o, 'messages': [{**m, 'tries': 0} for m in o['messages']]} for o in orders]
    assert told(first) == told(second)
    assert v.status()['counts']['events'] == events
    v.settled()
    assert (folder / 'books.journal').read_bytes() == before
    other, _ = week(v, tmp_path, '--orders', 40, '--seed', 4)
    assert told(other) != told(first)


def test_what_webhooks_lost_is_asked_for(vayla, tmp_path):
    """The shop answers too, a third of the time with 500, 429, HTML or nothing."""
    v, folder = vayla({}), tmp_path / 'books'
    v.config['systems'] = systems(folder)
    v.config['systems']['shop'].update(url=f'http://127.0.0.1:{free_port()}', key='ck_1', secret='cs_1', local=True, since=BEGINS[:10])
    v.start()
    log, out = tmp_path / 'sim.log', open(tmp_path / 'sim.out', 'wb')
    sim = subprocess.Popen([str(PROGRAM), 'sim', 'woocommerce', 'paytrail', '--config', str(v.file), '--log', str(log), '--week', '--first',
                            '1001', '--at', BEGINS, '--orders', '150', '--seed', '5', '--quiet', '--stay', '--far-faults', '33'],
                           cwd=ROOT, stdout=out, stderr=out)
    try:
        until(lambda: (tmp_path / 'sim.out').read_bytes().count(b'\n') > 10, 60)
        orders = [json.loads(x) for x in log.read_text().splitlines()]
        lost = [m for o in orders for m in o['messages'] if m['lost']]
        assert len(lost) > 10 and {m['what'] for m in lost} == {'sim.order', 'sim.refund'}
        assert all(m['status'] == 0 for m in lost)
        v.kill('shop')      # its polls begin anew at once, from where their cursors stand
        equation(v, orders)
        until(lambda: not any(v.status()['counts'][x] for x in ('ready', 'retry', 'wait', 'behind')), 60)
        agree(orders, folder, revised=True)
        held = v.status()['counts']
        assert held['parked'] == held['ask'] == held['wait'] == 0
    finally:
        sim.terminate()
        assert sim.wait(30) == 0
        out.close()
    assert 'things' in (tmp_path / 'sim.out').read_text()
