"""Parcels from the carrier's push to the order's timeline, through the real
receiver: doubled and reordered pushes, ways back, clocks that go back, and an
order that is found by its parcel's number whichever was known first."""
import itertools
import json
import random
import urllib.parse

import pytest

import sign
from farside import Answer, Far
from harness import FIXTURES, until
from shop import request, send_order, shop_order

PUSH, SHOP = 'push secret', 'shop secret'
FORM = {'Content-Type': 'application/x-www-form-urlencoded'}


@pytest.fixture
def v(vayla):
    return vayla({'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
                  'parcels': {'use': 'pakettikauppa', 'of': 'shop', 'secret': PUSH}}).start()


def scan(number, code, at, **more):
    return {'message_created': at, 'reference': '', 'tracking_code': number, 'measured_weight': '1', 'status_code': code,
            'receiver_name': '', 'event_timestamp': at, 'postcode': '00100', 'post_office': 'HELSINKI', **more}


def push(v, one, sent='1772440000', spoil=False, system='parcels'):
    fields = {'api_key': 'k', 'tracking_code': one['tracking_code'], 'event': one['status_code'], 'timestamp': sent,
              'object': json.dumps(one, ensure_ascii=False)}
    fields['hash'] = sign.form_values(PUSH, fields)
    if spoil:
        fields['event'] = '22'
    return request(f'{v.url}/in/{system}', 'POST', urllib.parse.urlencode(fields).encode(), FORM)


def pushed(v, *scans):
    for i, one in enumerate(scans):
        assert push(v, one, str(1772440000 + i)) == (200, b'{"success":true}')


def show(v, word):
    return json.loads(v.command('order', 'show', str(word), '-o', 'json').stdout)


def find(v, word, subject):
    """The timeline that a word leads to, once it leads to this subject."""
    return until(lambda: (t := show(v, word))['subject'] == subject and t, 20, 0.2)


def events(timeline, kind):
    return [r for r in timeline['records'] if r['kind'] == 'event' and r['type'] == kind]


def whole(v, number, scans, subject=None):
    """The timeline of a parcel once all its scans are in it."""
    def there():
        t = show(v, number)
        return len(events(t, 'shipment.checkpoint')) >= scans and t['subject'] == (subject or f'parcel:{number}') and t
    return until(there, 20, 0.2)


def statuses(timeline):
    return [r['data']['status'] for r in events(timeline, 'shipment.status_changed')]


WAY = [('68', '2026-03-01 08:00:00'), ('13', '2026-03-01 17:00:00'), ('31', '2026-03-02 03:00:00'), ('48', '2026-03-02 03:00:00'),
       ('71', '2026-03-03 07:00:00'), ('56', '2026-03-03 15:00:00'), ('91', '2026-03-03 18:00:00'), ('45', '2026-03-03 18:00:05'),
       ('38', '2026-03-04 10:00:00'), ('22', '2026-03-04 10:01:00')]
SAID = ['announced', 'accepted', 'in_transit', 'out_for_delivery', 'attempt_failed', 'ready_for_pickup', 'delivered']


def test_a_way_and_every_push_twice(v):
    pushed(v, *[scan('JJFI1', *s) for s in WAY for _ in range(2)])
    t = whole(v, 'JJFI1', len(WAY))
    assert statuses(t) == SAID
    assert [e['data']['raw_code'] for e in events(t, 'shipment.checkpoint')] == [code for code, _ in WAY]
    # the second push differs by the moment of sending alone, and is the same event
    assert len(events(t, 'pakettikauppa.event')) == len(WAY)
    assert v.status()['counts']['duplicates'] == len(WAY)
    # told again days later, by the carrier's second thought: new events, no new facts
    pushed(v, *[scan('JJFI1', *s, message_created='2026-03-09 00:00:00', post_office='HKI') for s in WAY])
    until(lambda: len(events(show(v, 'JJFI1'), 'pakettikauppa.event')) == 2 * len(WAY), 20, 0.2)
    t = show(v, 'JJFI1')
    assert statuses(t) == SAID and len(events(t, 'shipment.checkpoint')) == len(WAY)
    assert {r['revision'] for r in t['records'] if r['kind'] == 'event'} == {1} and not t['open']


