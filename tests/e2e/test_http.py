"""The http connector against a far side that is told what to do: every kind of
bad answer, limits, credentials, and polling that loses nothing. First with a
broker of the test's own, then in a whole Vayla that is killed."""
import hashlib
import json
import re
import signal
import subprocess
import textwrap
import time

import msgpack
import pytest

from fakebroker import FakeBroker
from farside import Answer, Far
from harness import PROGRAM, ROOT, until

PACK = '''
pack: far/1
title: A system for tests
settings:
  url:      {type: url}
  user:     {type: text}
  password: {type: text, secret: true}
  token:    {type: text, secret: true}
limits: {parallel: 4, timeout: 1s, connect: 1s, failures: 100, pause: 1s, answer: 65536}
send:
  far.stock:
    put: "/products/{sku}"
    headers: {X-Event: "{$request.id}"}
    body: json
    revised: send
    spent: skip
    remote: id
    answer: {type: far.product}
    withdrawn: {delete: "/products/{sku}", outcome: {ok: $status = 404}}
  far.order:
    post: "/orders"
    body: {reference: $request.id, lines: [{sku: sku, quantity: quantity}], note?: note}
    idempotency: Idempotency-Key
    find: {get: "/orders?reference={$request.id}", as: first(o for o in $in.orders if o.reference = $request.id)}
    outcome:
      - {reject: $in.status = 'FAILED', text: "{$in.why ?? 'it does not say why'}"}
      - {ask: $status = 409}
      - {ok: $in.status = 'OK'}
      - {retry: header('x-later') = 'yes'}
    remote: number
    revised: ask
    answer: {type: far.made, id: "made:{number}", subject: "made:{number}", data: $in}
  far.note:
    post: "/notes?sku={sku}"
    form: {text: "{note ?? 'none'}", sku: sku}
    expect: text
    outcome: {reject: $in = 'NO'}
    revised: never
  far.book:
    post: "/books"
    body: json
    expect: xml
    outcome: {reject: Root.Status.$ = 'FAILED'}
    answer: {type: far.booked}
    revised: never
  far.track:
    get: "/track/{sku}"
    outcome: {defer: $status = 404}
    answer: {type: far.tracked, id: "{sku}:{hash($in)}", subject: "parcel:{sku}"}
    repeat: {every: 1s, until: status = 'DELIVERED', for: 30d}
    revised: never
    withdrawn: nothing
poll:
  - name: things
    every: 1s
    get: "/things?since={cursor}"
    items: things
    cursor: {field: changed, overlap: 10s, start: 1h}
    pages: {param: page, size: 3}
    event: {type: far.thing, id: "{id}:{hash($in)}", subject: "thing:{id}"}
'''
SCHEMAS = {
    'far.stock': {'sku': 'text', 'on_hand': 'integer'},
    'far.order': {'sku': 'text', 'quantity': 'integer', 'note?': 'text'},
    'far.note': {'sku': 'text', 'note?': 'text'}, 'far.book': {'sku': 'text'},
    'far.booked': {'Root': '{fields: {Status: {fields: {$: text, $code?: text}}, Row?: {many: true, type: text}}}'}, 'far.track': {'sku': 'text'}, 'far.tracked': {'sku': 'text', 'status': 'text'},
    'far.product': {'id': 'integer'}, 'far.made': {'number': 'text'}, 'far.thing': {'id': 'integer', 'changed': 'text'}}


def write_pack(folder, pack=PACK, schemas=None):
    (folder / 'far' / 'schema').mkdir(parents=True, exist_ok=True)
    (folder / 'canonical').mkdir(exist_ok=True)
    (folder / 'far' / 'pack.yaml').write_text(textwrap.dedent(pack).lstrip())
    for type, fields in (schemas or SCHEMAS).items():
        lines = ''.join(f'  {k}: {v}\n' for k, v in fields.items())
        (folder / 'far' / 'schema' / f'{type}.yaml').write_text(f'schema: {type}/1\ntitle: {type}\nfields:\n{lines}')
    return str(folder)


def without(pack, section):
    """The pack without one of its top-level sections."""
    return re.sub(rf'(?ms)^{section}:.*?(?=^\w|\Z)', '', pack)


def with_line(pack, line):
    return pack.replace('limits:', f'{line}\nlimits:', 1)


SENDS = without(PACK, 'poll')


