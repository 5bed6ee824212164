"""broker/wire/PROTOCOL.md, line by line: every sentence, row and item of its chapters bears a tag
[P12], and every tag has a test, here (@says) or in the file that ELSEWHERE names. A sentence without
a tag, a tag without a test and a test of a tag that is gone fail.

To add a sentence: give it the next free number, and name its test."""
import hashlib
import pathlib
import re
import time

import msgpack
import pytest
import toybroker
from harness import ROOT, until
from toybroker import order, payment
from vyclient import ACTION, EVENT, SETTLE, Client, No, Silence, decimal, event, pack, unpack

PAGE = ROOT / 'broker' / 'wire' / 'PROTOCOL.md'
SAID = {}


def says(*tags):
    def keep(test):
        for t in tags:
            assert t not in SAID, f'P{t} twice'
            SAID[t] = test.__name__
        return test
    return keep


ELSEWHERE = {
    # who may speak
    **dict.fromkeys((11, 12), 'e2e/test_access.py::test_nobody_comes_in_without_a_key_that_is_known'),
    13: 'e2e/test_access.py::test_a_key_that_others_can_read_is_not_used',
    14: 'e2e/test_access.py::test_over_tcp_from_a_folder_of_its_own',
    15: 'e2e/test_access.py::test_keys_are_made_by_themselves_for_their_owner_alone',
    16: 'e2e/test_access.py::test_what_key_cannot_do_it_says',
    **dict.fromkeys((17, 18, 19), 'e2e/test_access.py::test_a_revoked_key_ends_its_session'),
    **dict.fromkeys((20, 21), 'e2e/test_access.py::test_a_key_is_good_for_its_own_name_and_role'),
    **dict.fromkeys(range(22, 32), 'e2e/test_access.py::test_rights_are_by_verb_and_type'),
    1: 'e2e/test_access.py::test_over_tcp_from_a_folder_of_its_own',
    # what a client does: ours
    **dict.fromkeys((6, 55), 'unit/client_test.c::a_lost_session_is_renewed_on_the_same_connection'),
    **dict.fromkeys((54, 76), 'unit/client_test.c::a_new_broker_gets_what_the_old_one_did_not_confirm'),
    57: 'unit/client_test.c::another_process_of_our_name',
    **dict.fromkeys((61, 62), 'unit/client_test.c::a_silent_broker_is_a_gone_one'),
    **dict.fromkeys((73, 74), 'unit/client_test.c::a_refusal_is_told_and_what_follows_goes_on'),
    **dict.fromkeys((141, 142, 143), 'unit/client_test.c::a_refusal_is_told_and_what_follows_goes_on'),
    # sessions
    56: 'e2e/test_bus.py::test_a_second_session_of_a_name_ends_the_first',
    146: 'e2e/test_bus.py::test_a_second_session_of_a_name_ends_the_first',
    52: 'e2e/test_bus.py::test_epoch_rises_and_stop_is_clean',
    60: 'e2e/test_hostile.py::test_a_peer_that_comes_and_goes',
    65: 'e2e/test_hostile.py::test_more_sessions_than_there_may_be',
    147: 'e2e/test_bus.py::test_nothing_without_a_session',
    154: 'e2e/test_bus.py::test_a_hello_that_is_wrong',
    # publishing
    69: 'e2e/test_bus.py::test_a_session_may_begin_with_any_number',
    70: 'e2e/test_bus.py::test_numbers_of_pubs_have_no_gap',
    77: 'e2e/test_bus.py::test_other_content_is_the_next_revision',
    78: 'e2e/test_bus.py::test_a_settlement_may_come_late',
    90: 'e2e/test_bus.py::test_an_answer_and_its_settlement_in_one_pub',
    68: 'e2e/test_bus.py::test_what_is_wrong_is_refused_by_name',
    # acts
    **dict.fromkeys((104, 112), 'e2e/test_inbox.py::test_every_act_has_a_name'),
    107: 'e2e/test_inbox.py::test_what_a_mapping_refused_is_corrected',
    108: 'e2e/test_inbox.py::test_snooze_puts_off_and_changes_nothing',
    109: 'e2e/test_bus.py::test_replay_is_a_plan_first',
    110: 'e2e/test_bus.py::test_a_question_and_its_answer',
    111: 'e2e/test_bus.py::test_nothing_goes_to_a_system_that_only_watches',
    169: 'e2e/test_shadow.py::test_a_hostile_deploy_changes_nothing',
    **dict.fromkeys((170, 171), 'e2e/test_shadow.py::test_rollback_and_versions'),
    136: 'e2e/test_bus.py::test_replay_is_a_plan_first',
    # deliveries
    118: 'e2e/test_bus.py::test_one_in_flight_a_subject',
    121: 'e2e/test_bus.py::test_three_losses_alone_in_hand_park',
    122: 'e2e/test_bus.py::test_retry_then_spent',
    124: 'e2e/test_bus.py::test_reject_parks_and_skip_goes_on',
    125: 'e2e/test_bus.py::test_nothing_goes_to_a_system_that_only_watches',
    # limits and ends
    160: 'e2e/test_hostile.py::test_a_frame_beyond_the_limit_ends_the_connection_only',
    162: 'e2e/test_hostile.py::test_four_that_flood_and_do_not_read',
    155: 'e2e/test_hostile.py::test_one_that_reads_no_answer_loses_its_session',
    **dict.fromkeys((144, 145), 'e2e/test_full.py::test_disk_full'),
    **dict.fromkeys(range(163, 169), 'e2e/test_crash.py::test_kill_at_random'),
}


