"""The receiver over real HTTP, before a broker of the test's own: what is taken,
what is refused and how, and that nobody can keep others out."""
import hmac
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse

import msgpack
import pytest

import sign
from fakebroker import FakeBroker
from harness import PROGRAM, ROOT, free_port, until
from shop import request, shop_order

SHOP, PAY, TEST = 'shop secret', 'payments secret', 'test secret'

TEST_PACK = """
pack: tester/1
title: Doors that no real product has all at once
settings:
  secret: {type: text, secret: true, required: true}
receive:
  - path: batch
    items: $in.items
    verify: {hmac: sha256, over: body, encoding: base64, header: X-Sig, key: $settings.secret}
    event: {type: tester.thing, id: id, subject: "thing:{id}"}
  - path: form
    body: form
    verify: {hmac: sha256, over: [{params: {from: form, each: value, join: "&"}}], field: hash, key: $settings.secret}
    event: {type: tester.thing, id: code, subject: "thing:{code}"}
    answer: {status: 202, type: application/json, body: '{"success":true}'}
  - path: jsonform
    body: form
    json: [object]
    items: object
    verify: {hmac: sha256, over: [{params: {from: form, each: value, join: "&"}}], field: hash, key: $settings.secret}
    event: {type: tester.thing, id: code, subject: "thing:{code}"}
  - path: timed
    verify:
      hmac: sha256
      over: [timestamp, {text: "."}, body]
      header: X-Time-Sig
      split: ","
      prefix: "v1="
      key: $settings.secret
      timestamp: {header: X-Time-Sig, split: ",", prefix: "t=", unit: s, within: 5m}
    event: {type: tester.thing, id: id, subject: "thing:{id}"}
  - path: url
    method: [POST, PUT]
    verify: {hmac: sha256, over: [{text: "{$request.method} {$request.url}\\n"}, body], header: X-Sig, key: $settings.secret}
    event: {type: tester.thing, id: id, subject: "thing:{id}", time: at}
  - path: xml
    body: xml
    verify: {hmac: sha256, over: body, encoding: base64, header: X-Sig, key: $settings.secret}
    event: {type: tester.paper, id: Doc.Id, subject: "thing:{Doc.Id}"}
  - path: small
    max_body: 100
    verify: {hmac: sha256, over: body, encoding: base64, header: X-Sig, key: $settings.secret}
    by: topic
    rows:
      thing: {type: tester.thing, id: id, subject: "thing:{id}"}
    else: keep
"""


class Bus(FakeBroker):
    """Takes events; a test says what they are answered with."""

    def __init__(self, address):
        self.events = []
        self.mode = 'ok'  # ok | retry | reject | silent
        super().__init__(address, 'receiver')
        self.reports = {}

    def publish(self, header, blob):
        assert header['n'] == self.n + 1
        self.n = header['n']
        unpacker = msgpack.Unpacker(timestamp=3)
        unpacker.feed(blob)
        records = list(unpacker)
        assert len(records) == header['count'] and all(kind == 1 for kind, _ in records)
        if self.mode == 'silent':
            return
        if self.mode == 'ok':
            self.events += [e for _, e in records]
        elif self.mode == 'retry':
            self.send(b'PUBNO', {'n': self.n, 'class': 'RETRY', 'code': 'FULL', 'text': 'disk full', 'retry_ms': 7000})
        else:
            self.send(b'PUBNO', {'n': self.n, 'class': 'REJECT', 'code': 'LIMIT', 'text': 'too deep for us', 'retry_ms': 0})
        self.send(b'PUBOK', {'upto': self.n})