class Connector:
    """`vayla connector far` on a folder, its broker and its far side."""

    def __init__(self, folder, pack=SENDS, far=None, **system):
        self.folder, self.far = folder, far or Far()
        bus = f'ipc://{folder}/bus'
        self.file, self.log = folder / 'vayla.yaml', folder / 'log'
        self.file.write_text(json.dumps({
            'broker': {'data': str(folder / 'data'), 'bus': bus, 'console': 'http://127.0.0.1:1',
                       'packs': write_pack(folder / 'packs', pack)},
            'systems': {'far': {'use': 'far', 'mode': 'live', 'local': True, 'url': self.far.url, **system}}}))
        self.broker = FakeBroker(bus, 'far')
        self.process = None

    def start(self):
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen([str(PROGRAM), 'connector', 'far', str(self.file)], cwd=ROOT, stdout=log, stderr=log)
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        status = 0
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            status = self.process.wait(20)
        self.broker.stop()
        self.far.stop()
        assert status == 0, self.log.read_text()

    def send(self, type, data, n=None, **more):
        n = n if n is not None else self.broker.seq + 1
        return self.broker.deliver(f'{n:032x}', data, type=type, subject=f'thing:{n}', **more)

    def settled(self, seq, seconds=20):
        """The first settlement of it, whatever it says."""
        return until(lambda: self.broker.settled.get(seq), seconds, 0.01)[0]


@pytest.fixture
def make(tmp_path):
    made = []

    def new(*words, **more):
        folder = tmp_path / f'c{len(made)}'
        folder.mkdir()
        made.append(Connector(folder, *words, **more))
        return made[-1].start()
    yield new
    for c in made:
        c.stop()


STOCK = {'sku': 'A 1/2', 'on_hand': 5}
ORDER = {'sku': 'B', 'quantity': 2}


# ---- sending ----

def test_a_request_its_effect_and_its_answer(make):
    c = make()
    c.far.say(200, {'id': 77, 'stock': 5})
    seq = c.send('far.stock', STOCK)
    s = c.broker.wait([seq])[seq]
    q, = c.far.of('PUT')
    assert q['url'] == '/products/A%201%2F2' and json.loads(q['body']) == STOCK
    assert q['headers']['content-type'] == 'application/json' and q['headers']['x-event'] == f'{1:032x}'
    e = s['effect']
    assert s['verdict'] == 'ok' and e['status'] == 200 and e['remote'] == '77' and b'77' in e['excerpt']
    sent = f'PUT {c.far.url}{q["url"]}\n'.encode() + q['body']
    assert e['digest'] == hashlib.sha256(sent).digest()
    event, = c.broker.events
    assert (event['type'], event['subject'], event['answerto']) == ('far.product', 'thing:1', seq)
    assert event['data'] == {'id': 77, 'stock': 5} and event['id'] == f'answer:{1:032x}:1'
    assert [2, 1] in c.broker.pubs, 'settlement and answer in one PUB'


def test_bodies_forms_and_idempotency(make):
    c = make()
    c.far.always = lambda q: Answer(200, {'status': 'OK', 'number': '9001'}) if q['path'] == '/orders' else Answer(
        200, b'YES', type='text/plain')
    a = c.send('far.order', {**ORDER, 'note': 'hei & "hyvää"'})
    b = c.send('far.order', ORDER, revision=3)
    n = c.send('far.note', {'sku': 'x&y=z', 'note': 'ä+b'})
    c.broker.wait([a, b, n])
    first, second = c.far.of('POST', '/orders')
    bodies = {q['headers']['idempotency-key']: json.loads(q['body']) for q in (first, second)}
    assert bodies[f'{1:032x}:1'] == {'reference': f'{1:032x}', 'lines': ORDER and [{'sku': 'B', 'quantity': 2}], 'note': 'hei & "hyvää"'}
    assert 'note' not in bodies[f'{2:032x}:3']
    note, = c.far.of('POST', '/notes')
    assert note['query'] == {'sku': 'x&y=z'} and note['body'] == b'text=%C3%A4%2Bb&sku=x%26y%3Dz'
    assert {e['id'] for e in c.broker.events} == {'made:9001'}


def test_answers_in_xml(make):
    c = make()
    xml = 'application/xml'
    c.far.queue += [lambda q: Answer(200, b'<Root><Status>OK</Status><Row>a</Row></Root>', type=xml),
                    lambda q: Answer(200, b'<Root><Status code="7">FAILED</Status></Root>', type=xml)]
    ok = c.send('far.book', {'sku': 'A'})
    assert c.settled(ok)['verdict'] == 'ok'
    no = c.send('far.book', {'sku': 'B'})
    assert c.settled(no)['verdict'] == 'reject'
    event, = c.broker.events
    assert event['type'] == 'far.booked' and event['data'] == {'Root': {'Status': {'$': 'OK'}, 'Row': ['a']}}
    assert c.far.of('POST', '/books')[0]['headers']['accept'] == 'application/xml, text/xml'
    # a page of a proxy is no answer
    c.far.queue.append(lambda q: Answer(200, b'<html><br></html>', type='text/html'))
    odd = c.send('far.book', {'sku': 'C'})
    s = c.settled(odd)
    assert s['verdict'] == 'retry' and 'no XML' in s['text'], s


def test_connections_are_reused(make):
    c = make()
    for n in range(8):
        c.broker.wait([c.send('far.stock', STOCK)])
    assert len({q['port'] for q in c.far.of('PUT')}) == 1