# ---- the page itself ----

SENTENCE = re.compile(r'(?<=[.])\s+(?=[A-Z`*(])')


def blocks():
    """(line, text) of each paragraph, item and row of chapters 1 to 9, code left out."""
    found, current, code, on, row = [], None, False, False, 0
    for n, line in enumerate(PAGE.read_text().split('\n'), 1):
        if line.startswith('```'):
            code, current = not code, None
        elif code:
            pass
        elif line.startswith('#') or not line.strip():
            on, current, row = on or line.startswith('## 1.'), None, 0
        elif not on:
            pass
        elif line.startswith('|'):
            row += 1
            if row > 2:
                found.append([n, line])
        elif line.startswith('- ') or current is None:
            current = [n, line.strip()]
            found.append(current)
        else:
            current[1] += ' ' + line.strip()
    return found


def test_every_sentence_has_a_test():
    seen, wrong = {}, []
    for line, text in blocks():
        parts = re.split(r'\[P(\d+)\]', text)
        if len(parts) == 1 or (not text.startswith('|') and parts[-1].strip()):
            wrong.append(f'line {line}: no tag behind: {parts[-1].strip()[:90]}')
        for said, tag in zip(parts[::2], parts[1::2]):
            if not text.startswith('|') and len(SENTENCE.split(said.strip())) > 1:
                wrong.append(f'line {line}: two sentences before [P{tag}]: {said.strip()[:90]}')
            if int(tag) in seen:
                wrong.append(f'line {line}: [P{tag}] stands on line {seen[int(tag)]} already')
            seen[int(tag)] = line
    tested = {**{t: f'e2e/test_protocol.py::{f}' for t, f in SAID.items()}, **ELSEWHERE}
    wrong += [f'line {line}: [P{t}] has no test: name one in tests/e2e/test_protocol.py' for t, line in seen.items() if t not in tested]
    wrong += [f'[P{t}] is not in PROTOCOL.md any more' for t in tested if t not in seen]
    wrong += [f'[P{t}] is tested here and elsewhere' for t in SAID if t in ELSEWHERE]
    for where in set(tested.values()):
        file, name = where.split('::')
        text = (ROOT / 'tests' / file).read_text()
        if not re.search(rf'^(def {name}\(|T\({name}\))', text, re.M):
            wrong.append(f'there is no {where}')
    assert not wrong, '\n'.join(wrong)


def dumps():
    """The hex dumps: a list of frames each, and what stands beside them."""
    found = []
    for block in PAGE.read_text().split('```')[1::2]:
        block = block.lstrip('\n')
        rows = [re.match(r' *((?:[0-9a-f]{2} ?)+)(.*)', line) for line in block.split('\n')]
        if all(rows[:-1]):
            found.append([(bytes.fromhex(r[1]), r[2].strip()) for r in rows if r])
    return found


# ---- a broker for all of it ----

@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    b = toybroker.Broker(tmp_path_factory.mktemp('protocol')).start()
    yield b
    b.close()


@pytest.fixture
def broker(tmp_path):
    made = []

    def make(**options):
        folder = tmp_path / f'b{len(made)}'
        folder.mkdir()
        made.append(toybroker.Broker(folder, **options))
        return made[-1].start()
    yield make
    for b in made:
        b.close()


def refused(call, code):
    with pytest.raises(No) as no:
        call()
    assert no.value.code == code and no.value.text, no.value
    return no.value


def error(c, seconds=5):
    verb, header, _ = c.receive(seconds)
    assert verb == 'ERR', (verb, header)
    return header


