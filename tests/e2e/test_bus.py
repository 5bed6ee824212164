"""The bus as PROTOCOL.md describes it, spoken by a client written from that page."""
import collections
import json
import random
import signal
import subprocess

import pytest
import toybroker
import zmq
from harness import PROGRAM, ROOT, until
from toybroker import order, payment
from vyclient import EVENT, SETTLE, Client, No, decimal, event


@pytest.fixture
def broker(tmp_path):
    made = []

    def make(**options):
        folder = tmp_path / f'b{len(made)}'
        folder.mkdir()
        made.append(toybroker.Broker(folder, **options))
        return made[-1]
    yield make
    for b in made:
        b.close()


def counts(operator):
    return operator.ask('status')['counts']


def opened(operator, state=None):
    items = operator.ask('open', sub='')['items']
    return [i for i in items if state is None or i['state'] == state]


def parked(operator, sub):
    return [i for i in opened(operator, 'parked') if i['sub'] == sub]


def timeline(operator, subject, **more):
    """Its records; none while the index does not know it yet."""
    try:
        return operator.ask('timeline', subject=subject, **more)['records']
    except No as no:
        assert no.code == 'NOTFOUND'
        return []


# ---- sessions and frames ----

def test_welcome_and_its_numbers(broker):
    b = broker().start()
    w = b.client('shop', 'connector', hello=False).hello()
    assert w['window'] > 0 and w['bytes'] > 0 and w['silent_ms'] == 30000
    assert b.client('cli', 'operator', hello=False).hello()['epoch'] == w['epoch']


def test_nothing_without_a_session(broker):
    b = broker().start()
    c = b.client('shop', 'connector', hello=False)
    for verb, header in (('PUB', {'n': 1, 'count': 0}), ('PING', {}), ('ASK', {'id': 1}), ('SUB', {'name': 'shop'})):
        c.send(verb, header)
        assert c.receive()[1]['code'] == 'NOSESSION'


@pytest.mark.parametrize('hello,code', [
    ({'v': 2, 'name': 'shop', 'role': 'connector'}, 'VERSION'),
    ({'v': 1, 'name': 'shop', 'role': 'king'}, 'RANGE'),
    ({'v': 1, 'name': 'Shop!', 'role': 'receiver'}, 'RANGE'),
    ({'v': 1, 'name': 'nobody', 'role': 'connector'}, 'DENIED'),
    ({'v': 1}, 'SYNTAX'), ({'v': 'one', 'name': 'shop', 'role': 'connector'}, 'SYNTAX')])
def test_a_hello_that_is_wrong(broker, hello, code):
    c = broker().start().client('x', 'operator', hello=False)
    c.send('HELLO', hello)
    verb, header, _ = c.receive()
    assert (verb, header['code']) == ('ERR', code)
    assert header['text'] and header['class'] == 'REJECT'


def test_frames_that_are_none(broker):
    b = broker().start()
    c = b.client('cli', 'operator')
    for frames in ([b'VY2HELLO', b'\x80'], [b'VY1NOPE', b'\x80'], [b''], [b'VY1PING'], [b'VY1PING', b'\xc1'],
                   [b'VY1PING', b'\x93\x01'], [b'VY1PING', b'\x80' + b'\x00' * 5000],
                   [b'VY1PING', b'\x80', b'', b'more'], [b'VY1PING', b'\x80', b'', b'x', b'y', b'z']):
        c.socket.send_multipart(frames)
        verb, header, _ = c.receive()
        assert (verb, header['code']) == ('ERR', 'SYNTAX'), frames
    rng = random.Random(1)
    for _ in range(300):
        c.socket.send_multipart([b'VY1' + rng.choice([b'PUB', b'SUB', b'ASK', b'PING']),
                                 rng.randbytes(rng.randrange(20)), rng.randbytes(rng.randrange(200))])
    c2 = b.client('cli', 'operator')
    assert c2.ping()['epoch'] == c2.epoch


def test_a_second_session_of_a_name_ends_the_first(broker):
    b = broker().start()
    one, two = b.client('shop', 'connector'), b.client('shop', 'connector')
    assert one.receive()[1]['code'] == 'CLOSED'
    one.send('PING', {})
    assert one.receive()[1]['code'] == 'NOSESSION'
    two.publish(order(1))
    ops = [b.client('cli', 'operator') for _ in range(3)]
    assert all(o.ping() for o in ops)


def test_numbers_of_pubs_have_no_gap(broker):
    b = broker().start()
    c = b.client('shop', 'connector')
    c.publish(order(1))
    next(c.numbers)
    with pytest.raises(No) as no:
        c.publish(order(2))
    assert no.value.code == 'STATE'
    with pytest.raises(No) as no:
        c.publish(order(2))
    assert no.value.code == 'NOSESSION'
    c.hello()
    c.publish(order(2))


def test_a_session_may_begin_with_any_number(broker):
    b = broker().start()
    c = b.client('shop', 'connector')
    for _ in range(41):
        next(c.numbers)
    assert c.publish(order(1)) == 42


# ---- publishing ----

def test_publish_confirms_and_knows_a_double(broker):
    b = broker().start()
    c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
    c.publish(order(1))
    before = counts(op)
    c.publish(order(1))
    c.publish(order(1), order(1))
    after = counts(op)
    assert after['events'] == before['events'] == 3      # native, canonical, request
    assert after['duplicates'] == before['duplicates'] + 3


def test_many_in_flight_are_answered_in_order(broker):
    b = broker().start()
    c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
    last = [c.post(order(i)) for i in range(500)][-1]
    seen = 0
    while seen < last:
        verb, header, _ = c.receive()
        assert verb == 'PUBOK' and header['upto'] > seen
        seen = header['upto']
    assert counts(op)['events'] == 1500


def test_other_content_is_the_next_revision(broker):
    b = broker().start()
    c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
    first = order(1)
    c.publish(first)
    second = order(1, total='11.00')
    second[1]['id'] = first[1]['id']
    c.publish(second)
    records = until(lambda: (t := timeline(op, 'order:shop/1')) and
                    len([r for r in t if r.get('type') == 'toyshop.order']) == 2 and t)
    assert [r['revision'] for r in records if r.get('type') == 'toyshop.order'] == [1, 2]
    # the same input evaluated anew: the next revision, whatever `again` says
    assert [r['revision'] for r in records if r.get('type') == 'order.placed'] == [1, 2]


