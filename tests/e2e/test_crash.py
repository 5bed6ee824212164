"""kill -9 of the broker at random moments, and a checker that knows only what was
confirmed, what was delivered and what the journal says afterwards.

While it runs (run_round): windows are never exceeded; at most one delivery is in flight
per subscription and subject; epochs never fall (vyclient); attempts never go down.
Afterwards (check): what was confirmed is there, once, byte for byte, with no hole in the
sequence; revisions without gaps, no two neighbours alike; every derived event has its
cause and every cause what its mappings emit, or is held by name; completions are once
and in order within a subject; nothing else is open. And whole(): every frame's CRC, and
index.db equal to one folded anew. That it goes on is the next round's business."""
import collections
import os
import random
import re
import subprocess
import threading
import time

import pytest
import toybroker
import zmq
from harness import PROGRAM, ROOT, until
from toybroker import order, payment
from vyclient import SETTLE, No, Silence, unpack

ROUNDS = int(os.environ.get('VAYLA_CRASH_ROUNDS', '12'))


class Violation(Exception):
    """An invariant is broken, while others may take an AssertionError for a broker that ended."""


def must(holds, text):
    if not holds:
        raise Violation(text)


class Shop:
    """Publishes until the broker is gone, and knows what was confirmed."""

    def __init__(self, rng):
        self.rng, self.made, self.confirmed = rng, 0, {}
        self.pending = []               # records that are not confirmed, oldest first
        self.sent = {}                  # n -> records

    def begin(self, client):
        self.c, self.sent = client, {}
        for records in self.pending:    # resending after any doubt is safe
            self.sent[client.post(*records)] = records

    def more(self):
        if len(self.pending) >= 40:
            return
        self.made += 1
        chance = self.rng.random()      # some ask, some are wrong
        method = f'odd{self.rng.randrange(5)}' if chance < 0.05 else 'card'
        amount = '-1.00' if 0.05 < chance < 0.08 else '10.00'
        records = [payment(f'p{self.made}', f'n{self.made}', amount, method), order(f'n{self.made}')]
        self.rng.shuffle(records)
        if self.rng.random() < 0.3:
            records = records[:1]       # an order that is not paid, or money without an order
        self.pending.append(records)
        self.sent[self.c.post(*records)] = records

    def heard(self, verb, header):
        if verb == 'PUBNO':
            raise AssertionError(header)
        must(verb == 'PUBOK', f'{verb} {header}')
        for n in [n for n in self.sent if n <= header['upto']]:
            records = self.sent.pop(n)
            self.pending.remove(records)
            for _, e in records:
                self.confirmed[e['id']] = e


def mend(op, rng, everything):
    """What a person does: answers a question, passes over what is wrong."""
    while True:
        items, after = [], 0
        while after is not None:
            page = op.ask('open', sub='', after=after, max=1000, people=True)
            items += page['items']
            after = page['next'] if everything and page['next'] else None
        rng.shuffle(items)
        for i in items[:None if everything else 2]:
            try:
                if i['state'] == 'ask':
                    op.act('answer', system='books', map='toybooks.posting', table=i['table'], key=i['key'], row='1399')
                else:
                    op.act('skip', sub=i['sub'], seq=i['seq'], reason='wrong')
            except No as no:
                assert no.code == 'STATE', no        # mended already
        counts = op.ask('status')['counts']     # it knows what the index does not yet
        if not everything or counts['ask'] + counts['parked'] == 0:
            return
        time.sleep(0.05)


def run_round(b, shop, rng, last, within=None, most=1_000_000, linger=False):
    """Until the broker is gone, killed within so many seconds or (if not lingering) when so many orders are
    confirmed; or, the last one, until all is done."""
    most += shop.made
    c, books = b.client('shop', 'connector'), b.client('books', 'connector')
    shop.begin(c)
    books.subscribe(window=16)
    poller = zmq.Poller()
    poller.register(c.socket, zmq.POLLIN)
    poller.register(books.socket, zmq.POLLIN)
    op = b.client('mender', 'operator')
    if not last:
        killer = threading.Timer(within or rng.uniform(0.02, 0.5), b.hit, [b.process])
        killer.start()
    if last or rng.random() < 0.5:
        mend(op, rng, last)
    hand, quiet, attempts, heard = [], 0, {}, time.monotonic()
    while b.process.poll() is None and (not last or quiet < 20):
        if not last and shop.made < most:
            shop.more()
        elif not last and not shop.pending and not linger:
            b.hit()
        ready = dict(poller.poll(25))
        heard = time.monotonic() if ready else heard
        must(time.monotonic() < heard + 20, f'nothing for 20 s; {len(shop.pending)} PUBs are not answered, '
             f'{len(shop.sent)} were sent: {list(shop.sent)[:3]}')
        quiet = 0 if ready or shop.pending or hand else quiet + 1
        if c.socket in ready:
            shop.heard(*c.receive(1)[:2])
        if books.socket in ready:
            verb, header, blob = books.receive(1)
            must(verb in ('EVT', 'PUBOK'), f'{verb} {header}')
            if verb == 'EVT':
                subject = unpack(blob)[1]['subject']
                must(subject not in {x['subject'] for x in hand}, f'two in flight at {subject}')
                must(header['attempt'] >= attempts.get(header['seq'], 0), 'an attempt went down')
                attempts[header['seq']] = header['attempt']
                hand.append({**header, 'subject': subject})
                must(len(hand) <= 16, 'more than its window')
        while hand and (last or rng.random() < 0.7):
            h = hand.pop(rng.randrange(len(hand)))
            verdict = 'retry' if rng.random() < 0.05 and not last else 'ok'
            books.post([SETTLE, {'sub': 'books', 'seq': h['seq'], 'verdict': verdict, 'attempt': h['attempt']}])
    for x in b.clients:
        x.close()
    b.clients = []
    if not last:
        b.process.wait()
        killer.cancel()