@pytest.mark.parametrize('answer,verdict,text', [
    (Answer(500, {'oops': 1}), 'retry', 'answered 500'),
    (Answer(408), 'retry', 'answered 408'),
    (Answer(404, {'code': 'none'}), 'reject', 'answered 404'),
    (Answer(401, {}), 'reject', 'credentials'),
    (Answer(200, b'<html>Log in</html>', type='text/html'), 'retry', 'text/html'),
    (Answer(502, b'<html>Bad gateway</html>', type='text/html'), 'retry', 'answered 502'),
    (Answer(200, {'status': 'FAILED', 'why': 'no such sku'}), 'reject', 'no such sku'),
    (Answer(200, {'status': 'FAILED'}), 'reject', 'does not say why'),
    (Answer(409, {}), 'ask', 'answered 409'),
    (Answer(400, {}, {'X-Later': 'yes'}), 'retry', 'answered 400'),
    (Answer(302, None, {'Location': 'http://127.0.0.2:1/evil'}), 'reject', 'another host'),
    ('hang', 'retry', 'no answer'), ('cut', 'retry', 'no answer'), ('drip', 'retry', 'no answer'),
    ('huge', 'reject', 'more than we read'),
])
def test_bad_answers(make, answer, verdict, text):
    c = make()
    c.far.always = answer if callable(answer) else getattr(c.far, answer) if isinstance(answer, str) else lambda q: answer
    seq = c.send('far.order', ORDER)
    s = c.settled(seq)
    assert s['verdict'] == verdict and text in s['text'], s
    assert 'POST /orders' in s['text'] and not c.broker.events
    assert c.process.poll() is None


def test_too_many_requests_costs_no_attempt_and_waits(make):
    c = make()
    c.far.then(Answer(429, {}, {'Retry-After': '2'}))
    c.far.say(200, {'id': 1})
    seq = c.send('far.stock', STOCK)
    s = c.settled(seq)
    assert s['verdict'] == 'defer' and s['after_ms'] == 2000
    other = c.send('far.stock', STOCK)
    c.broker.wait([seq, other])
    assert [x['verdict'] for x in c.broker.settled[other]] == ['ok'], 'others wait as well, and it costs them nothing'
    first, second = c.far.of('PUT')[:2]
    assert second['at'] - first['at'] >= 1.9


def test_redirects_on_the_same_host_only(make, tmp_path):
    c = make()
    other = Far()
    try:
        c.far.then(Answer(307, None, {'Location': '/elsewhere/7'}))
        c.far.say(200, {'id': 5})
        s = c.broker.wait([c.send('far.stock', STOCK)])
        assert list(s.values())[0]['effect']['remote'] == '5'
        assert json.loads(c.far.of('PUT', '/elsewhere/7')[0]['body']) == STOCK
        for where in (other.url, f'http://u:p@127.0.0.1:{c.far.port}', 'file:///etc/passwd', '//127.0.0.2/'):
            c.far.say(307, None, headers={'Location': f'{where}/x'})
            assert c.settled(c.send('far.stock', STOCK))['verdict'] == 'reject'
        c.far.always = lambda q: Answer(308, None, {'Location': '/loop'})
        assert c.settled(c.send('far.stock', STOCK))['verdict'] == 'reject'
        assert len(c.far.of('PUT', '/loop')) == 3 and not other.asked
    finally:
        other.stop()


def test_private_addresses_and_plain_http_need_local(make):
    for url, text in (('http://127.0.0.1:9/', 'local: true'), ('https://127.0.0.1:9', 'private'), ('https://[::1]:9', 'private'),
                      ('https://[::ffff:10.0.0.1]:9', 'private'), ('https://localhost:9', 'private')):
        c = make(url=url, local=False)
        s = c.settled(c.send('far.stock', STOCK))
        assert s['verdict'] == 'defer' and text in s['text'], s


def test_without_an_address_it_waits_for_one(make):
    c = make()
    config = json.loads(c.file.read_text())
    url = config['systems']['far'].pop('url')
    c.kill()
    c.file.write_text(json.dumps(config))
    c.start()
    seq = c.send('far.stock', STOCK)
    s = c.settled(seq)
    assert s['verdict'] == 'defer' and 'is not there' in s['text'], s
    c.kill()
    config['systems']['far']['url'] = url
    c.file.write_text(json.dumps(config))
    c.start()
    assert c.broker.wait([seq])[seq]['verdict'] == 'ok'


def test_tls_is_verified(make, tmp_path):
    key, cert = str(tmp_path / 'key.pem'), str(tmp_path / 'cert.pem')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj',
                    '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'], check=True, stderr=subprocess.DEVNULL)
    c = make(far=Far(tls=(cert, key)))
    s = c.settled(c.send('far.stock', STOCK))
    assert s['verdict'] == 'retry' and 'certificate' in s['text'].lower() and not c.far.asked, s


