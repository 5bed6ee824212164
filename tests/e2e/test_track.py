"""A parcel asked for by its number from the day it is known to be one of an
order, until it has arrived; through kills and a far side that is often away."""
import json
import random
import shutil
import urllib.parse

import sign
from farside import Answer, Far
from harness import ROOT, until
from shop import request

PUSH, SHOP = 'push secret', 'shop secret'
WAY = [('2026-05-28T09:50:00.000Z', 'We have received information about an upcoming delivery from the sender', 'WAITING'),
       ('2026-05-28T17:54:17.000Z', 'The item is in sorting', 'IN_TRANSPORT'),
       ('2026-06-01T06:18:33.000Z', 'Item is ready for a pick up ', 'READY_FOR_PICKUP'),
       ('2026-06-02T07:18:42.000Z', 'The item has been delivered', 'DELIVERED')]


def push(v, number, order):
    """The carrier's push that ties a parcel to an order."""
    one = {'message_created': '2026-05-28 12:00:00', 'reference': order, 'tracking_code': number, 'measured_weight': '1', 'status_code': '68',
           'receiver_name': '', 'event_timestamp': '2026-05-28 12:00:00', 'postcode': '00100', 'post_office': 'HELSINKI'}
    fields = {'api_key': 'k', 'tracking_code': number, 'event': '68', 'timestamp': '1772440000', 'object': json.dumps(one)}
    fields['hash'] = sign.form_values(PUSH, fields)
    return request(f'{v.url}/in/parcels', 'POST', urllib.parse.urlencode(fields).encode(),
                   {'Content-Type': 'application/x-www-form-urlencoded'})


def test_parcels_are_asked_for_until_they_have_arrived(vayla, tmp_path):
    packs = shutil.copytree(ROOT / 'mappings', tmp_path / 'packs', ignore=shutil.ignore_patterns('engine'))
    pack = packs / 'posti' / 'pack.yaml'
    assert 'every: 30m' in pack.read_text()
    pack.write_text(pack.read_text().replace('every: 30m', 'every: 1s').replace('per_second: 2', 'per_second: 100'))
    far, rnd, seen = Far(), random.Random(5), {}
    numbers = [f'JJFI6000000000000{n}' for n in range(1000, 1012)]

    def answer(q):
        if q['path'] == '/token':
            return Answer(200, {'access_token': 'a', 'token_type': 'Bearer', 'expires_in': 3600})
        if q['headers'].get('authorization') != 'Bearer a':
            return Answer(401, {})
        if rnd.random() < 0.2:
            return rnd.choice([lambda q: Answer(500), far.cut, lambda q: Answer(200, b'<html>', type='text/html')])(q)
        number = q['path'].rsplit('/', 1)[1]
        with far.lock:
            n = seen[number] = seen.get(number, -1) + 1
        if n == 0:
            return Answer(404, {})
        way = WAY[:(n + 1) // 2]        # each state is told twice
        return Answer(200, {'displayId': number, 'shipmentType': 'PARCEL', 'status': {'main': way[-1][2]}, 'events': [
            {'timestamp': t, 'eventDescription': d, 'city': None} for t, d, _ in reversed(way)]})
    far.always = answer
    try:
        v = vayla({'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
                   'parcels': {'use': 'pakettikauppa', 'of': 'shop', 'secret': PUSH},
                   'posti': {'use': 'posti', 'local': True, 'mode': 'live', 'token_url': far.url + '/token', 'client_id': 'c', 'secret': 's',
                             'number_url': far.url + '/number'}},
                  {'packs': str(packs), 'retry': {'first_ms': 100, 'most_ms': 500, 'attempts': 30}})
        v.start()
        for i, number in enumerate(numbers):
            assert push(v, number, f'10{i}')[0] == 200
        for _ in range(2):
            n = len(far.asked)
            until(lambda: len(far.asked) > n + 20)
            v.kill('posti')
        until(lambda: len(seen) == len(numbers) and all(n >= 7 for n in seen.values()), 90)
        v.settled(60)
        def arrived(number):
            t = json.loads(v.command('order', 'show', number, '-o', 'json').stdout)
            return t if 'delivered' in statuses(t) else None

        def events(t, type):
            return [r for r in t['records'] if r['kind'] == 'event' and r['type'] == type]

        def statuses(t):
            return [r['data']['status'] for r in events(t, 'shipment.status_changed')]
        for number in numbers:
            t = until(lambda: arrived(number), 20, 0.2)
            assert statuses(t)[-1] == 'delivered' and len(statuses(t)) == len(set(statuses(t)))
            assert 1 <= len(events(t, 'posti.tracking')) <= len(WAY), 'what says nothing new is dropped'
            assert len(events(t, 'posti.track')) == 1
        # arrived: nothing is asked any more
        n = len(far.asked)
        assert v.stop() == 0
        assert len(far.asked) <= n + 1
    finally:
        far.stop()


def test_what_is_asked_again_is_not_stuck(vayla, tmp_path):
    """A parcel on its way for weeks: it counts as put off and not as failing, and many short failures in all that time do not end it."""
    packs = shutil.copytree(ROOT / 'mappings', tmp_path / 'packs', ignore=shutil.ignore_patterns('engine'))
    pack = packs / 'posti' / 'pack.yaml'
    pack.write_text(pack.read_text().replace('every: 30m', 'every: 1s').replace('per_second: 2', 'per_second: 100'))
    far, fails, asked = Far(), [], []

    def answer(q):
        if q['path'] == '/token':
            return Answer(200, {'access_token': 'a', 'token_type': 'Bearer', 'expires_in': 3600})
        asked.append(1)
        if fails:
            fails.pop()
            return Answer(500)
        return Answer(200, {'displayId': 'JJFI1', 'shipmentType': 'PARCEL', 'status': {'main': WAY[1][2]}, 'events': [
            {'timestamp': t, 'eventDescription': d, 'city': None} for t, d, _ in reversed(WAY[:2])]})
    far.always = answer
    try:
        v = vayla({'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
                   'parcels': {'use': 'pakettikauppa', 'of': 'shop', 'secret': PUSH},
                   'posti': {'use': 'posti', 'local': True, 'mode': 'live', 'token_url': far.url + '/token', 'client_id': 'c', 'secret': 's',
                             'number_url': far.url + '/number'}},
                  {'packs': str(packs), 'retry': {'first_ms': 50, 'most_ms': 100, 'attempts': 3}}).start()
        assert push(v, 'JJFI60000000000009', '1')[0] == 200

        def put_off():
            c = v.status()['counts']
            return c['deferred'] == 1 and c['retry'] == c['parked'] == c['ask'] == 0
        until(lambda: asked and put_off(), 20)
        assert 'put off, nothing failed' in v.command('status').stdout

        def measured():
            said = request(f'{v.console_url}/metrics')[1].decode().splitlines()
            return 'vayla_open_deferred 1' in said and 'vayla_open_retry 0' in said
        until(measured, 10)
        assert 'Nothing needs a person' in v.command('inbox', 'list').stdout
        for _ in range(3):                        # six failures, of which no three in a row
            fails.extend([1, 1])
            until(lambda: not fails, 20)
            until(put_off, 20)
        v.kill('broker')
        until(lambda: v.command('status', check=False).returncode == 0, 20)
        n = len(asked)
        until(lambda: len(asked) > n and put_off(), 20)
        v.stop()
        assert v.command('verify', v.data).returncode == 0
    finally:
        far.stop()
