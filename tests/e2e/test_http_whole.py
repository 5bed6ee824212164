"""From a webhook to a far system over HTTP and back, in a whole Vayla: requests
made once though connector and broker are killed, answers that close the circle,
stock whose last state wins, nothing sent before a system is live."""
import json
import random
import re
import textwrap
import time

import pytest

from farside import Answer, Far
from harness import until
from shop import request

FILES = {
    'canonical/order.placed.yaml': '''
        schema: order.placed/1
        title: What was bought
        subject: {kind: order, scope: system}
        fields:
          number: text
          quantity: integer
        ''',
    'canonical/invoice.issued.yaml': '''
        schema: invoice.issued/1
        title: An invoice
        subject: {kind: order, scope: system}
        fields:
          number: text
          invoice: text
        ''',
    'canonical/stock.changed.yaml': '''
        schema: stock.changed/1
        title: Goods at a place
        subject: {kind: sku, scope: house}
        fields:
          sku: text
          on_hand: integer
        ''',
    'till/pack.yaml': '''
        pack: till/1
        title: A till for tests
        settings:
          secret: {type: text, secret: true, required: true}
        receive:
          - verify: {token: $settings.secret, header: X-Token}
            by: header('X-Topic')
            rows:
              sale: {type: till.sale, id: "{number}", subject: "order:{number}"}
              stock: {type: till.stock, id: "{sku}:{at}", subject: "sku:{sku}"}
        ''',
    'till/schema/till.sale.yaml': 'schema: till.sale/1\ntitle: A sale\nfields:\n  number: text\n  quantity: integer\n',
    'till/schema/till.stock.yaml': 'schema: till.stock/1\ntitle: Stock\nfields:\n  sku: text\n  on_hand: integer\n  at: integer\n',
    'till/sale.map.yaml': '''
        map: till.sale/1
        from: till.sale
        emit:
          - type: order.placed
            id: "placed"
            subject: "order:{number}"
            data: {number: number, quantity: quantity}
        ''',
    'till/stock.map.yaml': '''
        map: till.stock/1
        from: till.stock
        emit:
          - type: stock.changed
            id: "{$event.id}"
            subject: "sku:{sku}"
            data: {sku: sku, on_hand: on_hand}
        ''',
    'office/pack.yaml': '''
        pack: office/1
        title: An office system for tests
        settings:
          url: {type: url, required: true}
        limits: {parallel: 4, timeout: 2s, connect: 2s, failures: 3, pause: 1s}
        send:
          office.invoice:
            post: "/invoices"
            body: {reference: $request.id, order: number, quantity: quantity}
            idempotency: Idempotency-Key
            find: {get: "/invoices?reference={$request.id}", as: first(o for o in $in if o.reference = $request.id)}
            remote: invoice
            answer: {type: office.invoiced}
            revised: ask
          office.stock:
            put: "/stock/{sku}"
            body: {on_hand: on_hand}
            revised: send
            spent: skip
        ''',
    'office/schema/office.invoice.yaml': 'schema: office.invoice/1\ntitle: A request\nfields:\n  number: text\n  quantity: integer\n',
    'office/schema/office.stock.yaml': 'schema: office.stock/1\ntitle: A request\nfields:\n  sku: text\n  on_hand: integer\n',
    'office/schema/office.invoiced.yaml':
        'schema: office.invoiced/1\ntitle: An answer\nfields:\n  invoice: text\n  order: text\n  reference: text\n  quantity: integer\n',
    'office/invoice.map.yaml': '''
        map: office.invoice/1
        from: order.placed
        emit:
          - type: office.invoice
            id: "invoice"
            data: {number: number, quantity: quantity}
        ''',
    'office/invoiced.map.yaml': '''
        map: office.invoiced/1
        from: office.invoiced
        emit:
          - type: invoice.issued
            id: "invoice:{invoice}"
            refs: ["invoice:{invoice}"]
            data: {number: order, invoice: invoice}
        ''',
    'office/stock.map.yaml': '''
        map: office.stock/1
        from: stock.changed
        emit:
          - type: office.stock
            id: "{$event.id}"
            data: {sku: sku, on_hand: on_hand}
        ''',
}


def write_packs(folder):
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())
    return str(folder)