def test_values_that_cannot_be_in_a_url(make):
    c = make()
    for sku in ('', '..', '.'):
        s = c.settled(c.send('far.stock', {'sku': sku, 'on_hand': 1}))
        assert s['verdict'] == 'reject' and 'path' in s['text'], s
    assert not c.far.asked


def test_withdrawn(make):
    c = make()
    c.far.say(404, {})
    a = c.send('far.stock', STOCK, revision=2, withdrawn=True)
    assert c.broker.wait([a])[a]['verdict'] == 'ok'
    assert c.far.of('DELETE')[0]['path'] == '/products/A%201%2F2'
    b = c.send('far.order', ORDER, revision=2, withdrawn=True)
    assert c.settled(b)['verdict'] == 'ask' and not c.far.of('POST')


def test_breaker_and_its_probe(make):
    c = make(SENDS.replace('failures: 100', 'failures: 3'))
    c.far.say(503)
    seqs = [c.send('far.stock', STOCK) for _ in range(40)]
    until(lambda: 'failures in a row' in c.log.read_text())
    n = len(c.far.asked)
    time.sleep(2.5)
    assert len(c.far.asked) <= n + 8, 'one at a time, with pauses'
    c.far.say(200, {'id': 1})
    c.broker.wait(seqs)
    assert 'it works again' in c.log.read_text()
    settled = [s['verdict'] for q in seqs for s in c.broker.settled[q]]
    assert 3 <= settled.count('retry') <= 12 and settled.count('defer') == 0, 'the others cost no attempt, and no record'


def test_rate_and_parallelism(make):
    c = make(SENDS.replace('parallel: 4', 'per_second: 10, parallel: 2'))
    running, most = [0], [0]

    def slow(q):
        with c.far.lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.3)
        with c.far.lock:
            running[0] -= 1
        return Answer(200, {'id': 1})
    c.far.always = slow
    c.broker.wait([c.send('far.stock', STOCK) for _ in range(12)])
    at = sorted(q['at'] for q in c.far.of('PUT'))
    assert most[0] == 2 and at[-1] - at[0] >= 1.05


def test_an_answer_the_broker_refuses_does_not_repeat_the_request(make):
    c = make()
    c.broker.denied.add(f'answer:{1:032x}:1')
    seq = c.send('far.stock', STOCK)
    assert c.broker.wait([seq])[seq]['verdict'] == 'ok'
    assert len(c.far.of('PUT')) == 1 and not c.broker.events and 'cannot be kept' in c.log.read_text()


def test_asked_again_until_it_is_there(make):
    c = make()
    c.far.then(Answer(404, {}), Answer(200, {'sku': 'P1', 'status': 'ON_ITS_WAY'}), Answer(500), Answer(200, {'sku': 'P1', 'status': 'ON_ITS_WAY'}))
    c.far.say(200, {'sku': 'P1', 'status': 'DELIVERED'})
    seq = c.send('far.track', {'sku': 'P1'})
    s = c.broker.wait([seq])[seq]
    assert s['verdict'] == 'ok' and [x['verdict'] for x in c.broker.settled[seq]] == ['defer', 'defer', 'retry', 'defer', 'ok']
    assert {x['after_ms'] for x in c.broker.settled[seq] if x['verdict'] == 'defer'} == {1000}
    assert [e['data']['status'] for e in c.broker.events] == ['ON_ITS_WAY', 'ON_ITS_WAY', 'DELIVERED']
    assert len({e['id'] for e in c.broker.events}) == 2 and c.broker.events[0]['subject'] == 'parcel:P1'
    assert len(c.far.of('GET')) == 5
    c.far.say(200, {'sku': 'P2', 'status': 'LOST'})
    long_ago = c.send('far.track', {'sku': 'P2'}, time=msgpack.Timestamp(1700000000, 0))
    assert c.settled(long_ago)['verdict'] == 'ok', 'not for ever'


def test_a_trace_goes_on(make):
    c = make()
    trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    c.broker.wait([c.send('far.stock', STOCK, traceparent=trace), c.send('far.stock', STOCK, traceparent='x\r\nX-Evil: 1')])
    assert sorted(q['headers'].get('traceparent', '') for q in c.far.of('PUT')) == ['', trace]
    assert not any('x-evil' in q['headers'] for q in c.far.asked)


# ---- again ----

def test_an_answer_too_large_to_keep(make):
    c = make(SENDS.replace('answer: 65536', 'answer: 4194304'))
    c.far.say(200, {'id': 9, 'text': 'x' * 400000})
    seq = c.send('far.stock', STOCK)
    s = c.broker.wait([seq])[seq]
    assert s['verdict'] == 'ok' and 'not kept' in s['text'] and s['effect']['remote'] == '9' and len(s['effect']['excerpt']) <= 1024
    assert not c.broker.events and len(c.far.of('PUT')) == 1