BAD = [
    ('DENIED', dict(source='books')), ('DENIED', dict(type='toybooks.posting')),
    ('DENIED', dict(type='order.placed')), ('DENIED', dict(type='toyshop.nothing.else.is') | {'source': 'nobody'}),
    ('DENIED', dict(revision=2)), ('DENIED', dict(causationid=1)), ('DENIED', dict(target='books')),
    ('DENIED', dict(digest=b'x' * 32)), ('DENIED', dict(map='a/b/1')), ('DENIED', dict(echo=True)),
    ('SYNTAX', dict(colour='red')), ('SYNTAX', dict(subject='1042')), ('MISSING', dict(subject=None)),
    ('MISSING', dict(id=None)), ('LIMIT', dict(id='x' * 257)), ('TYPE', dict(id=5)),
    ('NOTFOUND', dict(answerto=1)), ('TYPE', dict(time='now')), ('VERSION', dict(specversion='2.0')),
    ('LIMIT', dict(refs=['a:b'] * 33)), ('SYNTAX', dict(refs=['nocolon'])),
]


def test_what_is_wrong_is_refused_by_name(broker):
    b = broker().start()
    c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
    for code, change in BAD:
        body = {**order(1)[1], **change}
        body = {k: v for k, v in body.items() if v is not None}
        with pytest.raises(No) as no:
            c.publish([EVENT, body])
        assert no.value.code == code and no.value.cls == 'REJECT', (change, no.value)
        assert no.value.text
    assert counts(op)['events'] == 0
    # all of a PUB or nothing
    with pytest.raises(No):
        c.publish(order(1), [EVENT, {**order(2)[1], 'source': 'books'}])
    with pytest.raises(No):
        c.publish(order(1), [9, {}])
    assert counts(op)['events'] == 0
    c.publish(order(1))


def test_a_seal_mark_cannot_be_published(broker):
    import msgpack
    b = broker().start()
    c = b.client('shop', 'connector')
    with pytest.raises(No) as no:
        c.publish(event(id='1', source='shop', type='toyshop.order', subject='order:1',
                        data={'a': [1, msgpack.ExtType(69, b'\x00')]}))
    assert no.value.code == 'TYPE'


def test_roles_keep_to_themselves(broker):
    b = broker().start()
    shop, books = b.client('shop', 'connector'), b.client('books', 'connector')
    rec, op = b.client('receiver', 'receiver'), b.client('cli', 'operator')
    rec.publish(order(1))
    for c, record in ((books, order(2)), (op, order(2)),
                      (shop, [SETTLE, {'sub': 'books', 'seq': 3, 'verdict': 'ok'}]),
                      (books, [SETTLE, {'sub': 'books', 'seq': 3, 'verdict': 'skip'}]),
                      (books, [SETTLE, {'sub': 'books', 'seq': 3, 'verdict': 'ok', 'parked': True}]),
                      (shop, [3, {'act': 'pause', 'by': 'me', 'system': 'books'}])):
        with pytest.raises(No) as no:
            c.publish(record)
        assert no.value.code == 'DENIED'
    shop.send('SUB', {'name': 'books', 'window': 1})
    assert shop.receive()[1]['code'] == 'DENIED'
    shop.send('ASK', {'id': 1}, b'\x81\xa5query\xa6status')
    assert shop.receive()[1]['code'] == 'DENIED'


# ---- mappings ----

def test_a_chain_in_one_turn(broker):
    b = broker().start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    books.subscribe()
    c.publish(order(7, '12.50', email='a@example.fi'))
    header, note = books.delivery()
    assert header['sub'] == 'books' and header['attempt'] == 1 and header['again'] is False
    assert note['type'] == 'toybooks.note' and note['data'] == {'number': '7', 'total': decimal('12.50')}
    assert note['target'] == 'books' and note['source'] == 'books' and note['revision'] == 1
    assert note['map'] == 'books/toybooks.note/1' and len(note['ruleset']) == 8
    op = b.client('cli', 'operator')
    placed = op.ask('event', seq=note['causationid'], unseal=True)
    native = op.ask('event', seq=note['correlationid'], unseal=True)
    assert placed['type'] == 'order.placed' and placed['subject'] == 'order:shop/7'
    assert placed['data']['email'] == 'a@example.fi'
    assert native['type'] == 'toyshop.order' and native['subject'] == 'order:shop/7'
    assert 'a@example.fi' not in str(op.ask('event', seq=note['causationid']))
    books.settle(header['seq'], attempt=1, effect={'status': 200, 'remote': 'n1', 'ms': 3, 'excerpt': b'ok'})
    assert counts(op)['settled'] == 1
    assert books.quiet()


def test_another_input_revises_by_its_word(broker):
    b = broker().start()
    c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
    c.publish(order(1, '10.00', changed=5))
    c.publish(order(1, '11.00', changed=4))       # older: the first stands
    c.publish(order(1, '12.00', changed=6))
    records = until(lambda: (r := timeline(op, 'order:shop/1', unseal=True)) and
                    len([x for x in r if x.get('type') == 'toyshop.order']) == 3 and r)
    placed = [r for r in records if r.get('type') == 'order.placed']
    assert [(p['revision'], p['data']['total']) for p in placed] == [(1, decimal('10.00')), (2, decimal('12.00'))]
    # the one that changed nothing says so
    notes = until(lambda: [x for x in timeline(op, 'order:shop/1') if x['kind'] == 'settle' and 'first stands' in x['text']])
    assert [(n['verdict'], n['sub']) for n in notes] == [('ok', 'map:shop/toyshop.order')]


def test_a_join_waits_and_goes_on_in_order(broker):
    b = broker().start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    op = b.client('cli', 'operator')
    books.subscribe()
    c.publish(payment('p1', 5, '4.00'))
    c.publish(payment('p2', 5, '6.00'))
    assert (counts(op)['wait'], counts(op)['behind']) == (1, 1)
    assert books.quiet()
    b.kill()                                      # all of it survives
    b.start()
    c, books, op = b.client('shop', 'connector'), b.client('books', 'connector'), b.client('cli', 'operator')
    assert (counts(op)['wait'], counts(op)['behind']) == (1, 1)
    books.subscribe()
    c.publish(order(5, '10.00'))
    got = {}
    for _ in range(3):
        header, e = books.delivery()
        got.setdefault(e['type'], []).append(e['data'])
        books.settle(header['seq'])
    assert [(p['payment'], p['before'], p['total']) for p in got['toybooks.posting']] == [
        ('p1', 0, decimal('10.00')), ('p2', decimal('4.00'), decimal('10.00'))]
    until(lambda: (counts(op)['wait'], counts(op)['behind']) == (0, 0))


