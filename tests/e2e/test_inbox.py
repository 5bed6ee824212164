"""What people do with what is held or parked: each act is a record with a name, and
an edit keeps the original."""
import json
import os
import subprocess

import msgpack
import pytest
import toybroker
from harness import PROGRAM, ROOT, until
from toybroker import order, payment
from vyclient import ACTION, No, decimal


@pytest.fixture
def broker(tmp_path):
    b = toybroker.Broker(tmp_path).start()
    yield b
    b.close()


def cli(b, *words, check=True, text=None):
    r = subprocess.run([str(PROGRAM), 'inbox', *map(str, words), '--config', str(b.file)], cwd=ROOT, text=True, input=text,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, env={**os.environ, 'USER': 'anna'})
    if check:
        assert r.returncode == 0, r.stdout + r.stderr
    return r


def people(op):
    return op.ask('open', sub='', people=True)['items']


def acts(op, subject, act):
    return [r for r in op.ask('timeline', subject=subject)['records'] if r['kind'] == 'action' and r['act'] == act]


def revisions(op, subject, type):
    return [r for r in op.ask('timeline', subject=subject, unseal=True)['records'] if r.get('type') == type]


def test_what_a_mapping_refused_is_corrected(broker):
    c, books, op = broker.client('shop', 'connector'), broker.client('books', 'connector'), broker.client('cli', 'operator')
    books.subscribe()
    c.publish(order(5), payment('p1', 5, amount='-1.00'), payment('p2', 5))
    books.settle(books.delivery()[0]['seq'])            # the note of the order
    assert books.quiet()                                # p2 waits behind it
    item, = until(lambda: people(op))
    assert (item['state'], item['sub'], item['subject']) == ('parked', 'map:shop/toyshop.payment', 'order:shop/5')
    # what is wrong with an edit is said, and nothing changes
    data = {'id': 'p1', 'order': '5', 'method': 'card', 'amount': decimal('1.00')}
    before = op.ask('status')['journal']['next']
    for more, code in ((dict(data=data), 'MISSING'), (dict(reason='x'), 'MISSING'),
                       (dict(reason='x', data={'a': msgpack.ExtType(69, b'\x00')}), 'TYPE'),
                       (dict(reason='x', data=data, seq=10 ** 6), 'NOTFOUND'), (dict(reason='x', data=data, seq=1), 'NOTFOUND'),
                       (dict(reason='x', data=data, sub='map:shop/toyshop.order'), 'STATE')):
        with pytest.raises(No) as no:
            op.act('edit', **{'sub': item['sub'], 'seq': item['seq'], **more})
        assert no.value.code == code, (more, no.value)
    with pytest.raises(No) as no:
        op.act('retry', sub=item['sub'], seq=item['seq'], data=data)
    assert no.value.code == 'DENIED'
    assert op.ask('status')['journal']['next'] == before
    # as a person would: show, correct, give back
    shown = cli(broker, 'show', item['sub'], item['seq']).stdout
    assert 'parked' in shown and 'toyshop.payment' in shown and '-1.00' in shown
    body = json.loads(cli(broker, 'show', item['sub'], item['seq'], '--data').stdout)
    assert body == {'id': 'p1', 'order': '5', 'method': 'card', 'amount': -1.0}
    fix = broker.folder / 'fix.json'
    fix.write_text('{"id": "p1", "order": "5", "method": "card", "amount": 4.10}')
    assert cli(broker, 'edit', item['sub'], item['seq'], fix, check=False).returncode == 2
    cli(broker, 'edit', item['sub'], item['seq'], fix, '--reason', 'the till had the sign wrong')
    header, e = books.delivery()
    assert e['data']['payment'] == 'p2'                 # it was there before the correction
    books.settle(header['seq'])
    header, e = books.delivery()
    assert e['data']['payment'] == 'p1' and e['data']['amount'] == decimal('4.10')
    books.settle(header['seq'])
    until(lambda: not people(op))
    first, second = until(lambda: (r := [x for x in revisions(op, 'order:shop/5', 'toyshop.payment') if x['data']['id'] == 'p1'])
                          and len(r) == 2 and r)
    assert (first['revision'], first['data']['amount']) == (1, decimal('-1.00')) and 'revisedby' not in first
    assert (second['revision'], second['data']['amount'], second['revisedby']) == (2, decimal('4.10'), 'anna')
    done, = acts(op, 'order:shop/5', 'edit')
    assert (done['by'], done['reason'], done['of']) == ('anna', 'the till had the sign wrong', item['seq']) and 'data' not in done
    # the till says the same once more: a revision like any other
    c.publish(payment('p1', 5, amount='4.10'))
    assert books.quiet()