def test_told_to_end_with_requests_under_way(make):
    c = make(SENDS.replace('parallel: 4', 'parallel: 1'))

    def slow(q):
        time.sleep(0.5)
        return Answer(200, {'id': 1})
    c.far.always = slow
    seqs = [c.send('far.stock', STOCK) for _ in range(5)]
    until(lambda: c.far.asked)
    c.process.send_signal(signal.SIGTERM)
    assert c.process.wait(20) == 0
    until(lambda: all(s in c.broker.settled for s in seqs), 5)
    verdicts = [c.broker.settled[s][0]['verdict'] for s in seqs]
    assert verdicts.count('ok') == len(c.far.asked) and verdicts.count('defer') == 5 - len(c.far.asked), verdicts
    c.start()
    c.broker.wait(seqs)
    assert len(c.far.of('PUT')) == 5, 'what was under way was waited for'


class Orders:
    """A far side that makes orders, and can be asked for one by reference."""

    def __init__(self, far):
        self.far, self.made = far, []
        far.always = self.answer
        self.before = lambda q: None

    def answer(self, q):
        if q['method'] == 'GET':
            return Answer(200, {'orders': [o for o in self.made if o['reference'] == q['query']['reference']]})
        with self.far.lock:
            self.made.append({'status': 'OK', 'number': f'N{len(self.made)}', 'reference': json.loads(q['body'])['reference']})
            answer = Answer(200, self.made[-1])
        return self.before(q) or answer


def test_found_before_it_is_made_twice(make):
    c = make()
    orders = Orders(c.far)
    c.far.queue.append(lambda q: orders.answer(q) and Answer(500))       # made, but the answer says otherwise
    seq = c.send('far.order', ORDER)
    s = c.broker.wait([seq])[seq]
    assert s['verdict'] == 'ok' and 'done before' in s['text'] and s['effect']['remote'] == 'N0'
    assert len(orders.made) == 1 and [e['id'] for e in c.broker.events] == ['made:N0']
    c.far.then(Answer(500))                                              # not made: looked for, then made
    seq = c.send('far.order', ORDER)
    assert c.broker.wait([seq])[seq]['effect']['remote'] == 'N1'
    assert len(c.far.of('GET')) == 2


def test_killed_with_requests_in_flight(make):
    c = make()
    orders = Orders(c.far)
    orders.before = lambda q: time.sleep(0.3)
    seqs = [c.send('far.order', ORDER) for _ in range(24)]
    for _ in range(3):
        n = len(c.far.asked)
        until(lambda: len(c.far.asked) > n + 3)
        c.kill()
        c.start()
    done = c.broker.wait(seqs, 60)
    assert all(s['verdict'] == 'ok' for s in done.values())
    made = [o['reference'] for o in orders.made]
    # one whose POST was still on its way when `find` looked may stand twice
    assert set(made) == {f'{s:032x}' for s in seqs} and len(made) - len(set(made)) <= 3


# ---- credentials ----

def test_basic_bearer_and_header(make):
    for auth, name, value in (
            ('{scheme: basic, user: $settings.user, password: $settings.password}', 'authorization', 'Basic bWU6c2VjcmV0LTEyMw=='),
            ('{scheme: bearer, token: $settings.token}', 'authorization', 'Bearer tok-123'),
            ('{scheme: header, name: X-Api-Key, value: $settings.token}', 'x-api-key', 'tok-123')):
        c = make(with_line(SENDS, f'auth: {auth}'), user='me', password='secret-123', token='tok-123')
        seq = c.send('far.stock', STOCK)
        assert c.broker.wait([seq])[seq]['verdict'] == 'ok'
        assert c.far.of('PUT')[0]['headers'][name] == value
        assert 'secret-123' not in c.log.read_text() and 'tok-123' not in c.log.read_text()


def test_oauth2_tokens_are_kept_and_renewed(make):
    pack = with_line(SENDS, 'auth: {scheme: oauth2, token_url: "{$settings.url}/token", id: $settings.user, secret: $settings.password, scope: "a b"}')
    c = make(pack, user='me', password='se:cret')
    given = []

    def answer(q):
        if q['path'] == '/token':
            given.append(f't{len(given)}')
            return Answer(200, {'access_token': given[-1], 'expires_in': 3600, 'token_type': 'Bearer'})
        return Answer(200, {'id': 1}) if q['headers'].get('authorization') == f'Bearer {given[-1]}' else Answer(401, {})
    c.far.always = answer
    c.broker.wait([c.send('far.stock', STOCK) for _ in range(6)])
    assert given == ['t0']
    q, = c.far.of('POST', '/token')
    assert q['headers']['authorization'] == 'Basic bWU6c2UlM0FjcmV0' and q['body'] == b'grant_type=client_credentials&scope=a%20b'
    given.append('revoked over there')
    seq = c.send('far.stock', STOCK)
    assert c.broker.wait([seq])[seq]['verdict'] == 'ok' and len(c.far.of('POST', '/token')) == 2
    assert 'cret' not in c.log.read_text()