def test_a_wait_that_ends_is_an_error_that_names_it(broker):
    b = broker()
    correct(b, 'toybooks/posting.map.yaml', 'wait 15m', 'wait 1s')
    b.start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    op = b.client('cli', 'operator')
    books.subscribe()
    c.publish(payment('p1', 5))
    assert counts(op)['wait'] == 1
    until(lambda: counts(op)['parked'] == 1, 10)
    item, = until(lambda: parked(op, 'map:books/toybooks.posting'))
    assert 'order.placed' in item['text'] and 'order:shop/5' in item['text']
    assert len([r for r in timeline(op, 'order:shop/5') if r['kind'] == 'timer']) == 1
    c.publish(order(5))                           # late, and it goes on by itself
    got = []
    for _ in range(2):
        header, e = books.delivery()
        got.append(e['type'])
        books.settle(header['seq'])
    assert sorted(got) == ['toybooks.note', 'toybooks.posting'] and books.quiet()
    assert counts(op)['parked'] == 0


def test_what_was_refused_is_tried_again_when_more_is_known(broker):
    """More goes out than came in; the rest comes later. A check that still fails says nothing twice."""
    b = broker()
    correct(b, 'toybooks/posting.map.yaml', 'total: order.total', 'total: order.total\n    check:\n      - amount <= order.total')
    b.start()
    c, op, books = b.client('shop', 'connector'), b.client('cli', 'operator'), b.client('books', 'connector')
    books.subscribe()
    c.publish(order(1, total='5.00'), payment('p1', 1, amount='9.00'), payment('p2', 1, amount='3.00'))
    books.settle(books.delivery()[0]['seq'])
    item, = until(lambda: parked(op, 'map:books/toybooks.posting'))
    assert 'amount <= order.total' in item['text'] and books.quiet()
    c.publish(order(1, total='8.00', changed=2))
    books.settle(books.delivery()[0]['seq'])
    assert books.quiet() and counts(op)['parked'] == 1
    b.kill()
    b.start()
    c, op, books = b.client('shop', 'connector'), b.client('cli', 'operator'), b.client('books', 'connector')
    books.subscribe(window=10)
    c.publish(order(1, total='9.00', changed=3))
    got = []
    for _ in range(3):
        header, e = books.delivery()
        got.append((e['type'], e['data'].get('payment')))
        books.settle(header['seq'])
    assert sorted(got, key=str) == [('toybooks.note', None), ('toybooks.posting', 'p1'), ('toybooks.posting', 'p2')]
    assert counts(op)['parked'] == 0 and books.quiet()


def test_a_mapping_that_is_gone_can_be_passed_over(broker):
    b = broker().start()
    c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
    c.publish(payment('p1', 5, amount='-1.00'))
    until(lambda: counts(op)['parked'] == 1)
    assert b.stop() == 0
    (b.folder / 'packs/toyshop/payment.map.yaml').unlink()
    b.start()
    op = b.client('cli', 'operator')
    item, = until(lambda: parked(op, 'map:shop/toyshop.payment'))
    with pytest.raises(No):
        op.act('retry', sub=item['sub'], seq=item['seq'])
    op.act('skip', sub=item['sub'], seq=item['seq'], reason='its mapping is gone')
    assert counts(op)['parked'] == 0
    with pytest.raises(No):
        op.act('skip', sub=item['sub'], seq=item['seq'], reason='once more')


def test_both_in_one_pub(broker):
    b = broker().start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    books.subscribe()
    c.publish(payment('p1', 5), order(5))
    assert {books.delivery()[1]['type'] for _ in range(2)} == {'toybooks.posting', 'toybooks.note'}


def test_a_fact_that_was_read_changes(broker):
    b = broker().start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    books.subscribe(window=1)
    c.publish(order(5, '10.00', changed=1))
    c.publish(payment('p1', 5))
    c.publish(order(5, '20.00', changed=2))
    seen = []
    for _ in range(4):
        header, e = books.delivery()
        seen.append((e['type'], e['revision'], e['data']['total']))
        books.settle(header['seq'])
    assert sorted(seen) == [
        ('toybooks.note', 1, decimal('10.00')), ('toybooks.note', 2, decimal('20.00')),
        ('toybooks.posting', 1, decimal('10.00')), ('toybooks.posting', 2, decimal('20.00'))]


def test_what_is_no_longer_emitted_is_withdrawn(broker):
    b = broker().start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    books.subscribe(window=1)
    c.publish(order(5, '10.00'), payment('p1', 5, '4.00'), payment('p2', 5, '6.00'))
    got = collections.defaultdict(list)

    def take(n):
        for _ in range(n):
            header, e = books.delivery()
            got[e['type'], e['data'] and e['data'].get('payment')].append((e['revision'], e.get('withdrawn', False)))
            books.settle(header['seq'])
        assert books.quiet()
    take(3)
    void = payment('p1', 5, '4.00', method='void')
    c.publish(void)                               # the same fact, revised: it was no money
    take(2)
    # the posting of p1 is withdrawn; p2's, which counted p1 before it, is made anew
    assert got['toybooks.posting', 'p1'] == [(1, False)] and got['toybooks.posting', None] == [(2, True)]
    assert got['toybooks.posting', 'p2'] == [(1, False), (2, False)]
    back = payment('p1', 5, '4.00')
    back[1]['id'] = 'payment:p1'
    c.publish(back)                               # and yet it was
    take(1)
    assert got['toybooks.posting', 'p1'] == [(1, False), (3, False)]