def journal(op):
    """Every record, by its sequence."""
    s = op.ask('status')['journal']
    assert s['first'] in (0, 1)
    return {seq: op.ask('event', seq=seq, unseal=True) for seq in range(1, s['next'])}


def check(records, confirmed, parked_unmapped=False):
    events = {s: r for s, r in records.items() if r['kind'] == 'event'}
    settles = [r for r in records.values() if r['kind'] == 'settle']
    facts = collections.defaultdict(list)
    for seq in sorted(events):
        facts[events[seq]['source'], events[seq]['id']].append(events[seq])
    # confirmed events are all there, as they were, once
    for i, e in confirmed.items():
        got = facts[e['source'], i]
        assert len(got) == 1, (i, len(got))
        assert got[0]['data'] == e['data'] and got[0]['type'] == e['type']
    for key, revisions in facts.items():
        assert [r['revision'] for r in revisions] == list(range(1, len(revisions) + 1)), key
        assert all(a['data'] != z['data'] for a, z in zip(revisions, revisions[1:])), key
    # every derived event has its cause, every cause what its mappings emit
    by_cause = collections.defaultdict(list)
    for seq, e in events.items():
        if 'cause' in e:
            assert e['cause'] in events and e['cause'] < seq
            by_cause[e['cause']].append(e['type'])
    held = collections.Counter()
    for s in settles:
        if s['sub'].startswith('map:'):
            held[s['of'], s['sub']] = s['verdict']
    for seq, e in events.items():
        want = {'toyshop.order': ['order.placed'], 'toyshop.payment': ['payment.captured'],
                'order.placed': ['toybooks.note'], 'payment.captured': ['toybooks.posting']}.get(e['type'], [])
        if not by_cause[seq] and want == ['toybooks.posting']:
            assert held[seq, 'map:books/toybooks.posting'] in ('wait', 'behind'), e
        elif not by_cause[seq] and want == ['payment.captured']:
            assert held[seq, 'map:shop/toyshop.payment'] == 'skip', e
        elif parked_unmapped and not by_cause[seq] and want:
            assert any(of == seq and v == 'skip' for (of, _), v in held.items()), e
        else:
            assert sorted(by_cause[seq]) == want, e
    # one completion a delivery; in order within a subject
    done, at = collections.Counter(), collections.defaultdict(list)
    for s in settles:
        if s['sub'] == 'books' and s['verdict'] == 'ok':
            done[s['of']] += 1
            at[events[s['of']]['subject']].append(s['of'])
    requests = [s for s, e in events.items() if e.get('target') == 'books']
    parked = {s['of'] for s in settles if s.get('parked') and s['sub'] == 'books'}
    assert set(requests) - set(done) - parked == set()
    assert all(n == 1 for n in done.values())
    for subject, seqs in at.items():
        assert seqs == sorted(seqs), subject
    return len(events), len(requests)