def test_oauth2_that_is_refused(make):
    pack = with_line(SENDS, 'auth: {scheme: oauth2, token_url: "{$settings.url}/token", id: $settings.user, secret: $settings.password}')
    c = make(pack, user='me', password='wrong')
    c.far.say(401, {'error': 'invalid_client'})
    s = c.settled(c.send('far.stock', STOCK))
    assert s['verdict'] == 'defer' and 'id and secret' in s['text'] and not c.far.of('PUT')


# ---- polling ----

def iso(at):
    return time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at))


class Things:
    """A far side with a list of things, oldest change first, three to a page."""

    def __init__(self, far, size=3, newest_first=False):
        self.far, self.size, self.newest_first = far, size, newest_first
        self.things, self.before = {}, lambda q: None
        far.always = self.answer

    def change(self, id, at=None, **more):
        with self.far.lock:
            self.things[id] = {'id': id, 'changed': iso(at if at is not None else time.time()), **more}

    def answer(self, q):
        a = self.before(q)
        if a is not None:
            return a
        since, page = q['query']['since'].rstrip('Z'), int(q['query'].get('page', 1))
        with self.far.lock:
            found = sorted((t for t in self.things.values() if t['changed'] >= since), key=lambda t: (t['changed'], str(t['id'])),
                           reverse=self.newest_first)
        return Answer(200, {'things': found[(page - 1) * self.size:page * self.size]})


def things_of(c):
    """{(id, changed, v)} of what was published."""
    return {(e['data']['id'], e['data']['changed'], e['data'].get('v')) for e in c.broker.events}


def cursor_of(c):
    try:
        return json.loads((c.folder / 'data' / 'connectors' / 'far.json').read_text())['polls'].get('things')
    except FileNotFoundError:
        return None


POLLS = without(PACK, 'send')


@pytest.mark.parametrize('newest_first', [False, True])
def test_polling_pages_and_the_cursor(make, newest_first):
    c = make(POLLS)
    t = Things(c.far, newest_first=newest_first)
    now = time.time()
    for n in range(20):
        t.change(n, now - 2000 + 60 * n)
    until(lambda: len(things_of(c)) == 20)
    until(lambda: cursor_of(c) == iso(now - 2000 + 60 * 19) + 'Z')
    event = next(e for e in c.broker.events if e['data']['id'] == 3)
    assert event['type'] == 'far.thing' and event['subject'] == 'thing:3' and event['id'].startswith('3:')
    t.change(3, v=2)
    until(lambda: len(things_of(c)) == 21)
    # asked again from before the cursor, and not from further back
    until(lambda: cursor_of(c) >= iso(now))
    n = len(c.far.asked)
    until(lambda: len(c.far.asked) > n + 1)
    since = c.far.asked[-1]['query']['since'].rstrip('Z')
    assert iso(now - 12) <= since <= iso(time.time() - 9)


def test_a_rewind_asks_for_everything_since(make):
    c = make(POLLS)
    t = Things(c.far)
    now = time.time()
    for n in range(5):
        t.change(n, now - 2000 + 60 * n)
    until(lambda: len(things_of(c)) == 5 and cursor_of(c) > iso(now - 1900))
    back = c.folder / 'data' / 'connectors' / 'far.rewind'
    for text, since in ((iso(now - 5000) + 'Z\n', iso(now - 5010)), ('2026-01-05', '2026-01-04T23:59:50')):
        n = len(c.far.asked)
        back.write_text(text)
        until(lambda: any(q['query']['since'].startswith(since) for q in c.far.asked[n:]))
        assert not back.exists() and c.log.read_text().count('rewound to') >= 1
        until(lambda: cursor_of(c) > iso(now - 1900))
    assert len(c.broker.events) >= 15 and len(things_of(c)) == 5, 'asked for again, and the same'
    back.write_text('yesterday')
    until(lambda: 'not rewound' in c.log.read_text())
    assert not back.exists()


def test_a_thing_of_the_same_second_is_not_missed(make):
    c = make(POLLS)
    t = Things(c.far)
    now = time.time() - 500
    for n in range(9):
        t.change(n, now)
    until(lambda: len(things_of(c)) == 9)
    t.change(100, now)          # written later, with the same second
    t.change(101, now - 9)      # and one that came late
    until(lambda: len(things_of(c)) == 11)


def test_what_changes_while_we_read_hides_nothing(make):
    c = make(POLLS)
    t = Things(c.far)
    now = time.time()
    for n in range(30):
        t.change(n, now - 3000 + 60 * n)
    asked = [0]

    def meddle(q):
        """Before each page but the first, the oldest moves to the end: all
        others go one place forward."""
        asked[0] += 1
        if 1 < asked[0] < 12:
            oldest = min(t.things.values(), key=lambda x: x['changed'])['id']
            t.change(oldest, time.time(), v=asked[0])
    t.before = meddle
    until(lambda: {i for i, _, _ in things_of(c)} == set(range(30)))
    until(lambda: {(x['id'], x['changed'], x.get('v')) for x in t.things.values()} <= things_of(c))