class Office:
    """Makes invoices, keeps stock; badly, where a test says so."""

    def __init__(self, far):
        self.far, self.made, self.stock, self.sets = far, [], {}, []
        self.bad = lambda q, answer: answer
        far.always = self.answer

    def answer(self, q):
        if q['method'] == 'PUT':
            with self.far.lock:
                self.stock[q['path'].rsplit('/', 1)[1]] = json.loads(q['body'])['on_hand']
                self.sets.append((q['path'], json.loads(q['body'])['on_hand']))
            return self.bad(q, Answer(200, {}))
        if q['method'] == 'GET':
            return Answer(200, [o for o in self.made if o['reference'] == q['query']['reference']])
        asked = json.loads(q['body'])
        with self.far.lock:
            self.made.append({'invoice': f'I{len(self.made)}', **asked})
            answer = Answer(201, self.made[-1])
        return self.bad(q, answer)


FILES.update({
    # a system whose events say only that something changed
    'thin/pack.yaml': '''
        pack: thin/1
        title: A system that says only ids
        settings:
          url:    {type: url, required: true}
          secret: {type: text, secret: true, required: true}
        receive:
          - verify: {token: $settings.secret, header: X-Token}
            event: {type: thin.changed, id: "{id}:{at}", subject: "thin:{id}"}
        send:
          thin.fetch:
            get: "/sales/{id}"
            answer: {type: thin.sale, id: "{id}:{hash($in)}", subject: "order:{number}"}
            revised: send
            withdrawn: nothing
          thin.mark:
            put: "/sales/{number}/mark"
            body: {seen: true}
            revised: never
        ''',
    'thin/schema/thin.changed.yaml': 'schema: thin.changed/1\ntitle: Changed\nfields:\n  id: text\n  at: integer\n',
    'thin/schema/thin.sale.yaml': 'schema: thin.sale/1\ntitle: A sale\nfields:\n  id: text\n  number: text\n  quantity: integer\n',
    'thin/schema/thin.fetch.yaml': 'schema: thin.fetch/1\ntitle: A request\nfields:\n  id: text\n',
    'thin/schema/thin.mark.yaml': 'schema: thin.mark/1\ntitle: A request\nfields:\n  number: text\n',
    'thin/changed.map.yaml': '''
        map: thin.changed/1
        from: thin.changed
        emit:
          - type: thin.fetch
            id: "{$event.id}"
            data: {id: id}
        ''',
    'thin/sale.map.yaml': '''
        map: thin.sale/1
        from: thin.sale
        emit:
          - type: order.placed
            id: "placed"
            subject: "order:{number}"
            data: {number: number, quantity: quantity}
        ''',
    'thin/mark.map.yaml': '''
        map: thin.mark/1
        from: order.placed
        emit:
          - type: thin.mark
            id: "mark"
            data: {number: number}
        '''})


@pytest.fixture
def office(vayla, tmp_path):
    far = Far()

    def make(mode='live'):
        v = vayla({'till': {'use': 'till', 'secret': 't'}, 'office': {'use': 'office', 'of': 'till', 'url': far.url, 'local': True, 'mode': mode}},
                  {'packs': write_packs(tmp_path / 'packs'), 'retry': {'first_ms': 100, 'most_ms': 1000, 'attempts': 30}})
        return v.start(), Office(far)
    yield make
    far.stop()


def tell(v, topic, data):
    def once():
        try:
            return request(f'{v.url}/in/till', 'POST', json.dumps(data).encode(), {
                'Content-Type': 'application/json', 'X-Token': 't', 'X-Topic': topic})[0] == 200
        except OSError:
            return False
    until(once, 30)


def test_each_request_once_while_connector_and_broker_are_killed(office):
    v, o = office()
    rnd = random.Random(3)
    lost = rnd.random

    def bad(q, answer):
        """Done, but often not said so."""
        dice = lost()
        return Answer(500) if dice < 0.1 else o.far.cut(q) if dice < 0.2 else Answer(200, b'<html>', type='text/html') if dice < 0.25 else answer
    o.bad = bad
    numbers = [str(n) for n in range(100, 180)]
    for n in numbers:
        tell(v, 'sale', {'number': n, 'quantity': 1})
        if int(n) % 16 == 9:
            v.kill('office')
        if int(n) % 40 == 30:
            v.kill('broker')
    o.bad = lambda q, answer: answer
    until(lambda: {x['order'] for x in o.made} == set(numbers), 60)
    v.settled(60)
    assert sorted(x['order'] for x in o.made) == numbers, 'none twice'
    # the order's timeline is read from the index, a moment behind
    def whole(n):
        records = json.loads(v.command('order', 'show', f'order:till/{n}', '-o', 'json').stdout)['records']
        return records if 'invoice.issued' in [r.get('type') for r in records] else None
    for n in numbers:
        records = until(lambda: whole(n), 10, 0.2)
        types = [r.get('type') for r in records]
        assert types.count('office.invoiced') == 1 and types.count('invoice.issued') == 1, types
    asked = next(r for r in records if r.get('type') == 'office.invoice')
    answered = next(r for r in records if r.get('type') == 'office.invoiced')
    assert answered['cause'] == asked['seq']
    assert v.stop() == 0