@says(2, 3, 4, 5, 47, 51, 67, 71, 79, 103)
def test_the_bytes_on_the_page(broker):
    """The dumps are sent as they stand, and what comes back are those of the page, numbers aside."""
    b = broker()
    (hello, _), (header, _), (welcome, _), *rest = dumps()[0]
    answer = unpack(b''.join(x for x, _ in rest))
    c = b.client('shop', 'connector', hello=False)
    assert unpack(header) == {'v': 1, 'name': 'shop', 'role': 'connector'}
    c.socket.send_multipart([hello, header])
    frames = c.socket.recv_multipart()
    got = unpack(frames[1])
    assert frames[0] == welcome and set(got) == set(answer)
    assert (got['window'], got['bytes'], got['silent_ms']) == (answer['window'], answer['bytes'], answer['silent_ms'])
    pub = [x for x, _ in dumps()[1]]
    blob = b''.join(pub[2:-2])
    kind, body = unpack(blob)
    assert kind == 1 and body['data'] == {'total': decimal('79.90')} and body['time'] == 1767225600
    # the page's system publishes another type: ours is refused by its name, as a whole
    c.socket.send_multipart([pub[0], pub[1], blob])
    frames = c.socket.recv_multipart()
    assert frames[0] == b'VY1PUBNO' and unpack(frames[1])['code'] == 'DENIED'
    c.hello()
    c.socket.send_multipart([b'VY1PUB', pub[1], pack([1, {**body, 'type': 'toyshop.order', 'time': msgpack.Timestamp(1767225600), 'data': order(1042)[1]['data']}])])
    assert c.socket.recv_multipart() == [pub[-2], pub[-1]]
    settle = b''.join(x for x, _ in dumps()[2])
    assert unpack(settle) == [2, {'sub': 'books', 'seq': 3, 'verdict': 'ok', 'attempt': 1}]
    # an empty third frame is none
    c.socket.send_multipart([b'VY1PING', b'\x80', b''])
    assert c.receive()[0] == 'PONG'
    c.socket.send_multipart([b'', b'VY1PING', b'\x80'])         # a delimiter
    assert error(c)['code'] == 'SYNTAX'


@says(7, 8, 9, 85, 86, 91, 92, 94, 95, 93)
def test_what_an_event_may_hold(broker):
    b = broker()
    c, op, books = b.client('shop', 'connector'), b.client('cli', 'operator'), b.client('books', 'connector')
    books.subscribe()
    body = {**order(1, '79.90')[1], 'specversion': '1.0', 'datacontenttype': 'application/json', 'dataschema': 'x',
            'refs': ['parcel:JJFI1'], 'traceparent': '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'}
    c.publish([EVENT, body])
    header, e = books.delivery()
    assert e['data']['total'] == decimal('79.90') and e['data']['total'].data.hex(' ') == '37 39 2e 39 30'
    assert set(e) >= {'sequence', 'recordedtime', 'revision', 'causationid', 'correlationid', 'map', 'ruleset', 'digest', 'target'}
    assert isinstance(e['recordedtime'], msgpack.Timestamp) or isinstance(e['recordedtime'], (int, float))
    assert re.fullmatch('[0-9a-f]{32}', e['id']) and len(e['ruleset']) == 8 and len(e['digest']) == 32
    assert e['traceparent'] == body['traceparent'] and e['sequence'] == header['seq']
    books.settle(header['seq'])
    native = op.ask('event', seq=e['correlationid'], unseal=True)
    assert native['subject'] == 'order:shop/1' and native['refs'] == ['parcel:shop/JJFI1']
    assert native['data']['total'] == decimal('79.90')
    c.publish(payment('p1', 1))
    read = books.delivery()[1]
    assert read['reads'] and all(isinstance(x, int) for x in read['reads'])
    # a float is taken, and refused by the mapping that reads it
    c.publish([EVENT, {**order(2)[1], 'data': {'number': '2', 'total': 1.5, 'changed': 1}}])
    held = until(lambda: [i for i in op.ask('open', sub='map:shop/toyshop.order')['items']])
    assert 'total' in held[0]['text']
    # keys without doubles, keys of text
    double = b'\x82' + pack('a') + b'\x01' + pack('a') + b'\x02'
    raw = pack([1, {k: v for k, v in order(3)[1].items() if k != 'data'}])
    assert raw[2] == 0x85
    blob = raw[:2] + b'\x86' + raw[3:] + pack('data') + double
    n = next(c.numbers)
    c.send('PUB', {'n': n, 'count': 1}, blob)
    refused(lambda: c.answer(n), 'SYNTAX')
    refused(lambda: c.publish([EVENT, {**order(3)[1], 'data': {1: 2}}]), 'SYNTAX')
    # without data: stored, and no mapping reads it
    c.publish([EVENT, {k: v for k, v in order(4)[1].items() if k != 'data'}])
    refused(lambda: c.publish([EVENT, {**order(5)[1], 'specversion': '0.3'}]), 'VERSION')
    refused(lambda: c.publish([EVENT, {**order(5)[1], 'time': 'now'}]), 'TYPE')