def whole(b):
    """A clean end; index.db equals one folded anew, and every frame of the log is whole."""
    assert b.stop() == 0, b.text()
    verify = subprocess.run([str(PROGRAM), 'verify', str(b.folder / 'data')], cwd=ROOT, text=True, timeout=120,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert verify.returncode == 0, verify.stdout


def test_kill_at_random(tmp_path, seed=None):
    seed = seed if seed is not None else int(os.environ.get('VAYLA_SEED', '20261122'))
    rng = random.Random(seed)
    b = toybroker.Broker(tmp_path, retry={'first_ms': 10, 'most_ms': 50, 'attempts': 1000})
    shop = Shop(rng)
    began = time.monotonic()
    try:
        for i in range(ROUNDS):
            b.start(wait=False)
            try:
                run_round(b, shop, rng, False, most=600)
            except (Silence, No) as e:
                assert b.process.poll() is not None, (e, b.text())
        b.start(wait=False)
        run_round(b, shop, rng, True)
        assert not shop.pending
        op = b.client('checker', 'operator')
        mend(op, rng, True)
        run_round(b, shop, rng, True)
        op = b.client('checker', 'operator')
        until(lambda: op.ask('status')['counts']['ready'] == 0)
        events, requests = check(journal(op), shop.confirmed)
        assert len(shop.confirmed) > 5 * ROUNDS, 'the rounds did nothing'
        print(f'seed {seed}: {ROUNDS} kills in {time.monotonic() - began:.0f} s, {len(shop.confirmed)} confirmed, '
              f'{events} events, {requests} requests')
        whole(b)
    finally:
        b.close()


def test_an_event_that_kills_the_broker_is_parked(tmp_path):
    """With failpoints built in: the broker dies twice in the middle of one mapping."""
    b = toybroker.Broker(tmp_path)
    try:
        b.start(env={'VAYLA_FAILPOINT': 'mapping:1'})
        c = b.client('shop', 'connector')
        try:
            c.publish(order(1), seconds=3)
            pytest.skip('built without -DVAYLA_FAILPOINTS')
        except Silence:
            pass
        b.process.wait(10)
        b.start(env={'VAYLA_FAILPOINT': 'mapping:1'})
        c = b.client('shop', 'connector')
        with pytest.raises(Silence):
            c.publish(order(1), seconds=3)
        b.process.wait(10)
        b.start(env={'VAYLA_FAILPOINT': 'mapping:1'})
        c, op = b.client('shop', 'connector'), b.client('cli', 'operator')
        c.publish(order(1))                     # stored, parked, not mapped
        item, = until(lambda: op.ask('open', sub='')['items'])
        assert item['state'] == 'parked' and item['sub'] == 'map:shop/toyshop.order'
        assert b.stop() == 0
        b.start()
        op = b.client('cli', 'operator')
        op.act('retry', sub=item['sub'], seq=item['seq'])
        until(lambda: op.ask('status')['types'].get('order.placed') == 1)
    finally:
        b.close()


# every place the program can be ended at; what happens once a second is counted
# low; those of a deployment have a test of their own (test_shadow.py)
POINTS = sorted({name for c in (ROOT / 'broker').rglob('*.c')
                 for name in re.findall(r'FAIL_POINT\("(\w+)"\)', c.read_text()) if not name.startswith('deploy')})
FAIL_ROUNDS = int(os.environ.get('VAYLA_FAIL_ROUNDS', str(3 * len(POINTS))))


def test_named_failpoints(tmp_path):
    """Ends at each of those places, again and again, whatever it is doing then."""
    if not failpoints():
        pytest.skip('built without -DVAYLA_FAILPOINTS')
    seed = int(os.environ.get('VAYLA_SEED', '7'))
    rng, began = random.Random(seed), time.monotonic()
    rounds, confirmed = 0, 0
    while rounds < FAIL_ROUNDS:         # a journal of at most 60 rounds, checked whole
        folder = tmp_path / f'j{rounds}'
        folder.mkdir()
        b = toybroker.Broker(folder, retry={'first_ms': 10, 'most_ms': 50, 'attempts': 1000})
        shop = Shop(rng)
        try:
            for _ in range(min(60, FAIL_ROUNDS - rounds)):
                point = POINTS[rounds % len(POINTS)]
                rounds += 1
                behind = point.startswith('index')      # once a second, whatever comes
                count = 1 if behind or point == 'keys_filled' else rng.choice((1, 2, 3, 5, 8, 13, 40))
                b.start(wait=False, env={'VAYLA_FAILPOINT': f'{point}:{count}'})
                try:
                    run_round(b, shop, rng, False, 2, 1000 if point == 'keys_filled' else 100, behind)
                except (Silence, No, AssertionError):
                    assert b.process.poll() is not None, b.text()
                assert b.process.wait() == -9, b.text()
                for x in b.clients:
                    x.close()
                b.clients = []
            b.start(wait=False)
            run_round(b, shop, rng, True)
            mend(b.client('mender', 'operator'), rng, True)
            run_round(b, shop, rng, True)
            op = b.client('checker', 'operator')
            until(lambda: op.ask('status')['counts']['ready'] == 0)
            check(journal(op), shop.confirmed, True)
            confirmed += len(shop.confirmed)
            whole(b)
        finally:
            b.close()
        print(f'seed {seed}: {rounds} rounds at {len(POINTS)} failpoints in {time.monotonic() - began:.0f} s, '
              f'{confirmed} confirmed, 0 violations', flush=True)


def failpoints():
    with open(PROGRAM, 'rb') as f:
        return b'VAYLA_FAILPOINT' in f.read()