def test_stock_the_last_state_wins(office):
    v, o = office()
    o.bad = lambda q, answer: Answer(503)
    for at in range(6):
        for sku in ('A', 'B', 'C'):
            tell(v, 'stock', {'sku': sku, 'on_hand': at * 10 + ord(sku), 'at': at})
    until(lambda: 'failures in a row' in v.log.read_text())
    o.bad = lambda q, answer: answer
    v.settled(60)
    until(lambda: o.stock == {sku: 50 + ord(sku) for sku in ('A', 'B', 'C')}, 30)
    good = [s for s in o.sets if s[0].endswith('A')]
    assert [n for _, n in good] == sorted(n for _, n in good), 'in order, for each thing'
    assert v.stop() == 0


def test_nothing_is_sent_before_it_is_live(office):
    v, o = office('observe')
    for n in range(5):
        tell(v, 'sale', {'number': str(n), 'quantity': 1})
    time.sleep(1)
    assert not o.far.asked
    v.command('system', 'live', 'office', '--since', '2020-01-01')
    until(lambda: len(o.made) == 5)
    assert v.stop() == 0


def test_a_thin_event_is_made_whole_and_nothing_else_goes_back(vayla, tmp_path):
    far = Far()
    try:
        far.always = lambda q: Answer(200, {'id': q['path'].rsplit('/', 1)[1], 'number': 'N' + q['path'].rsplit('/', 1)[1], 'quantity': 2})
        v = vayla({'thin': {'use': 'thin', 'secret': 't', 'url': far.url, 'local': True, 'mode': 'live'},
                   'till': {'use': 'till', 'secret': 't'}}, {'packs': write_packs(tmp_path / 'packs')})
        v.start()
        for id in ('1', '2', '3'):
            for at in (1, 1, 2):            # doubled, and changed once more
                assert request(f'{v.url}/in/thin', 'POST', json.dumps({'id': id, 'at': at}).encode(), {
                    'Content-Type': 'application/json', 'X-Token': 't'})[0] == 200
        until(lambda: v.status()['types'].get('order.placed') == 3)
        v.settled()
        assert len(far.of('GET')) == 6 and v.status()['types']['thin.sale'] == 3
        tell(v, 'sale', {'number': 'T1', 'quantity': 1})        # what another system said is told
        until(lambda: far.of('PUT', '/sales/T1/mark'))
        assert len(far.of('PUT')) == 1, 'its own words do not go back to it'
        assert v.stop() == 0
    finally:
        far.stop()


def test_one_trace_from_the_webhook_to_the_last_request(office):
    v, o = office()
    given = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    evil = '00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01\t'
    for number, trace in (('1', given), ('2', evil), ('3', '00-' + '0' * 32 + '-00f067aa0ba902b7-01'), ('4', None)):
        headers = {'Content-Type': 'application/json', 'X-Token': 't', 'X-Topic': 'sale'}
        if trace:
            headers['traceparent'] = trace
        until(lambda: request(f'{v.url}/in/till', 'POST', json.dumps({'number': number, 'quantity': 1}).encode(), headers)[0] == 200)
    until(lambda: len(o.made) == 4)
    sent = {json.loads(q['body'])['order']: q['headers']['traceparent'] for q in o.far.of('POST')}
    assert sent['1'] == given
    new = [sent[n] for n in '234']
    assert len(set(new)) == 3 and not any(t[3:35] in (given[3:35], '0' * 32) for t in new)
    assert all(re.fullmatch('00-[0-9a-f]{32}-[0-9a-f]{16}-01', t) for t in new)

    def whole(n):
        records = json.loads(v.command('order', 'show', f'order:till/{n}', '-o', 'json').stdout)['records']
        events = [r for r in records if r['kind'] == 'event']
        return events if 'invoice.issued' in [r['type'] for r in events] else None
    for n in '14':
        events = until(lambda: whole(n), 20, 0.2)
        assert {r['traceparent'] for r in events} == {sent[n]} and len(events) == 5
