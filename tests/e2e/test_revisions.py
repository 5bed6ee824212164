"""What is known better later: an order edited after it was paid, a mapping corrected
after it had posted, an answer that was wrong. The books show a reversal and a new
posting, and their balance is what a fresh Vayla makes of the same facts."""
import json
import shutil
import signal

import pytest

from harness import ROOT, books, check_books, until
from shop import send_callback, send_order, shop_order, total_cents
from test_refunds import shop_refund

SHOP, PAY = 'shop-secret', 'pay-secret'


def systems(folder):
    return {'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
            'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY},
            'books': {'use': 'ledger', 'mode': 'live', 'folder': str(folder)}}


@pytest.fixture
def running(vayla, tmp_path):
    """running(name, packs) starts a Vayla with books and packs of its own."""
    def make(name, packs=None):
        own = packs or tmp_path / f'packs-{name}'
        if packs is None:
            shutil.copytree(ROOT / 'mappings', own, ignore=shutil.ignore_patterns('engine', 'samples'))
            for p in (ROOT / 'mappings').glob('*/samples'):
                shutil.copytree(p, own / p.parent.name / 'samples')
        v = vayla(systems(tmp_path / name), {'packs': str(own)})
        v.books, v.packs = tmp_path / name, own
        return v.start()
    return make


def transactions(v):
    return books(v.books) if (v.books / 'books.journal').exists() else []


def booked(v, n):
    until(lambda: len(transactions(v)) >= n, 30, 0.2)
    until(lambda: v.status()['counts']['ready'] == 0, 10)
    found = transactions(v)
    assert len(found) == n, found
    check_books(v.books)
    return found


def balance(v):
    sums = {}
    for t in transactions(v):
        for account, cents in t['postings']:
            sums[account] = sums.get(account, 0) + cents
    return {k: c for k, c in sums.items() if c}


def correct(v, file, old, new):
    """A pack's file is changed and taken into use."""
    path = v.packs / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    ruleset = v.status()['ruleset']
    v.kill('broker', signal.SIGHUP)
    until(lambda: v.status()['ruleset'] != ruleset, 10)


def send(v, what):
    for kind, *args in what:
        if kind == 'order':
            assert send_order(v, SHOP, args[0], topic='order.updated')[0] == 200
        else:
            assert send_callback(v, PAY, *args)[0] == 200


def reversals(found):
    return [t for t in found if 'reverses' in t['tags']]


def test_an_order_edited_after_payment(running):
    first = shop_order(31, lines=((2, 1950, 2550),), shipping=590)
    # the same sum, of which a part is now at the reduced rate
    edited = shop_order(31, lines=((2, 1950, 2550), (1, 500, 1350)), shipping=0, modified='2026-03-03T10:00:00')
    paid = ('paid', 31, total_cents(first), 'tx-31')
    v = running('edited')
    send(v, [('order', first), paid])
    booked(v, 1)
    send(v, [('order', edited)])
    found = booked(v, 3)
    assert len(reversals(found)) == 1
    fresh = running('fresh')
    send(fresh, [('order', edited), paid])
    booked(fresh, 1)
    assert balance(v) == balance(fresh) != {}


def test_an_older_word_that_comes_late_changes_nothing(running):
    new = shop_order(32, modified='2026-03-03T10:00:00')
    old = shop_order(32, lines=((1, 100, 2550),), modified='2026-03-01T10:00:00')
    v = running('late')
    send(v, [('order', new), ('paid', 32, total_cents(new), 'tx-32')])
    booked(v, 1)
    send(v, [('order', old)])
    until(lambda: v.status()['types'].get('woocommerce.order') == 2, 10)
    assert len(booked(v, 1)) == 1


def test_a_mapping_corrected_after_it_posted(running):
    facts = []
    for n in (41, 42, 43):
        o = shop_order(n)
        facts += [('order', o), ('paid', n, total_cents(o), f'tx-{n}')]
    v = running('corrected')
    send(v, facts)
    booked(v, 3)
    path = v.packs / 'ledger' / 'payment-captured.map.yaml'
    text = path.read_text()
    assert 'Income:Sales:Standard' in text
    path.write_text(text.replace('Income:Sales:Standard', 'Income:Sales:General'))
    ruleset = v.status()['ruleset']
    v.kill('broker', signal.SIGHUP)
    until(lambda: v.status()['ruleset'] != ruleset, 10)
    assert len(booked(v, 3)) == 3                 # nothing by itself
    sub = 'books/ledger.payment-captured'
    plan = v.command('replay', 'plan', sub)
    assert '3 would change' in plan.stdout, plan.stdout
    refused = v.command('replay', 'run', sub, check=False)
    assert refused.returncode == 2 and '--yes' in refused.stderr and len(transactions(v)) == 3
    v.command('replay', 'run', sub, '--yes', '--reason', 'the account was wrong')
    found = booked(v, 9)
    assert len(reversals(found)) == 3
    assert '3 the same, 0 would change' in v.command('replay', 'plan', sub).stdout
    fresh = running('fresh', v.packs)
    send(fresh, facts)
    booked(fresh, 3)
    assert balance(v) == balance(fresh) and 'Income:Sales:General' in balance(v)