def test_any_order_gives_the_same_scans_and_the_same_end(v):
    rng = random.Random(7)
    back = WAY[:7] + [('77', '2026-03-11 09:00:00'), ('31', '2026-03-12 09:00:00'), ('22', '2026-03-13 09:00:00')]
    ways = {'away': (WAY, 'delivered'), 'back': (back, 'returned'), 'open': (WAY[:6], 'attempt_failed'),
            'tie': (WAY[2:8], 'ready_for_pickup')}
    want = {}
    for name, (way, _) in ways.items():
        for n in range(6):
            order = list(way) if n == 0 else list(reversed(way)) if n == 1 else rng.sample(way, len(way))
            pushed(v, *[scan(f'JJFI-{name}-{n}', *s) for s in order])
    for name, (way, end) in ways.items():
        for n in range(6):
            t = whole(v, f'JJFI-{name}-{n}', len(way))
            scans = sorted((e['data']['occurred_at'], e['data']['raw_code'], e['data']['status'])
                           for e in events(t, 'shipment.checkpoint'))
            assert scans == want.setdefault(name, scans), (name, n)
            changes = events(t, 'shipment.status_changed')
            assert changes[-1]['data']['status'] == end, (name, n, statuses(t))
            for a, b in itertools.pairwise(c['data'] for c in changes):
                assert a['status'] == b['previous'] != b['status']
                # later on the way, or further than it; but for the one step after the end
                assert a['changed_at'] <= b['changed_at'] or b['status'] in ('delivered', 'returning', 'returned')
                assert a['status'] not in ('delivered', 'returned') or (a['status'], b['status']) == ('delivered', 'returned')


def test_a_replay_of_the_same_mapping_changes_nothing(v):
    late = [WAY[0], WAY[2], WAY[1], WAY[6], WAY[4], WAY[9], WAY[7]]
    pushed(v, *[scan('JJFI9', *s) for s in late])
    before = whole(v, 'JJFI9', len(late))
    said = v.command('replay', 'plan', 'parcels/pakettikauppa.event').stdout
    assert f'{len(late)} events: {len(late)} the same, 0 would change, 0 would be held' in said, said
    assert show(v, 'JJFI9') == before


def test_handed_over_on_the_way_back_is_no_delivery(v):
    pushed(v, scan('JJFI2', '91', '2026-03-03 18:00:00'), scan('JJFI2', '77', '2026-03-11 09:00:00'),
           scan('JJFI2', '22', '2026-03-13 09:00:00'), scan('JJFI2', '22', '2026-03-13 09:00:00'))
    t = whole(v, 'JJFI2', 3)
    assert statuses(t) == ['ready_for_pickup', 'returning', 'returned']
    assert [e['data']['direction'] for e in events(t, 'shipment.status_changed')] == ['out', 'return', 'return']


def test_clocks_that_go_back_and_forth(v):
    # 03:30 comes twice on 25 October: the first is meant, in whatever order it is told
    pushed(v, scan('JJFI3', '31', '2026-10-25 03:30:00'), scan('JJFI3', '71', '2026-10-25 04:30:00'),
           scan('JJFI3', '13', '2026-10-25 02:59:59'), scan('JJFI3', '31', '2026-10-25 03:30:00', post_office='TURKU'))
    t = whole(v, 'JJFI3', 3)
    at = {e['data']['raw_code']: e['data'] for e in events(t, 'shipment.checkpoint')}
    assert len(at) == 3 and at['31']['occurred_at'] == '2026-10-25T00:30:00Z' and at['71']['occurred_at'] == '2026-10-25T02:30:00Z'
    assert at['13']['occurred_at'] == '2026-10-24T23:59:59Z'
    assert at['31']['local_time'] == '2026-10-25 03:30:00' and at['31']['zone'] == 'Europe/Helsinki'
    assert statuses(t) == ['in_transit', 'out_for_delivery']
    # 03:30 on 29 March was never
    pushed(v, scan('JJFI4', '31', '2026-03-29 02:59:59'), scan('JJFI4', '71', '2026-03-29 03:30:00'),
           scan('JJFI4', '91', '2026-03-29 04:31:00'))
    t = whole(v, 'JJFI4', 3)
    assert [e['data']['occurred_at'] for e in events(t, 'shipment.checkpoint')] == \
        ['2026-03-29T00:59:59Z', '2026-03-29T01:30:00Z', '2026-03-29T01:31:00Z']
    assert statuses(t) == ['in_transit', 'out_for_delivery', 'ready_for_pickup']