def test_what_was_made_elsewhere_and_later_is_withdrawn(broker):
    """A fact at another subject, made only when a question was answered, goes when its order no longer makes it."""
    b = broker()
    path = b.folder / 'packs/toybooks/note.map.yaml'
    path.write_text(path.read_text().replace('emit:', "when: total > 0\ntables:\n  kind: {unmatched: ask, rows: {'1': one}}\nemit:")
                    .replace("number: number\n      total", 'number: lookup(kind, number)\n      total'))
    b.start()
    c, op, books = b.client('shop', 'connector'), b.client('cli', 'operator'), b.client('books', 'connector')
    books.subscribe()
    for n in (7, 8):
        c.publish(order(n))
    c.publish(payment('p', 7), payment('q', 8))             # turns between
    assert len(until(lambda: len(opened(op, 'ask')) == 2 and opened(op, 'ask'))) == 2
    for _ in range(2):
        books.settle(books.delivery()[0]['seq'])
    for n in (7, 8):
        op.act('answer', system='books', map='toybooks.note', table='kind', key=str(n), row=f'no {n}')
        header, e = books.delivery()
        assert (e['subject'], e['data']['number'], e['revision']) == (f'note:books/{n}', f'no {n}', 1)
        books.settle(header['seq'])
    # told again as it was: the note stays; then in a later turn, and over a kill, without what made it
    c.publish(order(7, changed=2), order(8, changed=2))
    b.kill()
    b.start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    books.subscribe()
    c.publish(order(7, total='0.00', changed=3))
    gone = []
    while not gone:
        header, e = books.delivery()
        if e['type'] == 'toybooks.note':
            gone.append((e['subject'], e['revision'], e.get('withdrawn', False)))
        books.settle(header['seq'])
    assert gone == [('note:books/7', 2, True)]
    # and comes back
    c.publish(order(7, total='9.00', changed=4))
    back = []
    while not back:
        header, e = books.delivery()
        if e['type'] == 'toybooks.note':
            back.append((e['subject'], e['revision'], e.get('withdrawn', False)))
        books.settle(header['seq'])
    assert back == [('note:books/7', 3, False)]
    assert b.stop() == 0


@pytest.mark.parametrize('again', ['keep', 'error'])
def test_what_another_input_states_otherwise(broker, again):
    """`again: keep` lets the first stand and says so; `again: error` is for facts that are never said twice."""
    b = broker()
    correct(b, 'toyshop/order.map.yaml', 'again: revise by changed', f'again: {again}')
    b.start()
    c, op, books = b.client('shop', 'connector'), b.client('cli', 'operator'), b.client('books', 'connector')
    books.subscribe()
    c.publish(order(1))
    books.settle(books.delivery()[0]['seq'])
    c.publish(order(1, changed=2, total='12.00'))
    assert books.quiet()
    sub = 'map:shop/toyshop.order'
    if again == 'keep':
        said = until(lambda: [r for r in timeline(op, 'order:shop/1') if r['kind'] == 'settle' and r['sub'] == sub], 10)
        assert [r['verdict'] for r in said] == ['ok'] and 'the first stands' in said[0]['text']
        assert counts(op)['parked'] == 0
    else:
        item, = until(lambda: parked(op, sub), 10)
        assert 'again: error' in item['text']
    b.kill()
    b.start()
    op = b.client('cli', 'operator')
    placed = [r for r in until(lambda: timeline(op, 'order:shop/1'), 10) if r.get('type') == 'order.placed']
    assert [(r['revision'], r['data']['total']) for r in placed] == [(1, decimal('10.00'))]
    assert counts(op)['parked'] == (again == 'error')


def test_a_name_that_is_anothers_holds_what_follows(broker):
    """A publisher's own event claims a name: it is stored, and its mappings ask; others flow."""
    b = broker().start()
    c, op, books = b.client('shop', 'connector'), b.client('cli', 'operator'), b.client('books', 'connector')
    books.subscribe()
    c.publish(order(1))
    books.settle(books.delivery()[0]['seq'])
    kind, named = order(2)
    c.publish([kind, {**named, 'refs': ['toy:1', 'toy:free']}], order(3))
    header, e = books.delivery()
    assert e['data']['number'] == '3'
    books.settle(header['seq'])
    item, = until(lambda: opened(op, 'ask'), 10)
    assert (item['sub'], item['table'], item['key']) == ('map:shop/toyshop.order', 'ref', 'toy:shop/1')
    assert until(lambda: op.ask('find', word='toy:shop/1'), 10) == ['order:shop/1']
    with pytest.raises(No) as no:
        op.act('answer', system='shop', map='toyshop.order', table='ref', key='toy:shop/1', row=7)
    assert no.value.code == 'TYPE'
    op.act('answer', system='shop', map='toyshop.order', table='ref', key='toy:shop/1', row='order:shop/1')
    assert books.delivery()[1]['data']['number'] == '2'
    assert counts(op)['ask'] == 0
    assert until(lambda: op.ask('find', word='toy:shop/free'), 10) == ['order:shop/2']
    assert op.ask('find', word='toy:shop/1') == ['order:shop/1']


def test_a_question_and_its_answer(broker):
    b = broker().start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    op = b.client('cli', 'operator')
    books.subscribe()
    c.publish(order(1), order(2), order(3))
    for _ in range(3):
        books.settle(books.delivery()[0]['seq'])
    c.publish(payment('p1', 1, method='swish'))
    c.publish(payment('p2', 1, method='card'))    # behind it
    c.publish(payment('p3', 2, method='card'))    # another order flows
    header, e = books.delivery()
    assert e['data']['payment'] == 'p3'
    books.settle(header['seq'])
    asks = until(lambda: opened(op, 'ask'))
    assert [(a['table'], a['key'], a['sub']) for a in asks] == [('clearing', 'swish', 'map:books/toybooks.posting')]
    with pytest.raises(No) as no:                 # a row that does not fit
        op.act('answer', system='books', map='toybooks.posting', table='nothing', key='swish', row='1399')
    assert no.value.code == 'NOTFOUND' and no.value.text
    op.act('answer', system='books', map='toybooks.posting', table='clearing', key='swish', row='1399')
    got = []
    for _ in range(2):
        header, e = books.delivery()
        got.append((e['data']['payment'], e['data']['account']))
        books.settle(header['seq'])
    assert got == [('p1', '1399'), ('p2', '1320')]
    b.kill()
    b.start()                                     # the answer stays
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    books.subscribe()
    c.publish(payment('p4', 3, method='swish'))
    assert books.delivery()[1]['data']['account'] == '1399'