def test_an_answer_and_a_better_one(running):
    o = shop_order(51)
    paid = ('paid', 51, total_cents(o), 'tx-51', 'ok', 'uusipankki')
    v = running('answered')
    send(v, [('order', o), paid])
    until(lambda: v.status()['counts']['ask'] == 1, 10)
    item = until(lambda: json.loads(v.command('inbox', 'list', '-o', 'json').stdout)['items'], 10)[0]
    assert (item['table'], item['key']) == ('provider', 'uusipankki')
    v.command('inbox', 'answer', item['sub'], 'provider', 'uusipankki', 'card')
    booked(v, 1)
    assert 'Assets:Clearing:Cards' in balance(v)
    v.command('inbox', 'answer', item['sub'], 'provider', 'uusipankki', 'online_bank')
    assert '1 would change' in v.command('replay', 'plan', item['sub']).stdout
    v.command('replay', 'run', item['sub'], '--yes')
    found = booked(v, 3)
    assert len(reversals(found)) == 1
    fresh = running('fresh')
    send(fresh, [('order', o), ('paid', 51, total_cents(o), 'tx-51', 'ok', 'osuuspankki')])
    booked(fresh, 1)
    assert balance(v) == balance(fresh)
    # and over a restart nothing moves
    v.stop()
    v.start()
    assert len(booked(v, 3)) == 3


def test_money_that_was_none_is_withdrawn(running):
    """A mapping corrected so that it makes nothing of a callback: its posting goes."""
    o = shop_order(61)
    v = running('withdrawn')
    send(v, [('order', o), ('paid', 61, total_cents(o), 'tx-61')])
    booked(v, 1)
    path = v.packs / 'paytrail' / 'callback.map.yaml'
    text = path.read_text()
    assert "when: became = 'captured'\n" in text
    path.write_text(text.replace("when: became = 'captured'\n", "when: became = 'captured' and amount > 1000000\n")
                    .split('\ntests:')[0] + '\n')
    ruleset = v.status()['ruleset']
    v.kill('broker', signal.SIGHUP)
    until(lambda: v.status()['ruleset'] != ruleset, 10)
    v.command('replay', 'run', 'payments/paytrail.callback', '--yes')
    found = booked(v, 2)
    assert len(reversals(found)) == 1 and balance(v) == {}
    path.write_text(text)
    ruleset = v.status()['ruleset']
    v.kill('broker', signal.SIGHUP)
    until(lambda: v.status()['ruleset'] != ruleset, 10)
    v.command('replay', 'run', 'payments/paytrail.callback', '--yes')
    booked(v, 3)
    fresh = running('fresh')
    send(fresh, [('order', o), ('paid', 61, total_cents(o), 'tx-61')])
    booked(fresh, 1)
    assert balance(v) == balance(fresh) != {}


def test_an_earlier_payment_that_was_none(running):
    """Shares are counted over what came before: when the first of three parts goes, the others are booked anew."""
    o = shop_order(62, lines=((1, 999, 2550), (1, 333, 1350)), shipping=0)
    total = total_cents(o)
    facts = [('order', o), ('paid', 62, 500, 'tx-a'), ('paid', 62, 501, 'tx-b'), ('paid', 62, total - 1001, 'tx-c')]
    v = running('parts')
    send(v, facts)
    booked(v, 3)
    whole = balance(v)
    correct(v, 'paytrail/callback.map.yaml', "when: became = 'captured'\n", "when: became = 'captured' and amount != 5\n")
    v.command('replay', 'run', 'payments/paytrail.callback', '--yes')
    until(lambda: balance(v).get('Assets:Clearing:Banks') == total - 500, 20, 0.3)
    v.settled()
    check_books(v.books)
    fresh = running('fresh-parts', v.packs)
    send(fresh, facts)
    booked(fresh, 2)
    assert balance(v) == balance(fresh)
    v.stop()
    v.start()
    # it was one after all, and stands before the others again
    correct(v, 'paytrail/callback.map.yaml', " and amount != 5\n", "\n")
    v.command('replay', 'run', 'payments/paytrail.callback', '--yes')
    until(lambda: balance(v) == whole, 20, 0.3)
    v.settled()
    check_books(v.books)
    assert balance(v) == whole and len(transactions(v)) % 2 == 1