@says(10, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 156)
def test_headers(broker):
    b = broker()
    c, op, books = b.client('shop', 'connector'), b.client('cli', 'operator'), b.client('books', 'connector')
    for header in ({}, {'v': 1, 'name': 'x'}, {'v': 1, 'role': 'operator'}, {'name': 'x', 'role': 'operator'},
                   {'v': 1, 'name': 7, 'role': 'operator'}):
        op.send('HELLO', header)
        assert error(op)['code'] == 'SYNTAX'
    op.send('HELLO', {'v': 1, 'name': 'cli', 'role': 'operator', 'colour': 'red'})
    verb, header, blob = op.receive()
    assert verb == 'WELCOME' and set(header) == {'epoch', 'window', 'bytes', 'silent_ms'} and not blob
    op.send('ASK', {'id': 7, 'more': [1, 2]}, pack({'query': 'status'}))
    verb, header, blob = op.receive()
    assert (verb, header) == ('REPLY', {'id': 7}) and unpack(blob)['epoch']
    for header, body in (({}, b'\x80'), ({'id': 'x'}, b'\x80'), ({'id': 0}, b'\x80')):
        op.send('ASK', header, body)
        assert error(op)['code'] == 'SYNTAX'
    op.send('ASK', {'id': 8}, b'\xc1')
    assert (e := error(op))['id'] == 8 and e['code'] == 'SYNTAX' and set(e) == {'code', 'class', 'text', 'id'}
    op.send('PING', {'nobody': 'knows'})
    verb, header, blob = op.receive()
    assert (verb, set(header)) == ('PONG', {'epoch'}) and not blob
    for header in ({}, {'name': 'books'}, {'name': 'books', 'window': 'many'}, {'window': 1}):
        books.send('SUB', header)
        e = error(books)
        assert e['code'] == 'SYNTAX' and e.get('sub') == header.get('name')
    books.subscribe(window=1, extra=True)
    c.publish(order(1))
    c.publish(order(2))
    verb, header, blob = books.receive()
    assert verb == 'EVT' and set(header) == {'sub', 'seq', 'attempt', 'again'} and unpack(blob)[0] == EVENT
    for header in ({'n': 1}, {'count': 1}, {'n': 'x', 'count': 1}, {'n': 0, 'count': 1}):
        c.hello()
        c.send('PUB', header, pack(order(3)))
        assert error(c)['code'] == 'SYNTAX'
    c.hello()
    c.send('PUB', {'n': 1, 'count': 1, 'colour': 'red'}, pack(order(3)))
    assert c.receive()[:2] == ('PUBOK', {'upto': 1})
    c.send('PUB', {'n': 2, 'count': 1}, pack([EVENT, {**order(4)[1], 'source': 'books'}]))
    verb, header, _ = c.receive()
    assert verb == 'PUBNO' and set(header) == {'n', 'class', 'code', 'text', 'retry_ms'} and header['retry_ms'] == 0
    for verb in ('WELCOME', 'PUBOK', 'EVT', 'REPLY', 'PONG', 'ERR', 'HELL', ''):
        c.send(verb, {})
        assert error(c)['code'] == 'SYNTAX'
    c.bye()
    with pytest.raises(Silence):
        c.receive(0.3)
    c.send('PING', {})
    assert error(c)['code'] == 'NOSESSION'