def test_an_error_parks_one_mapping_of_one_subject(broker):
    b = broker().start()
    c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
    c.publish(payment('p1', 1, amount='-1.00'))
    c.publish(payment('p2', 1, amount='5.00'))
    c.publish(payment('p3', 2, amount='5.00'))
    item, = until(lambda: parked(op, 'map:shop/toyshop.payment'))
    assert item['subject'] == 'order:shop/1' and item['text']
    assert counts(op)['behind'] == 1
    op.act('retry', sub=item['sub'], seq=item['seq'])       # still wrong
    assert counts(op)['parked'] == 1
    op.act('skip', sub=item['sub'], seq=item['seq'], reason='a test')
    until(lambda: counts(op)['parked'] == 0 and counts(op)['behind'] == 0)
    with pytest.raises(No) as no:
        op.act('retry', sub=item['sub'], seq=item['seq'])
    assert no.value.code == 'STATE'


def test_a_new_ruleset_tries_what_is_parked_again(broker):
    b = broker().start()
    c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
    c.publish(payment('p1', 1, amount='-1.00'))
    until(lambda: counts(op)['parked'] == 1)
    assert b.stop() == 0
    path = b.folder / 'packs/toyshop/payment.map.yaml'
    path.write_text(path.read_text().replace('- amount > 0', '- amount > 0 - 5'))
    b.start()
    op = b.client('cli', 'operator')
    until(lambda: counts(op)['parked'] == 0)
    assert counts(op)['wait'] == 1                # the posting waits for its order
    assert len(list((b.folder / 'data/rulesets').iterdir())) == 2


# ---- delivery ----

def test_one_in_flight_a_subject(broker):
    b = broker().start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    for i in range(3):
        c.publish(order(i), *[payment(f'p{i}-{k}', i) for k in range(3)])
    books.subscribe(window=100)
    order_of, hand, got = collections.defaultdict(list), {}, 0
    while got < 12:
        header, e = books.delivery()
        key = e['subject']
        assert key not in hand, 'two of one subject in flight'
        hand[key] = header['seq']
        got += 1
        if len(hand) == 6 or got >= 6:
            for k, seq in list(hand.items()):
                order_of[k].append(seq)
                books.settle(seq)
            hand = {}
    assert books.quiet()
    for seqs in order_of.values():
        assert seqs == sorted(seqs)


def test_the_window_is_kept(broker):
    b = broker().start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    c.publish(*[order(i) for i in range(10)])
    books.subscribe(window=3)
    seqs = [books.delivery()[0]['seq'] for _ in range(3)]
    assert books.quiet()
    books.settle(seqs[0])
    books.delivery()
    assert books.quiet()


def test_a_slow_reader_is_not_deaf(broker):
    """A peer whose queue is full of deliveries hears its PUBOK later; its session lives."""
    b = broker().start()
    c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
    context = zmq.Context()
    context.setsockopt(zmq.RCVHWM, 32)            # what it has not read stays with the broker
    books = Client(b.bus, 'books', 'connector', context)
    books.hello()
    for k in range(6):
        c.publish(*[order('%0100d' % (100 * k + i)) for i in range(100)])
    books.subscribe(window=1024)

    def pushed():
        sub = next(s for s in op.ask('status')['systems'] if s['name'] == 'books')['sub']
        return sub['in_hand'] >= 256
    until(pushed)
    n = [books.post([SETTLE, {'sub': 'books', 'seq': 10 ** 9 + i, 'verdict': 'ok'}]) for i in range(20)]
    for _ in range(5):
        op.ask('status')                          # the answers have long been due
    books.answer(n[-1])
    for _ in range(600):
        header, _ = books.delivery()
        books.post([SETTLE, {'sub': 'books', 'seq': header['seq'], 'verdict': 'ok'}])
    books.close()
    context.term()


def test_retry_then_spent(broker):
    b = broker().start()                          # three attempts, 20 ms apart
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    op = b.client('cli', 'operator')
    books.subscribe()
    c.publish(order(1), payment('p1', 1))
    attempts = collections.defaultdict(list)
    for _ in range(6):
        header, e = books.delivery()
        attempts[e['type']].append(header['attempt'])
        books.settle(header['seq'], 'retry', attempt=header['attempt'], text='the far side said 503')
    assert attempts == {'toybooks.note': [1, 2, 3], 'toybooks.posting': [1, 2, 3]}
    assert books.quiet()
    item, = until(lambda: opened(op))             # the note was skipped, the posting is parked
    assert item['state'] == 'parked' and item['text'] == 'the far side said 503'
    c.publish(payment('p2', 1))                   # same subject: nothing passes a parked one
    assert books.quiet()
    op.act('retry', sub='books', seq=item['seq'])
    header, e = books.delivery()
    assert (header['seq'], header['attempt']) == (item['seq'], 1)
    books.settle(header['seq'])
    assert books.delivery()[1]['data']['payment'] == 'p2'


def test_defer_costs_no_attempt(broker):
    b = broker().start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    books.subscribe()
    c.publish(order(1))
    for _ in range(5):
        header, _ = books.delivery()
        assert header['attempt'] == 1
        books.settle(header['seq'], 'defer', after_ms=10)
    books.settle(books.delivery()[0]['seq'])
    assert books.quiet()


def test_reject_parks_and_skip_goes_on(broker):
    b = broker().start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    op = b.client('cli', 'operator')
    books.subscribe()
    c.publish(order(1))
    books.settle(books.delivery()[0]['seq'])
    c.publish(payment('p1', 1), payment('p2', 1))
    first, e = books.delivery()
    assert e['data']['payment'] == 'p1'
    books.settle(first['seq'], 'reject', text='it will never fit')
    assert books.quiet()
    b.kill()
    b.start()
    books, op = b.client('books', 'connector'), b.client('cli', 'operator')
    books.subscribe()
    assert books.quiet()
    op.act('skip', sub='books', seq=first['seq'], reason='a test')
    header, e = books.delivery()
    assert e['data']['payment'] == 'p2' and header['seq'] > first['seq']


