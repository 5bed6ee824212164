"""What is known better later: an order edited after it was paid, a mapping corrected
after it had posted, an answer that was wrong. The books show a reversal and a new
posting, and their balance is what a fresh Vayla makes of the same facts."""
import json
import shutil
import signal

import pytest

from harness import ROOT, books, check_books, until
from shop import send_callback, send_order, shop_order, total_cents

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