def test_polling_with_crashes_and_a_bad_far_side_loses_nothing(make):
    c = make(POLLS)
    t = Things(c.far)
    evil = [c.far.cut, lambda q: Answer(500), lambda q: Answer(200, b'<html>', type='text/html'), lambda q: Answer(429, {}, {'Retry-After': '1'}),
            lambda q: Answer(200, {'things': 'none'}), lambda q: Answer(200, {})]
    number = 0
    for step in range(6):
        for _ in range(8):
            t.change(number, time.time() - 1, v=step)
            number += 1
        if step % 2:
            c.far.then(evil[step])
            c.broker.refuse = 1
        n = len(c.far.asked)
        until(lambda: len(c.far.asked) > n)
        c.kill()
        ahead = cursor_of(c)
        seen = things_of(c)
        if ahead:   # a cursor is never ahead of what the broker has
            assert all((x['id'], x['changed'], x.get('v')) in seen for x in t.things.values() if x['changed'] + 'Z' < ahead)
        c.start()
    want = {(x['id'], x['changed'], x.get('v')) for x in t.things.values()}
    until(lambda: want <= things_of(c), 60)
    ids = {}
    for e in c.broker.events:       # asked twice is told with the same id: the journal drops it
        ids.setdefault(e['id'], e['data'])
        assert ids[e['id']] == e['data']
    assert len(ids) == len(want)


def test_the_cursor_waits_for_the_broker(make):
    c = make(POLLS.replace('every: 1s', 'every: 30s'))
    t = Things(c.far)
    with c.broker.lock:
        c.broker.refuse = 2
        now = time.time()
        for n in range(12):
            t.change(n, now - 2000 + 60 * n)
    until(lambda: 'does not take all of it' in c.log.read_text())
    c.kill()
    assert cursor_of(c) is None and not c.broker.events
    c.start()
    until(lambda: {i for i, _, _ in things_of(c)} == set(range(12)))


def test_bad_items_and_refused_ones_hold_no_others(make):
    c = make(POLLS)
    t = Things(c.far, size=50)
    t.change(1)
    until(lambda: things_of(c))
    bad = c.broker.events[0]['id']
    with c.far.lock:
        for n in range(2, 6):
            t.things[n] = {'id': n, 'changed': iso(time.time()), 'v': 'x'}
        t.things['odd'] = {'changed': iso(time.time()), 'id': None}
    c.broker.denied.add(bad)
    until(lambda: {i for i, _, _ in things_of(c)} >= {1, 2, 3, 4, 5})
    assert 'left out' in c.log.read_text()


def test_pages_by_link_stay_on_their_host(make):
    c = make(POLLS.replace('pages: {param: page, size: 3}', 'pages: link'))
    other = Far()
    try:
        def answer(q):
            n = int(q['query'].get('at', 0))
            to = f'{c.far.url if n else ""}/things?at={n + 1}' if n < 3 else f'{other.url}/things'
            return Answer(200, {'things': [{'id': n, 'changed': iso(time.time() - 10 + n)}]},
                          {'Link': f'<{c.far.url}/first>; rel="first", <{to}>; rel="next"'})
        c.far.always = answer
        until(lambda: 'another host' in c.log.read_text())
        assert not other.asked and {q['query'].get('at') for q in c.far.asked} >= {None, '1', '2', '3'}
    finally:
        other.stop()


def test_polls_rest_without_a_url(make):
    c = make(POLLS, url='https://127.0.0.1:1')
    until(lambda: 'again in' in c.log.read_text())
    config = json.loads(c.file.read_text())
    del config['systems']['far']['url']
    c.kill()
    c.file.write_text(json.dumps(config))
    c.start()
    until(lambda: 'rests' in c.log.read_text())
    until(lambda: c.broker.sessions == 2)


# ---- a whole Vayla ----

WHOLE = '''
pack: far/1
title: A shop for tests that is told its stock, and polled
settings:
  url:    {type: url, required: true}
  secret: {type: text, secret: true, required: true}
receive:
  - verify: {token: $settings.secret, header: X-Token}
    by: header('X-Topic')
    rows:
      thing: {type: far.thing, id: "{id}:{hash($in)}", subject: "thing:{id}"}
poll:
  - name: things
    every: 1s
    get: "/things?since={cursor}"
    items: things
    cursor: {field: changed, overlap: 10s, start: 1h}
    pages: {param: page, size: 3}
    as: thing
'''