class Receiver:
    def __init__(self, folder):
        packs = folder / 'packs'
        packs.mkdir()
        for name in ('canonical', 'woocommerce', 'paytrail'):
            shutil.copytree(ROOT / 'mappings' / name, packs / name)
        (packs / 'tester').mkdir()
        (packs / 'tester' / 'pack.yaml').write_text(TEST_PACK.lstrip())
        (packs / 'tester' / 'schema').mkdir()
        (packs / 'tester' / 'schema' / 'tester.paper.yaml').write_text(
            'schema: tester.paper/1\ntitle: XML\nopen: true\nfields:\n  Doc: {fields: {Id: text, Amt?: {fields: {$Ccy?: text, $: decimal}}, '
            'Row?: {many: true, fields: {N: text}}}}\n')
        bus = f'ipc://{folder}/bus'
        self.port = free_port()
        self.url = f'http://127.0.0.1:{self.port}'
        self.file, self.log, self.data = folder / 'vayla.yaml', folder / 'log', folder / 'data'
        self.file.write_text(json.dumps({
            'broker': {'data': str(self.data), 'bus': bus, 'console': 'http://127.0.0.1:1', 'packs': str(packs)},
            'receiver': {'listen': self.url, 'public': 'https://hooks.example.fi/v'},
            'systems': {'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
                        'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY},
                        'test': {'use': 'tester', 'secret': TEST}}}))
        self.bus = Bus(bus)
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen([str(PROGRAM), 'connector', 'receiver', str(self.file)], cwd=ROOT,
                                            stdout=log, stderr=log)
        try:
            until(self.ready, 20)
        except AssertionError:
            self.stop()
            raise AssertionError(self.log.read_text())

    def ready(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            return request(self.url + '/readyz')[0] == 200
        except OSError:
            return False

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(20)
        self.bus.stop()
        assert status == 0, (status, self.log.read_text()[-3000:])

    def counts(self):
        status, body = request(self.url + '/metrics')
        assert status == 200
        out = {}
        for line in body.decode().splitlines():
            if line.startswith('vayla_receiver_requests_total{system="'):
                _, system, _, outcome, rest = line.split('"')
                out[system, outcome] = int(rest.rsplit(' ', 1)[1])
        return out

    def ids(self):
        return [e['id'] for e in self.bus.events]


@pytest.fixture(scope='module')
def receiver(tmp_path_factory):
    made = Receiver(tmp_path_factory.mktemp('receiver'))
    yield made
    made.stop()


@pytest.fixture
def r(receiver):
    receiver.bus.mode = 'ok'
    receiver.bus.events.clear()
    return receiver


def order(r, number=1042, secret=SHOP, topic='order.created', body=None, **headers):
    if body is None:
        body = json.dumps(shop_order(number)).encode()
    h = {'Content-Type': 'application/json', 'X-WC-Webhook-Topic': topic,
         'X-WC-Webhook-Signature': sign.body_base64(secret, body), **headers}
    return request(f'{r.url}/in/shop', 'POST', body, {k: v for k, v in h.items() if v is not None})


def callback(r, secret=PAY, spoil=None, **over):
    q = {'checkout-account': '375917', 'checkout-algorithm': 'sha256', 'checkout-amount': '7260',
         'checkout-stamp': 's1', 'checkout-reference': '1042', 'checkout-transaction-id': 'tx-1',
         'checkout-status': 'ok', 'checkout-provider': 'nordea', **over}
    q['signature'] = sign.sorted_params(secret, q)
    if spoil:
        spoil(q)
    return request(f'{r.url}/in/payments?{urllib.parse.urlencode(q)}')


def to_test(r, path, body, headers=None, secret=TEST, type='application/json'):
    return request(f'{r.url}/in/test/{path}', 'POST', body,
                   {'Content-Type': type, 'X-Sig': sign.body_base64(secret, body), **(headers or {})})


def delta(r, what):
    before = r.counts()
    answer = what()
    after = r.counts()
    return answer, {k: after[k] - before.get(k, 0) for k in after if after[k] != before.get(k, 0)}


# ---- what is taken ----

def test_a_signed_order_is_published_as_it_came(r):
    (status, body), counted = delta(r, lambda: order(r))
    assert (status, body) == (200, b'')
    assert counted == {('shop', 'stored'): 1}
    [event] = r.bus.events
    assert event['source'] == 'shop' and event['type'] == 'woocommerce.order' and event['subject'] == 'order:1042'
    assert event['person'] == 'aino.1042@example.fi'
    assert event['data']['id'] == 5001042 and event['data']['line_items'][0]['total'] == '39.00'
    # the number that is no text in the source keeps its digits
    assert event['data']['line_items'][0]['price'] == msgpack.ExtType(68, b'19.5')
    assert set(event) <= {'id', 'source', 'type', 'subject', 'data', 'time', 'person', 'specversion', 'traceparent'}


def test_the_same_again_is_the_same_event_whatever_carried_it(r):
    assert order(r)[0] == 200
    assert order(r, **{'X-WC-Webhook-Delivery-ID': 'another'})[0] == 200
    assert order(r, topic='order.updated')[0] == 200
    assert len(r.ids()) == 3 and len(set(r.ids())) == 1
    assert order(r, 1043)[0] == 200
    assert len(set(r.ids())) == 2


def test_a_callback(r):
    assert callback(r) == (200, b'')
    assert callback(r, **{'checkout-algorithm': 'sha512'})[0] == 200
    first, second = r.bus.events
    assert first['type'] == 'paytrail.callback' and first['subject'] == 'order:1042'
    assert first['id'] == second['id'] == 'tx-1:ok'
    assert 'signature' not in first['data'] and first['data']['checkout-amount'] == '7260'
    assert list(first['data']) == sorted(first['data'])


def test_an_unsigned_ping_is_answered_and_not_kept(r):
    answer, counted = delta(r, lambda: request(f'{r.url}/in/shop', 'POST', b'webhook_id=7', {
        'Content-Type': 'application/x-www-form-urlencoded'}))
    assert answer[0] == 200 and not r.bus.events and counted == {('shop', 'ignored'): 1}


def test_a_topic_without_a_row_is_dropped_or_kept(r):
    answer, counted = delta(r, lambda: order(r, topic='coupon.created'))
    assert answer[0] == 200 and not r.bus.events and counted == {('shop', 'dropped'): 1}
    assert to_test(r, 'small', b'{"topic":"odd","id":1}')[0] == 200
    [event] = r.bus.events
    assert (event['type'], event['subject'], event['data']['topic']) == ('tester.unknown', 'tester:unknown', 'odd')
    assert order(r, topic=None)[0] == 400


def test_a_form_and_an_answer_of_its_own(r):
    fields = {'code': 'JJFI1', 'place': 'Äänekoski & co', 'timestamp': '1500000000'}
    fields['hash'] = sign.form_values(TEST, fields)
    body = urllib.parse.urlencode(fields).encode()
    form = 'application/x-www-form-urlencoded'
    assert to_test(r, 'form', body, type=form) == (202, b'{"success":true}')
    [event] = r.bus.events
    assert event['id'] == 'JJFI1' and event['data']['place'] == 'Äänekoski & co' and 'hash' not in event['data']
    assert to_test(r, 'form', body.replace(b'JJFI1', b'JJFI2'), type=form)[0] == 401
    assert to_test(r, 'form', body, type='application/json')[0] == 415
    assert to_test(r, 'form', body + b'&code=JJFI1', type=form)[0] == 401
    assert to_test(r, 'form', b'code=%zz', type=form)[0] == 400


def test_xml_by_its_schema(r):
    had = len(r.bus.events)
    body = '<?xml version="1.0" encoding="iso-8859-1"?><Doc><Id>7</Id><Amt>1.50</Amt><Row><N>å</N></Row><New/><New/></Doc>'.encode('latin-1')
    assert to_test(r, 'xml', body, type='application/xml; charset=iso-8859-1')[0] == 200
    event, = r.bus.events[had:]
    # what repeats is a list, one too; what the schema does not know is kept
    assert event['data'] == {'Doc': {'Id': '7', 'Amt': {'$': '1.50'}, 'Row': [{'N': 'å'}], 'New': ['', '']}}
    assert event['subject'] == 'thing:7'
    assert to_test(r, 'xml', b'<Doc><Id>8</Id><Id>9</Id></Doc>', type='text/xml')[0] == 422, 'which of them is its id?'
    assert to_test(r, 'xml', b'{}', type='application/json')[0] == 415
    for broken in (b'<Doc><Id>8</Doc>', b'', b'<!DOCTYPE a [<!ENTITY b "c">]><Doc>&b;</Doc>', b'{}'):
        status, said = to_test(r, 'xml', broken, type='text/xml')
        assert status == 400 and b'broken XML' in said, said
    assert len(r.bus.events) == had + 1


def test_a_moment_that_is_signed(r):
    body = b'{"id":1}'
    for late, want in ((0, 200), (-240, 200), (240, 200), (-400, 401), (400, 401)):
        sig = sign.time_and_body(TEST, int(time.time()) + late, body)
        assert to_test(r, 'timed', body, {'X-Time-Sig': sig})[0] == want, late
    now = int(time.time())
    sig = sign.time_and_body(TEST, now, body)
    other = sign.time_and_body('old', now, body).split(',')[1]
    assert to_test(r, 'timed', body, {'X-Time-Sig': f'{sig},{other},v0=zz'})[0] == 200
    assert to_test(r, 'timed', body, {'X-Time-Sig': f't={now + 1},{sig.split(",")[1]}'})[0] == 401


def test_the_address_is_the_one_that_senders_know(r):
    body = b'{"id":"7","at":"2026-03-01T10:00:00+02:00"}'

    def put(url, method='PUT', path='/in/test/url?x=%C3%A4'):
        mac = hmac.new(TEST.encode(), f'{method} {url}\n'.encode() + body, 'sha256').hexdigest()
        return request(r.url + path, 'PUT', body, {'Content-Type': 'application/json', 'X-Sig': mac})[0]
    assert put('https://hooks.example.fi/v/in/test/url?x=%C3%A4') == 200
    [event] = r.bus.events
    assert event['time'].timestamp() == 1772352000
    assert put(r.url + '/in/test/url?x=%C3%A4') == 401
    assert put('https://hooks.example.fi/v/in/test/url?x=ä') == 401
    assert put('https://hooks.example.fi/v/in/test/url?x=%C3%A4', 'POST') == 401
    body = b'{"id":"7","at":"soon"}'
    assert put('https://hooks.example.fi/v/in/test/url?x=%C3%A4') == 422


def test_a_form_with_json_inside(r):
    def send(sent, text, **more):
        fields = {'code': 'outer', 'sent': sent, 'object': text, **more}
        fields['hash'] = sign.form_values(TEST, fields)
        return to_test(r, 'jsonform', urllib.parse.urlencode(fields).encode(),
                       type='application/x-www-form-urlencoded')
    # what stands around the item is no part of the event: sent again, it is the same
    assert send('1', '{"code":"7", "n": 1.50}')[0] == 200
    assert send('2', '{"code":"7", "n": 1.50}')[0] == 200
    assert r.ids() == ['7', '7']
    first, again = [e['data'] for e in r.bus.events]
    assert first == again == {'code': '7', 'n': msgpack.ExtType(68, b'1.50')}
    assert send('3', '[{"code":"8"},{"code":"9"}]')[0] == 200
    assert r.ids() == ['7', '7', '8', '9']
    status, said = send('4', '{"code":"7",}')
    assert status == 400 and said.startswith(b'broken: object: line 1'), said
    assert send('5', '["code"]')[0] == 422     # its one item is no map
    assert send('6', '"code"')[0] == 422       # neither a list nor a map
    assert send('7', '[' * 80 + ']' * 80)[0] == 422
    assert r.ids() == ['7', '7', '8', '9']


def test_a_batch_is_taken_item_by_item(r):
    body = json.dumps({'items': [{'id': 'a'}, {'name': 'no id'}, {'id': 'b'}, 7]}).encode()
    answer, counted = delta(r, lambda: to_test(r, 'batch', body))
    assert answer[0] == 200 and r.ids() == ['a', 'b']
    assert counted == {('test', 'stored'): 1, ('test', 'bad_item'): 2}
    assert to_test(r, 'batch', b'{"items":[{"name":1}]}')[0] == 422
    assert to_test(r, 'batch', b'{"items":[]}')[0] == 200
    assert to_test(r, 'batch', b'{"items":{}}')[0] == 422
    assert to_test(r, 'batch', b'{}')[0] == 422


def test_a_batch_larger_than_one_frame(r):
    items = [{'id': f'i{n}', 'text': 'x' * 500} for n in range(1600)]
    body = json.dumps({'items': items}).encode()
    assert len(body) < 1024 * 1024
    assert to_test(r, 'batch', body)[0] == 200
    assert r.ids() == [f'i{n}' for n in range(1600)]


# ---- what is refused ----

def flipped(body, at):
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]