@says(48, 49, 50, 58, 59, 80, 81, 82, 83, 84, 88, 96, 97, 148, 150, 151)
def test_roles_and_what_is_required(broker):
    b = broker()
    shop, books, rec = b.client('shop', 'connector'), b.client('books', 'connector'), b.client('receiver', 'receiver')
    op = b.client('any text at all: ÄÖ 32 bytes', 'operator')
    others = [b.client('cli', 'operator') for _ in range(3)]
    shop.publish(order(1))
    rec.publish(order(2), payment('p1', 2))
    assert all(o.ask('status')['counts']['events'] for o in [op] + others)
    refused(lambda: op.publish(order(3)), 'DENIED')
    refused(lambda: books.publish(order(3)), 'DENIED')
    refused(lambda: rec.publish([EVENT, {**order(3)[1], 'type': 'order.placed'}]), 'DENIED')
    refused(lambda: rec.publish([SETTLE, {'sub': 'books', 'seq': 1, 'verdict': 'ok'}]), 'DENIED')
    refused(lambda: rec.act('pause', system='books'), 'DENIED')
    refused(lambda: rec.ask('status'), 'DENIED')
    for name in ('', 'x' * 33):
        op.send('HELLO', {'v': 1, 'name': name, 'role': 'operator'})
        assert error(op)['code'] == 'RANGE'
    # HELLO inside a session begins a new one: numbers begin anew
    shop.hello()
    shop.publish(order(4))
    # what is required
    for key in ('id', 'source', 'type', 'subject'):
        refused(lambda: shop.publish([EVENT, {k: v for k, v in order(5)[1].items() if k != key}]), 'MISSING')
        assert refused(lambda: shop.publish([EVENT, {**order(5)[1], key: 5}]), 'TYPE').cls == 'REJECT'
    refused(lambda: shop.publish([EVENT, {**order(5)[1], 'subject': 'nocolon'}]), 'SYNTAX')
    refused(lambda: shop.publish([EVENT, {**order(5)[1], 'refs': ['a:b'] * 33}]), 'LIMIT')
    refused(lambda: shop.publish([EVENT, {**order(5)[1], 'sequence': 1}]), 'DENIED')
    refused(lambda: shop.publish([EVENT, {**order(5)[1], 'answerto': 10 ** 6}]), 'NOTFOUND')
    for key in ('sub', 'seq', 'verdict'):
        record = {'sub': 'books', 'seq': 1, 'verdict': 'ok'}
        del record[key]
        refused(lambda: books.publish([SETTLE, record]), 'MISSING')
    refused(lambda: books.publish([SETTLE, {'sub': 'shop', 'seq': 1, 'verdict': 'ok'}]), 'DENIED')
    refused(lambda: op.act('pause', system='nobody'), 'NOTFOUND')


@says(53, 72, 75, 152, 153)
def test_answers_come_in_order(broker):
    b = broker()
    c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
    posts = [c.post(order(i) if i % 7 else [EVENT, {**order(i)[1], 'source': 'books'}]) for i in range(300)]
    seen, no = 0, []
    while seen < posts[-1]:
        verb, h, _ = c.receive()
        if verb == 'PUBNO':
            assert h['n'] > seen, 'a PUBNO comes before the PUBOK that passes it'
            no.append(h['n'])
        else:
            assert verb == 'PUBOK' and h['upto'] > seen
            seen = h['upto']
    assert no == posts[::7]
    assert op.ask('status')['types']['toyshop.order'] == 300 - len(no)
    refused(lambda: op.act('retry', sub='books', seq=1), 'STATE')
    refused(lambda: op.act('answer', system='books', map='toybooks.posting', table='clearing', key='swish', row=['a', 'b', 'c']), 'TYPE')
    path = b.folder / 'packs/toybooks/posting.map.yaml'
    text = path.read_text()
    path.write_text(text + 'nonsense: 1\n')
    refused(lambda: op.act('answer', system='books', map='toybooks.posting', table='clearing', key='swish', row='1399'), 'CONFIG')
    path.write_text(text)
    op.act('answer', system='books', map='toybooks.posting', table='clearing', key='swish', row='1399')


@says(63, 64, 66, 161)
def test_bye_extend_and_reports(broker):
    b = broker()
    c, op, books = b.client('shop', 'connector'), b.client('cli', 'operator'), b.client('books', 'connector')
    books.subscribe()
    c.publish(order(1))
    seq = books.delivery()[0]['seq']
    books.ping(extend=list(range(1, 65)), report={f'k{i}': i for i in range(64)})
    refused(lambda: books.ping(extend=list(range(65))), 'RANGE')
    refused(lambda: books.ping(extend=['x']), 'TYPE')
    refused(lambda: books.ping(report={f'k{i}': i for i in range(65)}), 'RANGE')
    refused(lambda: books.ping(report=[1]), 'RANGE')
    said = [s['report'] for s in op.ask('status')['sessions'] if s['name'] == 'books']
    assert said == [{f'k{i}': i for i in range(64)}]
    books.send('PING', {'report': {'x' * 5000: 1}})
    assert error(books)['code'] == 'SYNTAX'             # the header is over 4 KiB
    books.bye()
    again = b.client('books', 'connector')
    again.subscribe()
    header, _ = again.delivery()
    assert (header['seq'], header['again'], header['attempt']) == (seq, True, 1)