def test_a_push_that_proves_nothing(v):
    assert push(v, scan('JJFI5', '31', '2026-03-01 08:00:00'), spoil=True)[0] == 401
    one = scan('JJFI5', '31', 'tomorrow')
    pushed(v, one)                      # stored, and held where a person sees it
    t = until(lambda: (t := show(v, 'JJFI5'))['open'] and t, 20, 0.2)
    assert 'event_timestamp' in json.dumps(t['open']) and not events(t, 'shipment.checkpoint')
    assert v.status()['counts']['events'] == 1


def test_an_order_is_found_by_its_parcel(v):
    def order(number):
        assert send_order(v, SHOP, shop_order(number), 'order.created', 'shop')[0] == 200
    # the parcel known first, and of another carrier; then its order; then scans go on
    pushed(v, scan('MH700', '68', '2026-03-01 08:00:00'))
    assert show(v, 'MH700')['subject'] == 'parcel:MH700'
    pushed(v, scan('MH700', '13', '2026-03-01 09:00:00', reference='1042'))
    t = find(v, 'MH700', 'order:shop/1042')
    assert not events(t, 'order.placed') and len(events(t, 'shipment.checkpoint')) == 2
    order(1042)
    pushed(v, scan('MH700', '31', '2026-03-02 09:00:00', reference='1042'))
    t = whole(v, 'MH700', 3, 'order:shop/1042')
    assert len(events(t, 'order.placed')) == 1 and statuses(t) == ['announced', 'accepted', 'in_transit']
    assert len(events(t, 'shipment.requested')) == 1 and 'parcel:MH700' in t['refs']
    assert [r['seq'] for r in t['records']] == sorted({r['seq'] for r in t['records']})
    # the order first, two parcels of it; by its own number the same
    order(1043)
    pushed(v, scan('JJFI701', '68', '2026-03-01 08:00:00', reference='1043'),
           scan('JJFI702', '68', '2026-03-01 08:00:00', reference='1043'))
    t = whole(v, 'JJFI702', 2, 'order:shop/1043')
    assert t == show(v, 'JJFI701') == show(v, '1043') == show(v, 'parcel:JJFI701')
    assert {e['subject'] for e in events(t, 'shipment.checkpoint')} == {'parcel:JJFI701', 'parcel:JJFI702'}
    assert t['money']['ordered'] == show(v, 'order:shop/1043')['money']['ordered']


def test_the_shop_names_the_parcel(v):
    pushed(v, scan('JJFI800', '68', '2026-03-01 08:00:00'), scan('JJFI801', '68', '2026-03-01 08:00:00'))
    meta = [{'id': 1, 'key': '_wc_shipment_tracking_items', 'value': [{'tracking_provider': 'posti', 'tracking_number': 'JJFI 800'}]},
            {'id': 2, 'key': '_wc_pakettikauppa_tracking_code', 'value': 'JJFI801'}]
    assert send_order(v, SHOP, {**shop_order(1050), 'meta_data': meta}, 'order.updated', 'shop')[0] == 200
    t = whole(v, 'JJFI800', 2, 'order:shop/1050')
    assert t == show(v, 'JJFI801') and len(events(t, 'order.placed')) == 1