def touched(r):
    """What stands in the data folder beside the keys of the bus."""
    return [p.name for p in r.data.iterdir() if p.name != 'access']


def test_a_wrong_signature_gets_401_and_nothing_else(r):
    body = json.dumps(shop_order(1042)).encode()
    good = sign.body_base64(SHOP, body)
    send = lambda b, h: request(f'{r.url}/in/shop', 'POST', b, {
        'Content-Type': 'application/json', 'X-WC-Webhook-Topic': 'order.created', **h})

    def all_wrong():
        for at in range(0, len(body), 97):
            assert send(flipped(body, at), {'X-WC-Webhook-Signature': good}) == (401, b'')
        for at in range(len(good)):
            bad = flipped(good.encode(), at).decode()
            assert send(body, {'X-WC-Webhook-Signature': bad}) == (401, b'')
        assert send(body, {}) == (401, b'')
        assert send(body, {'X-WC-Webhook-Signature': ''}) == (401, b'')
        assert send(body, {'X-WC-Webhook-Signature': good[:-1]}) == (401, b'')
        assert send(body, {'X-WC-Webhook-Signature': sign.body_base64('other', body)}) == (401, b'')
        assert send(b'', {}) == (401, b'')
    _, counted = delta(r, all_wrong)
    assert list(counted) == [('shop', 'bad_signature')] and counted['shop', 'bad_signature'] > 60
    assert not r.bus.events and not touched(r)
    assert SHOP not in r.log.read_text()