@says(98, 99, 100, 101, 102, 123)
def test_verdicts(broker):
    b = broker()
    c, op, books = b.client('shop', 'connector'), b.client('cli', 'operator'), b.client('books', 'connector')
    books.subscribe(window=64)
    c.publish(*[order(i) for i in range(6)])
    got = {e['data']['number']: h['seq'] for h, e in (books.delivery() for _ in range(6))}

    def item(number):
        return next((i for i in op.ask('open', sub='books')['items'] if i['seq'] == got[number]), None)
    books.settle(got['0'], 'ok')
    refused(lambda: books.settle(got['1'], 'retry', text='x' * 4097), 'LIMIT')
    books.settle(got['1'], 'retry', after_ms=10 ** 12, text='x' * 4096)
    books.settle(got['2'], 'defer')
    books.settle(got['3'], 'reject', text='never', effect={'digest': b'd' * 32, 'status': 422, 'remote': 'r-1', 'ms': 7, 'excerpt': b'no'})
    books.settle(got['4'], 'ask', text='which one?')
    now = time.time()
    until(lambda: item('4') and item('4')['state'] == 'ask')
    assert item('0') is None
    states = {n: (item(n)['state'], item(n).get('attempt', 0)) for n in '1234'}
    assert states == {'1': ('retry', 1), '2': ('retry', 0), '3': ('parked', 1), '4': ('ask', 1)}
    due = {n: item(n)['due'] for n in '12'}
    assert 86000 < due['1'] - now < 86401, 'at most 24 h'
    assert 20 < due['2'] - now < 31, 'a defer without a time: 30 s'
    assert len(item('1')['text']) == 4096
    note, = [r for r in op.ask('timeline', subject=item('3')['subject'], unseal=True)['records'] if r['kind'] == 'settle']
    assert note['text'] == 'never'
    effect = note['effect']
    assert (effect['status'], effect['remote'], effect['ms']) == (422, 'r-1', 7) and (effect['digest'], effect['excerpt']) == ('64' * 32, 'no')
    masked, = [r for r in op.ask('timeline', subject=item('3')['subject'])['records'] if r['kind'] == 'settle']
    assert 'excerpt' not in masked['effect']
    # an earlier attempt's retry is dropped; its ok counts
    books.settle(got['5'], 'retry', attempt=1, after_ms=1)
    header, _ = books.delivery()
    assert header['attempt'] == 2
    books.settle(got['5'], 'defer', attempt=1, after_ms=10 ** 9)
    books.settle(got['5'], 'reject', attempt=7)
    until(lambda: item('5').get('attempt') == 1 and item('5')['state'] == 'retry')
    books.settle(got['5'], 'ok', attempt=1)
    until(lambda: item('5') is None)
    for wrong in ({'verdict': 'perhaps'}, {'verdict': 'ok', 'effect': {'colour': 1}}, {'verdict': 'ok', 'effect': {'status': 'x'}},
                  {'verdict': 'retry', 'after_ms': -1}, {'verdict': 'ok', 'effect': [1]}):
        with pytest.raises(No) as no:
            books.publish([SETTLE, {'sub': 'books', 'seq': got['2'], **wrong}])
        assert no.value.cls == 'REJECT'


@says(105, 106)
def test_retry_and_skip(broker):
    b = broker()
    c, op, books = b.client('shop', 'connector'), b.client('cli', 'operator'), b.client('books', 'connector')
    books.subscribe()
    c.publish(order(1))
    books.settle(books.delivery()[0]['seq'])                # its note
    c.publish(payment('p1', 1))
    c.publish(payment('p2', 1))
    header, _ = books.delivery()
    books.settle(header['seq'], 'retry', after_ms=10 ** 7)
    op.act('retry', sub='books', seq=header['seq'])         # waiting: at once, from attempt 1
    again, _ = books.delivery()
    assert (again['seq'], again['attempt']) == (header['seq'], 1)
    books.settle(header['seq'], 'reject')
    op.act('skip', sub='books', seq=header['seq'], reason='x')
    assert books.delivery()[1]['data']['payment'] == 'p2'   # what waited behind it
    c.publish(payment('p3', 1, amount='-1.00'))
    held, = until(lambda: [i for i in op.ask('open', sub='map:shop/toyshop.payment')['items']])
    op.act('retry', sub=held['sub'], seq=held['seq'])       # evaluated anew, as wrong as before
    refused(lambda: op.act('retry', sub=held['sub'], seq=held['seq'] + 1000), 'NOTFOUND')
    op.act('skip', sub=held['sub'], seq=held['seq'], reason='x')
    refused(lambda: op.act('skip', sub=held['sub'], seq=held['seq'], reason='x'), 'STATE')