@pytest.mark.parametrize('verdict', ['reject', 'ask'])
def test_a_state_that_is_stuck_gives_way_to_a_later_one(broker, verdict):
    """The toy's notes are states (spent: skip): refused before or after the next one is known."""
    b = broker().start()
    c, books, op = b.client('shop', 'connector'), b.client('books', 'connector'), b.client('cli', 'operator')
    books.subscribe()
    c.publish(order(1, changed=1), order(2, changed=1))
    c.publish(order(1, changed=2, total='11.00'))
    first, _ = books.delivery()
    books.settle(first['seq'], verdict, text='it will never fit')       # the next one waits behind it
    second, e = books.delivery()
    assert e['data']['number'] in '12'
    other = e if e['data']['number'] == '2' else None
    if other is None:
        assert e['revision'] == 2
        books.settle(second['seq'], verdict)
        header, e = books.delivery()
        books.settle(header['seq'])
    else:
        books.settle(second['seq'])
        header, e = books.delivery()
        assert (e['data']['number'], e['revision']) == ('1', 2)
        books.settle(header['seq'], verdict)
    assert books.quiet() and counts(op)['parked'] + counts(op)['ask'] == 1
    c.publish(order(1, changed=3, total='12.00'))                       # known when it is stuck
    header, e = books.delivery()
    assert (e['data']['number'], e['revision']) == ('1', 3)
    books.settle(header['seq'])
    assert books.quiet() and counts(op)['parked'] + counts(op)['ask'] == 0


def test_again_after_a_lost_session_and_a_stop(broker):
    b = broker().start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    books.subscribe()
    c.publish(order(1))
    header, _ = books.delivery()
    assert header['again'] is False
    two = b.client('books', 'connector')          # the connector was started anew
    two.subscribe()
    header, _ = two.delivery()
    assert header['again'] is True and header['attempt'] == 1
    b.kill()
    b.start()
    three = b.client('books', 'connector')
    three.subscribe()
    header, _ = three.delivery()
    assert header['again'] is True and header['attempt'] == 1
    three.settle(header['seq'])
    assert three.quiet()


def test_a_later_attempt_that_was_out_when_the_broker_died_comes_again(broker):
    b = broker().start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    books.subscribe()
    c.publish(order(1))
    header, _ = books.delivery()
    books.settle(header['seq'], 'retry', attempt=1)
    header, _ = books.delivery()
    assert (header['attempt'], header['again']) == (2, False)
    b.kill()
    b.start()
    books = b.client('books', 'connector')
    books.subscribe()
    header, _ = books.delivery()
    assert (header['attempt'], header['again']) == (2, True)
    # one that waits for its time was not out
    books.settle(header['seq'], 'defer', after_ms=2500)
    b.kill()
    b.start()
    books = b.client('books', 'connector')
    books.subscribe()
    header, _ = books.delivery()
    assert (header['attempt'], header['again']) == (2, False)


def test_crashes_are_counted_one_delivery_at_a_time(broker):
    """What was in hand in a crash goes out alone until it is settled; new deliveries wait for it."""
    b = broker().start()
    c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
    c.publish(*[order(i) for i in range(5)])
    books = b.client('books', 'connector')
    books.subscribe(window=3)
    held = {books.delivery()[0]['seq'] for _ in range(3)}
    books = b.client('books', 'connector')        # a crash with three in hand
    books.subscribe(window=100)
    seen = []
    for _ in range(3):
        header, _ = books.delivery()
        assert header['again'] is True and books.quiet(0.2)      # one at a time
        seen.append(header['seq'])
        books.settle(header['seq'])
    assert set(seen) == held
    rest = [books.delivery()[0] for _ in range(2)]               # and then all as before
    assert not any(h['again'] for h in rest)
    # a loss of several at once counts for none of them, nor does a BYE, nor the broker's end
    for end in ('crash', 'bye', 'broker', 'crash', 'bye'):
        if end == 'broker':
            b.kill()
            b.start()
        elif end == 'bye':
            books.bye()
        books = b.client('books', 'connector')
        books.subscribe(window=100)
        header, _ = books.delivery()
        assert header['again'] is True
    op = b.client('cli', 'operator')
    assert not parked(op, 'books')
    for h in rest:
        books.settle(h['seq'])
    # a settlement between two crashes begins the count anew
    c = b.client('shop', 'connector')
    c.publish(order(9))
    for _ in range(2):
        books = b.client('books', 'connector')
        books.subscribe()
        seq = books.delivery()[0]['seq']
    books.settle(seq, 'defer', after_ms=1)
    for _ in range(2):
        assert books.delivery()[0]['seq'] == seq and not parked(op, 'books')
        books = b.client('books', 'connector')
        books.subscribe()
    assert books.delivery()[0]['seq'] == seq
    books.settle(seq)


def test_a_settlement_may_come_late(broker):
    b = broker().start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    op = b.client('cli', 'operator')
    books.subscribe()
    c.publish(order(1))
    header, _ = books.delivery()
    books.bye()
    two = b.client('books', 'connector')
    two.settle(header['seq'], 'ok', attempt=1)    # before it was delivered to this session
    two.settle(header['seq'], 'ok', attempt=1)    # once more: dropped
    two.subscribe()
    assert two.quiet()
    assert counts(op)['settled'] == 1


def test_patience(broker):
    b = broker().start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    books.subscribe(patience=1000)
    c.publish(order(1))
    header, _ = books.delivery()
    for _ in range(3):
        assert books.quiet(0.6)
        books.ping(extend=[header['seq']])
    again, _ = books.delivery(5)
    assert again['seq'] == header['seq'] and again['again'] is True


def test_three_losses_alone_in_hand_park(broker):
    b = broker().start()
    c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
    c.publish(order(1), order(2))
    books = b.client('books', 'connector')
    books.subscribe()
    first = {books.delivery()[0]['seq'] for _ in range(2)}
    culprit = max(first)
    for _ in range(3):
        books = b.client('books', 'connector')    # a crash: no BYE
        books.subscribe()
        while True:                               # one at a time, each looked at first
            header, _ = books.delivery()
            assert header['again'] is True
            if header['seq'] == culprit:
                break
            books.settle(header['seq'])
        assert not parked(op, 'books')
    books = b.client('books', 'connector')
    books.subscribe()
    assert until(lambda: parked(op, 'books'))[0]['seq'] == culprit
    for seq in first - {culprit}:                 # the other one, if it was not settled above
        if opened(op, 'ready'):
            assert books.delivery()[0]['seq'] == seq
            books.settle(seq)
    assert books.quiet()