def test_a_parked_request_is_corrected_and_sent(broker):
    c, books, op = broker.client('shop', 'connector'), broker.client('books', 'connector'), broker.client('cli', 'operator')
    books.subscribe()
    c.publish(order(7, '10.00', email='a@example.fi'))
    header, note = books.delivery()
    books.settle(header['seq'], 'reject', text='the total does not add up')
    item, = until(lambda: people(op))
    with pytest.raises(No) as no:                       # held against its schema
        op.act('edit', sub='books', seq=item['seq'], reason='x', data={'number': '7'})
    assert no.value.cls == 'REJECT' and 'total' in no.value.text
    cli(broker, 'edit', 'books', item['seq'], '-', '--reason', 'as the customer was told', text='{"number": "7", "total": 9.90}')
    header, again = books.delivery()
    assert again['data'] == {'number': '7', 'total': decimal('9.90')}
    assert (again['id'], again['revision'], again['revisedby'], header['attempt'], header['again']) == (
        note['id'], 2, 'anna', 1, False)
    books.settle(header['seq'])
    assert books.quiet()
    until(lambda: not people(op))
    with pytest.raises(No) as no:
        op.act('edit', sub='books', seq=item['seq'], reason='x', data={'number': '7', 'total': 1})
    assert no.value.code == 'STATE' and str(header['seq']) in no.value.text
    # all of it stands after a crash, and the index made anew says the same
    broker.kill()
    (broker.folder / 'data' / 'index.db').unlink()
    broker.start()
    op = broker.client('cli', 'operator')
    until(lambda: not people(op))
    assert [r['revision'] for r in until(lambda: revisions(op, item['subject'], 'toybooks.note'))] == [1, 2]
    broker.stop()
    r = subprocess.run([str(PROGRAM), 'verify', str(broker.folder / 'data')], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=60)
    assert r.returncode == 0, r.stdout


def test_personal_data_of_an_edit_is_sealed(broker):
    c, op = broker.client('shop', 'connector'), broker.client('cli', 'operator')
    c.publish(payment('p1', 5, amount='-1.00'))
    item, = until(lambda: people(op))
    op.act('edit', sub=item['sub'], seq=item['seq'], reason='it was an order',
           data={'id': 'p1', 'order': '5', 'method': 'secret@example.fi', 'amount': decimal('2.00')})
    until(lambda: op.ask('status')['types'].get('payment.captured'))
    broker.stop()
    # a native body is sealed whole, whoever wrote it: what a mapping made of it is another matter
    said = b''.join(p.read_bytes() for p in (broker.folder / 'data' / 'log').glob('*.seg'))
    at = said.find(b'"edit"') if b'"edit"' in said else said.find(b'edit')
    assert at > 0 and b'secret@example.fi' not in said[at - 200:at + 300]


def test_snooze_puts_off_and_changes_nothing(broker):
    c, op = broker.client('shop', 'connector'), broker.client('cli', 'operator')
    c.publish(payment('p1', 5, amount='-1.00'))
    item, = until(lambda: people(op))
    with pytest.raises(No) as no:
        op.act('snooze', sub=item['sub'], seq=item['seq'])
    assert no.value.code == 'RANGE'
    with pytest.raises(No) as no:
        op.act('snooze', sub='books', seq=item['seq'], until=msgpack.Timestamp(4102444800))
    assert no.value.code == 'STATE'
    cli(broker, 'snooze', item['sub'], item['seq'], '--for', '2d', '--reason', 'the accountant is away')
    until(lambda: not people(op))
    assert 'Nothing needs a person' in cli(broker, 'list').stdout
    assert str(item['seq']) in cli(broker, 'list', '--all').stdout
    assert op.ask('status')['counts']['parked'] == 1
    broker.kill()
    broker.start()
    op = broker.client('cli', 'operator')
    until(lambda: not people(op))
    assert acts(op, 'order:shop/5', 'snooze')[0]['by'] == 'anna'
    op.act('snooze', sub=item['sub'], seq=item['seq'],      # the last one counts
           until=msgpack.Timestamp.from_unix(__import__('time').time() + 2))
    until(lambda: people(op), 10)


def test_every_act_has_a_name(broker):
    op = broker.client('cli', 'operator')
    for act in ('retry', 'skip', 'replay', 'edit', 'snooze', 'answer', 'live', 'pause', 'resume'):
        with pytest.raises(No) as no:
            op.publish([ACTION, {'act': act, 'system': 'books', 'sub': 'books', 'seq': 1}])
        assert no.value.code == 'MISSING' and '`by`' in no.value.text