def test_a_callback_that_somebody_touched(r):
    changes = [lambda q: q.update({'checkout-amount': '1'}), lambda q: q.update({'checkout-status': 'fail'}),
               lambda q: q.update({'checkout-extra': 'x'}), lambda q: q.pop('checkout-stamp'),
               lambda q: q.pop('signature'), lambda q: q.update({'checkout-algorithm': 'md5'}),
               lambda q: q.pop('checkout-algorithm'), lambda q: q.update(signature=q['signature'][:-1] + 'g')]
    for n, change in enumerate(changes):
        assert callback(r, spoil=change) == (401, b''), n
    assert callback(r, secret='other') == (401, b'')
    assert not r.bus.events
    # parameters that are not signed may come and go
    assert callback(r, spoil=lambda q: q.update(utm='x'))[0] == 200


def test_a_parameter_that_comes_twice(r):
    q = {'checkout-algorithm': 'sha256', 'checkout-status': 'ok', 'checkout-transaction-id': 't', 'checkout-reference': '1'}
    q['signature'] = sign.sorted_params(PAY, q)
    text = urllib.parse.urlencode(q)
    assert request(f'{r.url}/in/payments?{text}&checkout-status=fail')[0] == 401
    assert request(f'{r.url}/in/payments?checkout-status=fail&{text}')[0] == 401
    assert request(f'{r.url}/in/payments?{text}&x=1&x=2')[0] == 400
    assert request(f'{r.url}/in/payments?{text}&x=%')[0] == 400
    assert not r.bus.events