def test_webhook_and_poll_of_one_fact_are_one_event(vayla, tmp_path):
    from shop import request
    far = Far()
    try:
        t = Things(far)
        packs = write_pack(tmp_path / 'packs', WHOLE, {'far.thing': {'id': 'integer', 'changed': 'text', 'v?': 'integer'}})
        v = vayla({'far': {'use': 'far', 'local': True, 'url': far.url, 'secret': 's3'}}, {'packs': packs})
        v.start()
        for n in range(20):
            t.change(n, time.time() - 1)
            if n % 2:
                assert request(f'{v.url}/in/far', 'POST', json.dumps(t.things[n]).encode(), {
                    'Content-Type': 'application/json', 'X-Token': 's3', 'X-Topic': 'thing'})[0] == 200
            if n % 5 == 4:
                v.kill('far')
            if n == 12:
                v.kill('broker')
                until(lambda: 'broker' in v.pids())
                until(lambda: request(f'{v.url}/readyz')[0] == 200)
        until(lambda: v.status()['counts']['events'] == 20, 60, 0.2)
        polled = len(far.asked)
        until(lambda: len(far.asked) > polled + 2)
        assert v.status()['counts']['events'] == 20
        assert v.stop() == 0
    finally:
        far.stop()


# ---- vayla check ----

@pytest.mark.parametrize('old,new,said', [
    ('put: "/products/{sku}"', 'putt: "/products/{sku}"', r'pack.yaml:\d+:5: .*putt.*"put"'),
    ('put: "/products/{sku}"', 'put: "/products/{skuu}"', r'pack.yaml:11:22: .*skuu.*sku'),
    ('put: "/products/{sku}"', 'put: "/products/{sku"', r'pack.yaml:11:\d+: the } that ends'),
    ('put: "/products/{sku}"', 'put: "https://{sku}/x"', r'pack.yaml:11:\d+: a URL begins with'),
    ('put: "/products/{sku}"', 'put: "/p?key={$settings.password}"', r'pack.yaml:11:\d+: .*password'),
    ('{X-Event: "{$request.id}"}', '{Authorization: "x"}', r'pack.yaml:12:\d+: authorization .*`auth`'),
    ('remote: id\n', 'remote: idd(\n', r'pack.yaml:16:\d+'),
    ('answer: {type: far.product}', 'answer: {type: other.product}', r'pack.yaml:17:\d+: .*"far\."'),
    ('answer: {type: far.product}', 'answer: {typ: far.product}', r'pack.yaml:17:\d+: .*typ.*"type"'),
    ('{ok: $status = 404}}', '{okk: $status = 404}}', r'pack.yaml:18:\d+: .*okk.*"ok"'),
    ('limits: {parallel: 4', 'limits: {paralel: 4', r'pack.yaml:8:\d+: .*paralel.*"parallel"'),
    ('timeout: 1s', 'timeout: 1 s', r'pack.yaml:8:\d+: timeout: write a number'),
    ('expect: text', 'expect: yaml', r'pack.yaml:\d+:\d+: .*yaml'),
    ('repeat: {every: 1s', 'repeat: {evry: 1s', r'pack.yaml:\d+:\d+: repeat: .*evry.*"every"'),
    ('get: "/track/{sku}"', 'post: "/track/{sku}"', r'pack.yaml:\d+:\d+: only a `get` is repeated'),
    ('every: 1s\n    get', 'evry: 1s\n    get', r'pack.yaml:\d+:5: .*evry.*"every"'),
    ('pages: {param: page, size: 3}', 'pages: links', r'pack.yaml:\d+:\d+: .*links.*"link"'),
    ('overlap: 10s', 'overlapp: 10s', r'pack.yaml:\d+:\d+: .*overlapp.*"overlap"'),
    ('since={cursor}', 'since=1', r'pack.yaml:\d+:\d+: `get` does not ask since'),
    ('event: {type: far.thing', 'event: {type: thing', r'pack.yaml:\d+:\d+: type: .*"far\."'),
    ('limits:', 'auth: {scheme: basc}\nlimits:', r'pack.yaml:8:\d+: .*basc.*"basic"'),
    ('limits:', 'auth: {scheme: bearer, tokn: "x"}\nlimits:', r'pack.yaml:8:\d+: .*tokn.*"token"'),
    ('revised: send\n    spent', 'revised: reverse\n    spent', r'pack.yaml:14:\d+: .*not reversed'),
])
def test_check_finds_the_place(tmp_path, old, new, said):
    assert old in PACK
    packs = write_pack(tmp_path / 'packs', PACK.replace(old, new, 1))
    file = tmp_path / 'vayla.yaml'
    file.write_text(json.dumps({'broker': {'data': str(tmp_path / 'data'), 'packs': packs},
                                'systems': {'far': {'use': 'far', 'url': 'https://far.example'}}}))
    r = subprocess.run([str(PROGRAM), 'check', str(file)], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    assert r.returncode == 2 and re.search(said, r.stderr), r.stderr


def test_check_of_a_pack_that_is_fine(tmp_path):
    packs = write_pack(tmp_path / 'packs')
    file = tmp_path / 'vayla.yaml'
    file.write_text(json.dumps({'broker': {'data': str(tmp_path / 'data'), 'packs': packs},
                                'systems': {'far': {'use': 'far', 'url': 'https://far.example'}}}))
    r = subprocess.run([str(PROGRAM), 'check', str(file)], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    assert r.returncode == 0, r.stderr