@says(113, 114, 115, 116, 119, 120)
def test_subscriptions(broker):
    b = broker()
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    for wrong in ({'window': 0}, {'window': 1025}, {'window': 1, 'bytes': 0}, {'window': 1, 'bytes': 16 * 2 ** 20 + 1},
                  {'window': 1, 'patience': 999}, {'window': 1, 'patience': 3600001}):
        books.send('SUB', {'name': 'books', **wrong})
        assert error(books)['code'] == 'RANGE'
    books.send('SUB', {'name': 'shop', 'window': 1})
    assert error(books)['code'] == 'DENIED'
    c.publish(*[order(i) for i in range(8)])
    books.subscribe(window=1024, bytes=1)                   # one is larger than all of it: it comes alone
    seqs = []
    for _ in range(3):
        header, e = books.delivery()
        assert e['data'] == {'number': e['data']['number'], 'total': decimal('10.00')} and books.quiet(0.2)
        books.settle(header['seq'])
        seqs.append(header['seq'])
    stuck, _ = books.delivery()
    books.subscribe(window=3, patience=1000)                # a new SUB: new bounds
    more = [books.delivery()[0]['seq'] for _ in range(2)]
    assert books.quiet(0.2) and stuck['seq'] not in more    # subjects side by side, three in hand
    for seq in more:
        books.settle(seq)
    out = {books.delivery()[0]['seq'] for _ in range(2)}
    for _ in range(3):
        books.ping(extend=list(out | {stuck['seq']}))       # all of them are still at it
        assert books.quiet(0.5)
    again, _ = books.delivery(5)
    assert again['again'] is True and again['attempt'] == 1


@says(117)
def test_what_was_erased(broker):
    b = broker()
    c = b.client('shop', 'connector')
    c.publish(order(1, email='a@example.fi'), payment('p1', 1))
    b.stop()
    # the keys of all subjects are gone, as an erasure leaves them
    keys = b.folder / 'data' / 'keys'
    raw = bytearray(keys.read_bytes())
    assert raw[:8] == b'VAYLAKEY'
    raw[64 + 32:] = bytes(len(raw) - 96)
    keys.write_bytes(raw)
    (b.folder / 'data' / 'index.db').unlink()
    b.start()
    op = b.client('cli', 'operator')
    placed = until(lambda: [r for r in op.ask('timeline', subject='order:shop/1', unseal=True)['records'] if r.get('type') == 'order.placed'])[0]
    assert placed['erased'] is True and 'a@example.fi' not in str(placed) and placed['data']['number'] == '1'
    books = b.client('books', 'connector')
    books.subscribe()
    seen = [books.delivery() for _ in range(2)]
    assert not [e for _, e in seen if 'a@example.fi' in str(e)]


@says(87, 126, 127, 128, 139)
def test_the_tap_and_the_mask(broker):
    b = broker()
    c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
    op.tap(name='mine', type='order.', subject='order:shop/1')
    op.ping()
    c.publish([EVENT, {**order(1, email='a@example.fi')[1], 'person': 'a@example.fi'}])
    c.publish(order(2))
    verb, header, blob = op.receive()
    assert verb == 'EVT' and set(header) == {'sub', 'seq', 'lossy'} and header['sub'] == 'mine' and header['lossy'] is True
    e = unpack(blob)[1]
    assert e['type'] == 'order.placed' and e['data']['email'].code == 69 and 'a@example.fi' not in str(e)
    assert op.quiet(0.3)
    op.tap(name='mine', type='toyshop.')                    # the second replaces the first
    op.ping()
    c.publish(order(3))
    assert unpack(op.receive()[2])[1]['type'] == 'toyshop.order' and op.quiet(0.3)
    op.tap(name='mine')                                     # all
    op.ping()
    c.publish(order(4))
    assert {unpack(op.receive()[2])[1]['type'] for _ in range(3)} == {'toyshop.order', 'order.placed', 'toybooks.note'}
    refused(lambda: op.settle(header['seq']), 'DENIED')
    c.tap()
    assert error(c)['code'] == 'DENIED'
    # the person is a keyed hash, in the journal too
    masked = op.ask('event', seq=header['seq'])
    assert masked['data']['email'] != 'a@example.fi'
    assert op.ask('event', seq=header['seq'], unseal=True)['data']['email'] == 'a@example.fi'
    b.stop()
    said = b''.join(p.read_bytes() for p in (b.folder / 'data' / 'log').glob('*.seg'))
    assert b'a@example.fi' not in said and hashlib.sha256(b'a@example.fi').digest() not in said