def test_nothing_goes_to_a_system_that_only_watches(broker):
    b = broker(mode='observe').start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    op = b.client('cli', 'operator')
    books.subscribe()
    c.publish(order(1))
    assert books.quiet()
    assert counts(op)['ready'] == 1
    op.act('live', system='books')
    header, _ = books.delivery()
    op.act('pause', system='books')
    books.settle(header['seq'])
    c.publish(order(2))
    assert books.quiet()
    b.kill()
    b.start()
    books, op = b.client('books', 'connector'), b.client('cli', 'operator')
    books.subscribe()
    assert books.quiet()
    assert [s['mode'] for s in op.ask('status')['systems'] if s['name'] == 'books'] == ['paused']
    op.act('resume', system='books')
    books.delivery()


def test_live_since_passes_over_what_is_older(broker):
    b = broker(mode='observe').start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    op = b.client('cli', 'operator')
    books.subscribe()
    c.publish(order(1))                           # of 2026-01-01
    c.publish(order(2, changed=90 * 86400))       # of 2026-04-01
    op.act('live', system='books', since='2026-03-01')
    assert books.delivery()[1]['data']['number'] == '2'
    assert books.quiet()
    assert counts(op)['ready'] == 1


def test_an_answer_and_its_settlement_in_one_pub(broker):
    b = broker().start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    op = b.client('cli', 'operator')
    books.subscribe()
    c.publish(order(1))
    header, e = books.delivery()
    books.publish(
        event(id='voucher:1', source='books', type='toybooks.voucher', subject='voucher:1', data={'n': 1},
              answerto=header['seq']),
        [SETTLE, {'sub': 'books', 'seq': header['seq'], 'verdict': 'ok'}])
    assert counts(op)['settled'] == 1
    voucher = until(lambda: [r for r in op.ask('recent', n=5) if r['type'] == 'toybooks.voucher'])[0]
    assert voucher['cause'] == header['seq'] and voucher['root'] == e['correlationid']


# ---- looking ----

def test_the_tap_is_masked(broker):
    b = broker().start()
    c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
    op.tap(type='order.')
    op.ping()
    c.publish(order(1, email='a@example.fi'))
    header, e = op.delivery()
    assert header['lossy'] is True and e['type'] == 'order.placed'
    assert 'a@example.fi' not in str(e) and e['data']['number'] == '1'
    assert op.quiet()


def test_queries(broker):
    b = broker().start()
    c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
    c.publish(order(1042))
    s = op.ask('status')
    assert s['types'] == {'toyshop.order': 1, 'order.placed': 1, 'toybooks.note': 1}
    assert {x['name']: x['mode'] for x in s['systems']} == {'shop': 'observe', 'books': 'live'}
    c.ping(report={'shop.refused': 3})
    assert [x['report'] for x in op.ask('status')['sessions'] if x['name'] == 'shop'] == [{'shop.refused': 3}]
    assert 'order:shop/1042' in until(lambda: op.ask('find', word='1042'))
    page = until(lambda: (p := op.ask('open', sub='books', max=1))['items'] and p)
    assert page['items'][0]['state'] == 'ready'
    for query in ({'query': 'nothing'}, {'query': 'event'}, {'query': 'event', 'seq': 10**9}, {}):
        with pytest.raises(No):
            op.ask(**{'query': None, **query})


def test_epoch_rises_and_stop_is_clean(broker):
    b = broker().start()
    epoch = b.client('cli', 'operator').epoch
    assert b.stop() == 0
    b.start()
    assert b.client('cli', 'operator').epoch == epoch + 1


def test_what_cannot_start_says_why(broker, tmp_path):
    b = broker().start()
    other = broker()
    other.config['broker']['data'] = b.config['broker']['data']
    other.start(wait=False)
    assert other.process.wait(20) != 0
    assert str(b.process.pid) in other.text()
    b.client('cli', 'operator').ping()            # the first one is untouched
    third = broker()
    (third.folder / 'file').write_text('')
    third.config['broker']['data'] = str(third.folder / 'file' / 'data')
    third.start(wait=False)
    assert third.process.wait(20) != 0 and 'data' in third.text()


# ---- evaluating anew ----

def correct(b, name, old, new):
    """Change a mapping's file."""
    path = b.folder / 'packs' / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_replay_is_a_plan_first(broker):
    b = broker().start()
    c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
    books = b.client('books', 'connector')
    books.subscribe(window=100)
    for i in range(5):
        c.publish(order(i), payment(f'p{i}', i, method='card' if i < 3 else 'bank'))
    for _ in range(10):
        books.settle(books.delivery()[0]['seq'])
    sub = 'map:books/toybooks.posting'
    assert op.ask('plan', sub=sub) == {'items': [], 'looked': 5, 'same': 5, 'next': 0}
    assert b.stop() == 0
    correct(b, 'toybooks/posting.map.yaml', "card: '1320'", "card: '1330'")
    b.start()
    c, op, books = b.client('shop', 'connector'), b.client('cli', 'operator'), b.client('books', 'connector')
    books.subscribe(window=100)
    assert books.quiet()                          # a new mapping changes nothing by itself
    plan = op.ask('plan', sub=sub)
    assert (plan['looked'], plan['same']) == (5, 2) and len(plan['items']) == 3
    assert all((i['next'], i['new'], i['withdrawn']) == (1, 0, 0) for i in plan['items'])
    before = counts(op)['events']
    for i in plan['items']:
        op.act('replay', sub=sub, seq=i['seq'], reason='the account was wrong')
    got = []
    for _ in range(3):
        header, e = books.delivery()
        got.append((e['revision'], e['data']['account']))
        books.settle(header['seq'])
    assert got == [(2, '1330')] * 3 and books.quiet()
    assert counts(op)['events'] == before + 3
    assert op.ask('plan', sub=sub)['items'] == []
    with pytest.raises(No) as no:
        op.act('replay', sub=sub, seq=1)
    assert no.value.code in ('STATE', 'NOTFOUND')
    with pytest.raises(No):
        op.act('replay', sub='map:books/nothing', seq=plan['items'][0]['seq'])