def test_asked_and_pushed_is_one_parcel(vayla):
    """The shop names two parcels; both carriers are asked for them until they
    are at an end; a list of the account and a push say the same once more."""
    name, other = 'JJFI00000000000001', 'MH00000000001'
    way = [('2026-05-28T09:50:00.000Z', 'We have received information about an upcoming delivery from the sender'),
           ('2026-05-28T17:54:17.000Z', 'The item is in sorting'), ('2026-06-01T06:18:33.000Z', 'Item is ready for a pick up '),
           ('2026-06-08T05:13:14.000Z', 'Item has not been collected.Returned to sender.'),
           ('2026-06-09T07:18:42.000Z', 'No digital signature was received.'),
           ('2026-06-09T07:18:42.000Z', 'The item has been delivered')]
    said = {
        '/token': {'access_token': 'a', 'token_type': 'Bearer', 'expires_in': 3600},
        f'/tracking/{name}': {'displayId': name, 'status': {'main': 'RETURN_DELIVERED'}, 'events': [
            {'timestamp': t, 'eventDescription': d, 'city': None} for t, d in reversed(way)]},
        '/account': {'shipments': [{'trackingNumbers': [name], 'shipmentPhase': 'IN_TRANSPORT', 'events': [
            {'timestamp': t, 'eventDescription': [{'lang': 'en', 'value': d}], 'eventLocation': None} for t, d in way[:2]]}]},
        '/search/trackingInfo': {'parcelNumber': other, 'returnShipment': False, 'trackingEvents': [
            {'date': '05.03.2026', 'time': '12:05', 'description': 'The consignment has been delivered.', 'place': None},
            {'date': '04.03.2026', 'time': '12:05', 'description': 'Consignment is being processed', 'place': 'Kuopio'}]}}
    far = Far()
    far.always = lambda q: Answer(200, said[q['path']]) if q['path'] in said else Answer(404, {})
    v = vayla({'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
               'posti': {'use': 'posti', 'mode': 'live', 'local': True, 'token_url': far.url + '/token', 'client_id': 'c',
                         'secret': 's', 'number_url': far.url + '/tracking', 'account_url': far.url + '/account'},
               'bus': {'use': 'matkahuolto', 'mode': 'live', 'local': True, 'url': far.url},
               'parcels': {'use': 'pakettikauppa', 'of': 'shop', 'secret': PUSH}})
    try:
        v.start()
        meta = [{'id': 1, 'key': '_wc_shipment_tracking_items', 'value': [
            {'tracking_provider': 'Posti', 'tracking_number': name}, {'tracking_provider': 'Matkahuolto', 'tracking_number': other}]}]
        assert send_order(v, SHOP, {**shop_order(1060), 'meta_data': meta}, 'order.updated', 'shop')[0] == 200
        until(lambda: events(show(v, '1060'), 'posti.shipment'), 20, 0.2)
        t = whole(v, '1060', len(way) + 2, 'order:shop/1060')
        ends = {(e['subject'], e['data']['status']) for e in events(t, 'shipment.status_changed')}
        assert (f'parcel:{name}', 'returned') in ends and (f'parcel:{other}', 'delivered') in ends
        assert [e['data']['status'] for e in events(t, 'shipment.checkpoint') if e['subject'] == f'parcel:{name}'] == \
            ['announced', 'in_transit', 'ready_for_pickup', 'returning', 'unknown', 'delivered']
        v.settled()                     # both ways are at an end: nobody asks on
        assert show(v, '1060')['open'] == []
        asked = [len(far.of('GET', path)) for path in said]
        assert asked[1] == asked[3] == 1
        # the account's list is asked again after a restart: the same bytes, nothing new
        before = v.status()['counts']['events']
        v.stop()
        v.start()
        until(lambda: len(far.of('GET', '/account')) > asked[2])
        # a push of the same parcel: a scan, and no change
        changes = len(events(t, 'shipment.status_changed'))
        pushed(v, scan(name, '22', '2026-06-09 10:18:42', reference='1060'))
        t = whole(v, name, len(way) + 3, 'order:shop/1060')
        assert len(events(t, 'shipment.status_changed')) == changes and len(events(t, 'posti.shipment')) == 1
        assert v.status()['counts']['events'] == before + 3     # the push, its scan, and its word for the order
    finally:
        v.stop()
        far.stop()


# EVENTS: what each text of Matkahuolto's says; a text that is not here fails
TEXTS = {
    'The consignment has been delivered.': 'delivered', 'The shipment is available for pickup': 'ready_for_pickup',
    'Consignment is being processed': 'in_transit', 'The consignment is on its way': 'in_transit',
    'Matkahuolto is waiting for the consignment from the sender.': 'announced',
    'We have sent the recipient a message': 'unknown', 'We will deliver the consignment to the pickup point': 'unknown',
    'Your parcel has been sorted': 'unknown', 'The consignment is ready to continue its journey': 'unknown'}


@pytest.mark.skipif(not (FIXTURES / 'matkahuolto').is_dir(), reason=f'NO FIXTURES in {FIXTURES}')
def test_every_text_of_matkahuolto(vayla):
    v = vayla({'m': {'use': 'matkahuolto'}})
    texts, seen = 0, set()
    for file in sorted((FIXTURES / 'matkahuolto').glob('*.json')):
        said = v.command('map', 'run', 'mappings/matkahuolto/tracking.map.yaml', str(file)).stdout
        scans = [e['data'] for e in map(json.loads, said.splitlines()) if e['type'] == 'shipment.checkpoint']
        there = json.loads(file.read_text()).get('trackingEvents', [])
        assert len(scans) == len(there)
        for one, raw in zip(scans, reversed(there)):
            assert one['raw_text'] == raw['description'] and one['local_time'] == f"{raw['date']} {raw['time']}"
            [want] = [(k, status) for k, status in TEXTS.items() if raw['description'].startswith(k)]
            assert one['status'] == want[1], raw['description']
            texts += 1
            seen.add(want[0])
    assert texts > 0 and seen == set(TEXTS)