@pytest.mark.parametrize('body', [
    b'', b'{', b'{"id":1,}', b'{"id":01}', b'nope', b'{"id":1}x', b'{"a":"\xff"}', b'{"a":"\\ud800"}',
    b'[]', b'"text"', b'7', b'null'])
def test_broken_json_is_told_what_is_wrong(r, body):
    answer, counted = delta(r, lambda: order(r, body=body))
    assert answer[0] == 400, answer
    assert answer[1].startswith(b'broken: ') and len(answer[1]) > 15
    assert counted == {('shop', 'broken'): 1} and not r.bus.events


def test_too_deep(r):
    for depth, want in ((40, 422), (65, 422), (5000, 422)):
        body = b'{"meta_data":' + b'[' * depth + b']' * depth + b'}'
        status, said = order(r, body=body)
        assert status == want, (depth, status, said)
    assert not r.bus.events


def test_wrong_type_method_address_and_missing_fields(r):
    assert order(r, **{'Content-Type': 'text/xml'})[0] == 415
    assert order(r, **{'Content-Type': 'application/json; charset=utf-8'})[0] == 200
    assert order(r, **{'Content-Type': 'application/vnd.x+json'})[0] == 200
    r.bus.events.clear()
    for method in ('GET', 'PUT', 'DELETE', 'HEAD'):
        assert request(f'{r.url}/in/shop', method)[0] == 405, method
    for path in ('/', '/in', '/in/', '/in/nobody', '/in/shop/', '/in/shop/x', '/in/Shop', '/in/shop%00', '/in/../in/shop'):
        assert request(f'{r.url}{path}', 'POST', b'{}')[0] == 404, path
    status, said = order(r, body=b'{"number":"1"}')
    assert status == 422 and b'id' in said
    status, said = order(r, body=b'{"id":"1"}')
    assert status == 422 and b'subject' in said
    assert order(r, body=json.dumps({'id': 'x' * 300, 'number': '1'}).encode())[0] == 422
    assert not r.bus.events