def test_a_plan_says_what_is_blocked(broker):
    """What was sent, and whose pack wants a person asked, is not changed by a replay alone."""
    b = broker().start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    books.subscribe(window=100)
    for i in range(3):
        c.publish(order(i), payment(f'p{i}', i))
    for _ in range(6):
        books.settle(books.delivery()[0]['seq'])
    assert b.stop() == 0
    correct(b, 'toybooks/posting.map.yaml', "card: '1320'", "card: '1330'")
    correct(b, 'toybooks/pack.yaml', 'toybooks.posting: {write: ledger, revised: send', 'toybooks.posting: {write: ledger, revised: ask')
    b.start()
    op, books = b.client('cli', 'operator'), b.client('books', 'connector')
    sub = 'map:books/toybooks.posting'
    plan = op.ask('plan', sub=sub)
    assert [(i['next'], i['blocked']) for i in plan['items']] == [(1, 1)] * 3
    said = subprocess.run([str(PROGRAM), 'replay', 'plan', sub, '--config', str(b.file)], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, timeout=30, check=True).stdout
    assert '3 events: 0 the same, 3 would change' in said and '3 of them are blocked: sent before' in said
    books.subscribe(window=100)
    op.act('replay', sub=sub, seq=plan['items'][0]['seq'])
    until(lambda: counts(op)['ask'] == 1)
    assert books.quiet()


def test_sighup_takes_a_new_ruleset_whole_or_not_at_all(broker):
    b = broker().start()
    c, op, books = b.client('shop', 'connector'), b.client('cli', 'operator'), b.client('books', 'connector')
    books.subscribe(window=100)
    ruleset = op.ask('status')['ruleset']

    def hup(says):
        seen = len(b.log.read_text())
        b.process.send_signal(signal.SIGHUP)
        return until(lambda: says in b.log.read_text()[seen:], 10)
    hup('nothing has changed')
    c.publish(payment('p1', 1, method='swish'), order(1))
    books.settle(books.delivery()[0]['seq'])      # the note
    assert counts(op)['ask'] == 1
    correct(b, 'toybooks/posting.map.yaml', "bank: '1310'", "bank: '1310', swish: '1399', nonsense")
    hup('stays as it was')                        # a broken file: all stays
    assert op.ask('status')['ruleset'] == ruleset
    correct(b, 'toybooks/posting.map.yaml', ", nonsense", "")
    hup('a new ruleset is in force')
    header, e = books.delivery()                  # what asked goes on by itself
    assert e['data']['account'] == '1399' and e['ruleset'].hex() != ruleset[:16]
    books.settle(header['seq'])
    assert op.ask('status')['ruleset'] == until(lambda: op.ask('status')['ruleset'])
    b.config['systems']['more'] = {'use': 'toyshop'}
    b.file.write_text(json.dumps(b.config))
    hup('needs a restart')
    c.publish(order(2))
    assert b.stop() == 0


def test_a_system_is_not_sent_what_came_from_itself(broker):
    b = broker()
    (b.folder / 'packs/toybooks/schema/toybooks.voucher.yaml').write_text(
        'schema: toybooks.voucher/1\ntitle: A voucher\nfields:\n  n: integer\n')
    (b.folder / 'packs/toybooks/voucher.map.yaml').write_text(
        'map: toybooks.voucher/1\nfrom: toybooks.voucher\nemit:\n  - type: toybooks.note\n'
        '    id: "voucher:{n}"\n    subject: "note:v{n}"\n    data:\n      number: "{n}"\n      total: n\n')
    b.start()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    op = b.client('cli', 'operator')
    books.subscribe()

    def voucher(n, **more):
        return event(id=f'v{n}', source='books', type='toybooks.voucher', subject=f'voucher:{n}', data={'n': n}, **more)
    books.publish(voucher(1))                     # its own word: stored, marked, not sent back
    assert books.quiet()
    echo = until(lambda: [r for r in op.ask('recent', n=5) if r['type'] == 'toybooks.note'])[0]
    assert echo.get('echo') is True and not echo.get('target')
    c.publish(order(1))
    header, _ = books.delivery()
    books.publish(voucher(2, answerto=header['seq']),       # an answer to our request may cause another
                  [SETTLE, {'sub': 'books', 'seq': header['seq'], 'verdict': 'ok'}])
    assert books.delivery()[1]['data']['number'] == '2'


def system_verb(b, *words, status=0):
    r = subprocess.run([str(PROGRAM), 'system', *words, '--config', str(b.file)], cwd=ROOT, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert r.returncode == status, r.stdout
    return r.stdout


def test_drain_waits_for_what_is_in_hand(broker):
    b = broker().start()
    c, op, books = b.client('shop', 'connector'), b.client('cli', 'operator'), b.client('books', 'connector')
    books.subscribe(window=2)
    for i in range(5):
        c.publish(order(i))
    hand = [books.delivery()[0]['seq'] for _ in range(2)]
    p = subprocess.Popen([str(PROGRAM), 'system', 'drain', 'books', '--config', str(b.file)], cwd=ROOT, text=True, stdout=subprocess.PIPE)
    until(lambda: [s['mode'] for s in op.ask('status')['systems'] if s['name'] == 'books'] == ['paused'])
    assert p.poll() is None
    for seq in hand:
        books.settle(seq)
    assert p.wait(30) == 0 and 'nothing in hand' in p.stdout.read()
    assert books.quiet()
    assert 'nothing in hand' in system_verb(b, 'drain', 'books')         # again: it is so
    assert 'no system nobody' in system_verb(b, 'drain', 'nobody', status=4)
    system_verb(b, 'resume', 'books')
    for _ in range(3):
        books.settle(books.delivery()[0]['seq'])


def test_rewind_is_an_act_and_a_file_for_the_connector(broker):
    b = broker().start()
    op = b.client('cli', 'operator')
    assert 'ask again from 2026-11-01' in system_verb(b, 'rewind', 'shop', '--since', '2026-11-01', '--reason', 'a hole')
    assert (b.folder / 'data' / 'connectors' / 'shop.rewind').read_text() == '2026-11-01'
    act = op.ask('event', seq=op.ask('status')['journal']['next'] - 1)
    assert (act['act'], act['system'], act['since'], act['reason']) == ('rewind', 'shop', '2026-11-01', 'a hole')
    assert 'no date' in system_verb(b, 'rewind', 'shop', '--since', 'yesterday', status=2)
    assert '--since DATE' in system_verb(b, 'rewind', 'shop', status=2)
    with pytest.raises(No) as no:
        op.act('rewind', system='shop')
    assert no.value.code == 'MISSING'