@says(89, 129, 130, 131, 132, 133, 134, 135, 137, 138, 140)
def test_queries(broker):
    b = broker()
    c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
    c.publish(order(1042), payment('p1', 7, amount='-1.00'))
    op.send('ASK', {'id': 2 ** 40}, pack({'query': 'recent', 'n': 1}))
    assert op.receive()[1]['id'] == 2 ** 40
    s = op.ask('status')
    assert set(s) >= {'epoch', 'now', 'started', 'journal', 'counts', 'types', 'ruleset', 'rules', 'systems', 'sessions'}
    assert set(s['journal']) >= {'first', 'next', 'records', 'bytes', 'segments', 'syncs', 'last_sync_ns'}
    assert set(s['counts']) >= {'events', 'facts', 'duplicates', 'published', 'refused', 'ready', 'retry', 'wait', 'behind', 'ask',
                                'parked', 'settled'}
    for x in s['systems']:
        assert set(x) >= {'name', 'pack', 'mode', 'takes', 'session'} and ('sub' in x) == x['takes']
        if x['takes']:
            assert set(x['sub']) >= {'open', 'more', 'in_hand', 'oldest', 'retry_next_ms', 'sent', 'settled', 'lost'}
    assert all(set(x) >= {'name', 'role', 'since', 'silent_ms'} for x in s['sessions'])
    assert 'order:shop/1042' in until(lambda: op.ask('find', word='1042'))
    t = op.ask('timeline', subject='order:shop/1042')
    assert set(t) >= {'subject', 'refs', 'records', 'open'} and t['subject'] == 'order:shop/1042'
    native = t['records'][0]
    assert (native['kind'], native['type'], native['id'], native['source'], native['revision']) == (
        'event', 'toyshop.order', 'order:1042:1', 'shop', 1)
    assert op.ask('event', seq=native['seq'])['seq'] == native['seq']
    items = until(lambda: (x := op.ask('open', sub='', max=500)['items']) and len(x) == 2 and x)
    assert {i['state'] for i in items} == {'ready', 'parked'}
    assert all(set(i) >= {'sub', 'subject', 'seq', 'state'} for i in items)
    page = op.ask('open', sub='', max=1)
    assert len(page['items']) == 1 and page['next']
    assert op.ask('open', sub='', max=1, after=page['next'])['items'][0]['seq'] != page['items'][0]['seq']
    assert [i['state'] for i in op.ask('open', sub='', people=True)['items']] == ['parked']
    recent = op.ask('recent', n=2)
    assert len(recent) == 2 and recent[0]['seq'] > recent[1]['seq'] and 'data' not in recent[0]
    held = [r for r in op.ask('timeline', subject='order:shop/7')['records'] if r['kind'] == 'settle'][0]
    assert held['sub'] == 'map:shop/toyshop.payment' and held['verdict'] == 'reject' and held['text']
    for query, code in (({'query': 'nothing'}, 'NOTFOUND'), ({'query': 'event'}, 'MISSING'), ({'query': 'event', 'seq': 10 ** 9}, 'NOTFOUND'),
                        ({'query': 'open', 'max': 10 ** 6}, 'RANGE'), ({'query': 'timeline'}, 'MISSING'), ({}, 'SYNTAX')):
        op.send('ASK', {'id': 1}, pack(query))
        e = error(op)
        assert (e['code'], e['id']) == (code, 1), query
    with pytest.raises(No):
        op.ask('timeline', subject='order:shop/nobody')


@says(149, 157, 158, 159)
def test_limits(broker):
    b = broker()
    c = b.client('shop', 'connector')

    def sized(n, number):
        """One record of exactly n bytes."""
        body = order(number, ref='')
        over = n - len(pack(body))
        body[1]['data']['ref'] = 'x' * over
        for _ in range(4):
            over = n - len(pack(body))
            body[1]['data']['ref'] = 'x' * (len(body[1]['data']['ref']) + over)
        assert len(pack(body)) == n
        return body
    c.publish(sized(1024 * 1024, 1))
    refused(lambda: c.publish(sized(1024 * 1024 + 100, 2)), 'LIMIT')
    c.publish(sized(131072, 3), sized(131072, 4))           # 256 KiB together
    refused(lambda: c.publish(sized(131072, 5), sized(131073, 6)), 'LIMIT')
    small = [order(i) for i in range(1025)]
    c.publish(*[[EVENT, {'id': str(i), 'source': 'shop', 'type': 'toyshop.order', 'subject': 'o:1'}] for i in range(1024)], seconds=60)
    refused(lambda: c.publish(*[[EVENT, {'id': str(i), 'source': 'shop', 'type': 'toyshop.order', 'subject': 'o:1'}] for i in range(1025)]), 'LIMIT')
    n = next(c.numbers)
    c.send('PUB', {'n': n, 'count': 0})
    refused(lambda: c.answer(n), 'LIMIT')
    for key in ('id', 'type', 'subject', 'person'):
        refused(lambda: c.publish([EVENT, {**small[0][1], key: 'x:' + 'y' * 255}]), 'LIMIT')
    refused(lambda: c.publish([EVENT, {**small[0][1], 'refs': ['x:' + 'y' * 255]}]), 'LIMIT')
    wide = {str(i): 0 for i in range(4097)}
    refused(lambda: c.publish([EVENT, {**small[0][1], 'data': wide}]), 'LIMIT')
    deep = 0
    for _ in range(64):
        deep = [deep]
    refused(lambda: c.publish([EVENT, {**small[0][1], 'data': deep}]), 'LIMIT')
    c.publish([EVENT, {**small[0][1], 'id': 'deep', 'data': deep[0][0][0][0]}])