def test_405_says_what_is_allowed(r):
    c = http.client.HTTPConnection('127.0.0.1', r.port, timeout=10)
    c.request('DELETE', '/in/payments')
    answer = c.getresponse()
    assert answer.status == 405 and answer.headers['Allow'] == 'GET'
    c.close()


def test_too_large(r):
    big = json.dumps({'id': 1, 'number': '1', 'text': 'x' * 1100000}).encode()
    answer, counted = delta(r, lambda: order(r, body=big))
    assert answer[0] == 413 and counted == {('shop', 'too_large'): 1}
    fits = json.dumps({'topic': 'thing', 'id': 'x', 'text': ''}).encode()
    fits = fits.replace(b'""', b'"' + b'y' * (100 - len(fits)) + b'"')
    assert len(fits) == 100
    assert to_test(r, 'small', fits)[0] == 200
    assert to_test(r, 'small', fits + b' ')[0] == 413
    assert [e['id'] for e in r.bus.events] == ['x']


def test_too_large_without_saying_so_first(r):
    c = http.client.HTTPConnection('127.0.0.1', r.port, timeout=10)
    c.request('POST', '/in/test/small', body=iter([b'x' * 1000] * 100), headers={'X-Sig': 'x'}, encode_chunked=True)
    assert c.getresponse().status == 413
    c.close()