def edited_twice(v):
    """Orders 71 and 72, paid and booked, then told with a part at the reduced rate."""
    first = {n: shop_order(n) for n in (71, 72)}
    later = {n: shop_order(n, lines=((1, 1950, 2550), (1, 1950, 1350)), modified='2026-03-03T10:00:00') for n in (71, 72)}
    for n in (71, 72):
        send(v, [('order', first[n]), ('paid', n, total_cents(first[n]), f'tx-{n}')])
    booked(v, 2)
    send(v, [('order', later[n]) for n in (71, 72)])
    return later, {n: total_cents(first[n]) for n in (71, 72)}


def test_a_change_that_a_person_is_asked_about(running):
    v = running('asked')
    correct(v, 'ledger/pack.yaml', 'revised: reverse', 'revised: ask')
    later, paid = edited_twice(v)
    until(lambda: v.status()['counts']['ask'] == 2, 10)
    before = balance(v)
    v.kill('broker')
    until(lambda: v.command('status', check=False).returncode == 0, 20)
    v.settled()
    assert len(transactions(v)) == 2 and balance(v) == before              # nothing is sent unasked
    items = until(lambda: (lambda x: len(x) == 2 and x)(json.loads(v.command('inbox', 'list', '-o', 'json').stdout)['items']), 10)
    items = {i['subject']: i for i in items}
    assert all(i['state'] == 'ask' and 'changed' in i['text'] for i in items.values())
    v.command('inbox', 'retry', 'books', items['order:shop/71']['seq'])
    v.command('inbox', 'skip', 'books', items['order:shop/72']['seq'], '--reason', 'closed year')
    found = booked(v, 4)
    assert len(reversals(found)) == 1 and v.status()['counts']['ask'] == 0
    one, other = running('asked-one'), running('asked-other')
    send(one, [('order', later[71]), ('paid', 71, paid[71], 'tx-71')])
    send(other, [('order', shop_order(72)), ('paid', 72, paid[72], 'tx-72')])
    booked(one, 1)
    booked(other, 1)
    want = {a: balance(one).get(a, 0) + balance(other).get(a, 0) for a in {*balance(one), *balance(other)}}
    assert balance(v) == want
    # a later change of the one that was left is a new question
    send(v, [('order', shop_order(72, lines=((2, 1950, 1350),), modified='2026-03-04T10:00:00'))])
    until(lambda: v.status()['counts']['ask'] == 1, 10)
    assert len(transactions(v)) == 4


def test_a_change_that_is_never_sent(running):
    v = running('never')
    correct(v, 'ledger/pack.yaml', 'revised: reverse', 'revised: never')
    edited_twice(v)

    def posted(n):
        said = json.loads(v.command('order', 'show', n, '-o', 'json').stdout, parse_float=str)
        return [r['revision'] for r in said['records'] if r.get('type') == 'ledger.posting']
    until(lambda: posted(71) == [1, 2] and posted(72) == [1, 2], 10)        # it is on record, and goes nowhere
    v.stop()
    v.start()
    v.settled()
    assert len(booked(v, 2)) == 2 and v.status()['counts']['ask'] == v.status()['counts']['parked'] == 0
    # what is new is sent as ever
    o = shop_order(73)
    send(v, [('order', o), ('paid', 73, total_cents(o), 'tx-73')])
    booked(v, 3)


def test_what_waited_in_vain_goes_on_when_it_comes(running):
    """A payment at its order and a refund at the shop's own number, given up; then the order is told after all."""
    v = running('late-order')
    correct(v, 'ledger/payment-captured.map.yaml', 'absent: wait 15m', 'absent: wait 1s')
    correct(v, 'woocommerce/refund.map.yaml', 'absent: wait 15m', 'absent: wait 1s')
    o = shop_order(81)
    send(v, [('paid', 81, total_cents(o), 'tx-81')])
    refund = shop_refund(o, 5081, [(1, 1, 1950, 498)])
    assert send_order(v, SHOP, refund, topic='refund.created')[0] == 200
    until(lambda: v.status()['counts']['parked'] == 2, 20)
    v.stop()
    v.start()
    assert v.status()['counts']['parked'] == 2
    send(v, [('order', o)])
    found = booked(v, 2)
    assert not reversals(found) and v.status()['counts']['parked'] == 0
    fresh = running('in-order')
    send(fresh, [('order', o), ('paid', 81, total_cents(o), 'tx-81')])
    assert send_order(fresh, SHOP, refund, topic='refund.created')[0] == 200
    booked(fresh, 2)
    assert balance(v) == balance(fresh) != {}