def test_far_too_large_is_cut_off(r):
    with socket.create_connection(('127.0.0.1', r.port), timeout=10) as s:
        s.sendall(b'POST /in/shop HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n')
        s.settimeout(10)
        assert b' 413 ' in s.recv(200)
    with socket.create_connection(('127.0.0.1', r.port), timeout=10) as s:
        s.sendall(b'POST /in/shop HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
        sent = 0
        try:
            while sent < 64 << 20:
                s.sendall(b'10000\r\n' + b'x' * 65536 + b'\r\n')
                sent += 65536
        except OSError:
            pass
        assert sent < 32 << 20
    assert order(r)[0] == 200


def test_a_head_that_is_too_large_or_no_http(r):
    for raw in (b'GET /readyz HTTP/1.1\r\nHost: x\r\nA: ' + b'x' * 70000 + b'\r\n\r\n',
                b'GET /readyz?' + b'x' * 70000 + b' HTTP/1.1\r\nHost: x\r\n\r\n',
                b'GET /readyz HTTP/1.1\r\nHost: x\r\n' + b'A: b\r\n' * 4000 + b'\r\n',
                b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' * 20 + b'\r\n\r\n',
                b'\r\n' * 5000, b'\x00' * 5000):
        with socket.create_connection(('127.0.0.1', r.port), timeout=15) as s:
            try:
                s.sendall(raw)
                s.shutdown(socket.SHUT_WR)
                got = s.recv(4096)
            except OSError:
                continue
            assert not got.startswith(b'HTTP/1.1 200'), raw[:40]
    assert order(r)[0] == 200


# ---- the bus ----

def test_when_the_bus_cannot_now(r):
    r.bus.mode = 'retry'
    c = http.client.HTTPConnection('127.0.0.1', r.port, timeout=15)
    body = json.dumps(shop_order(1)).encode()
    head = {'Content-Type': 'application/json', 'X-WC-Webhook-Topic': 'order.created',
            'X-WC-Webhook-Signature': sign.body_base64(SHOP, body)}
    c.request('POST', '/in/shop', body, head)
    answer = c.getresponse()
    assert answer.status == 503 and answer.headers['Retry-After'] == '7'
    answer.read()
    r.bus.mode = 'reject'
    c.request('POST', '/in/shop', body, head)
    answer = c.getresponse()
    said = answer.read()
    assert answer.status == 422 and b'too deep for us' in said
    r.bus.mode = 'ok'
    c.request('POST', '/in/shop', body, head)
    assert c.getresponse().status == 200
    c.close()


def test_when_the_bus_says_nothing(r):
    r.bus.mode = 'silent'
    (status, _), counted = delta(r, lambda: request(f'{r.url}/in/shop', 'POST', b'{"id":1,"number":"9"}', {
        'Content-Type': 'application/json', 'X-WC-Webhook-Topic': 'order.created',
        'X-WC-Webhook-Signature': sign.body_base64(SHOP, b'{"id":1,"number":"9"}')}, timeout=30))
    assert status == 503 and counted == {('shop', 'bus_late'): 1}
    r.bus.mode = 'ok'
    # wrong signatures are refused without the bus
    assert order(r, secret='wrong')[0] == 401


def test_metrics_are_for_this_machine_only(r):
    assert request(r.url + '/metrics', headers={'X-Forwarded-For': '192.0.2.1'})[0] == 404
    assert request(r.url + '/livez') == (200, b'ok\n')
    assert request(r.url + '/readyz', 'POST', b'')[0] == 405


# ---- connections ----

def test_keep_alive_and_pipelining(r):
    body = json.dumps(shop_order(77)).encode()
    one = (b'POST /in/shop HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-WC-Webhook-Topic: order.created\r\n'
           b'X-WC-Webhook-Signature: ' + sign.body_base64(SHOP, body).encode() + b'\r\nContent-Length: ' +
           str(len(body)).encode() + b'\r\n\r\n' + body)
    with socket.create_connection(('127.0.0.1', r.port), timeout=15) as s:
        s.sendall(one * 20)
        got = b''
        while got.count(b'HTTP/1.1 200') < 20:
            more = s.recv(65536)
            assert more, got
            got += more
    assert len(r.bus.events) == 20 and got.count(b'HTTP/1.1') == 20


def test_a_thousand_silent_connections_keep_nobody_out(r):
    silent = []
    try:
        for n in range(1500):
            s = socket.socket()
            s.settimeout(10)
            s.connect(('127.0.0.1', r.port))
            if n % 2:
                s.sendall(b'POST /in/shop HTTP/1.1\r\nHost: x\r\n')
            silent.append(s)
            if n % 300 == 299:
                assert order(r, 5000 + n)[0] == 200, n
        for n in range(20):
            assert order(r, 9000 + n)[0] == 200
        assert len(r.bus.events) == 25
        status = pathlib.Path(f'/proc/{r.process.pid}/status').read_text()
        rss = int(next(x for x in status.splitlines() if x.startswith('VmRSS')).split()[1])
        assert rss < 120 * 1024, rss
    finally:
        for s in silent:
            s.close()


def test_a_slow_sender_is_cut_off_and_others_are_served(r):
    """One byte a second would take an hour; a head has ten seconds."""
    with socket.create_connection(('127.0.0.1', r.port), timeout=5) as s:
        s.sendall(b'POST /in/shop HTTP/1.1\r\nHost: x\r\nX: ')
        gone = False
        end = time.monotonic() + 40
        while not gone and time.monotonic() < end:
            try:
                s.sendall(b'y')
                s.settimeout(0.5)
                gone = s.recv(100) == b''
            except socket.timeout:
                pass
            except OSError:
                gone = True
        assert gone
    assert order(r)[0] == 200


def test_senders_that_leave_in_the_middle(r):
    body = json.dumps(shop_order(5)).encode()
    head = (b'POST /in/shop HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-WC-Webhook-Topic: order.created\r\n'
            b'X-WC-Webhook-Signature: ' + sign.body_base64(SHOP, body).encode() + b'\r\nContent-Length: ' +
            str(len(body)).encode() + b'\r\n\r\n')
    for cut in list(range(1, len(head), 40)) + [len(head) + 5, len(head) + len(body) - 1, len(head) + len(body)]:
        s = socket.create_connection(('127.0.0.1', r.port), timeout=5)
        s.sendall((head + body)[:cut])
        s.close()
    until(lambda: order(r, 6)[0] == 200, 10)
    assert all(e['subject'] in ('order:5', 'order:6') for e in r.bus.events)


def test_many_at_once(r):
    answers, threads = [], []

    def some(base):
        for n in range(50):
            answers.append(order(r, base + n)[0])
    for t in range(8):
        threads.append(threading.Thread(target=some, args=(10000 + t * 100,)))
        threads[-1].start()
    for t in threads:
        t.join(60)
    assert answers == [200] * 400 and len(set(r.ids())) == 400


def test_what_stands_in_the_log_is_no_secret(r):
    order(r, secret='wrong')
    said = r.log.read_text()
    for secret in (SHOP, PAY, TEST):
        assert secret not in said
    assert 'bad_signature' in said
    assert not touched(r), 'the receiver touched the disk'
    left = {p.name for p in r.file.parent.iterdir()}
    assert left <= {'vayla.yaml', 'log', 'bus', 'packs', 'data'}, left
