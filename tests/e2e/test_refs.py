"""One name, two subjects: a ref that a second one claims is a question. It stands in
the inbox, one answer frees what asked, and it holds over restarts, an index made
anew and a replay."""
import json

import pytest

from harness import until
from shop import send_callback, send_order, shop_order, total_cents

SHOP, PAY = 'shop-secret', 'pay-secret'
SUB = 'map:shop/woocommerce.order'


@pytest.fixture
def v(vayla, tmp_path):
    return vayla({
        'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
        'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY},
        'books': {'use': 'ledger', 'mode': 'live', 'folder': str(tmp_path / 'books')}}).start()


def send(v, number, transaction, **more):
    order = shop_order(number, transaction_id=transaction, **more)
    assert send_order(v, SHOP, order)[0] == 200
    return order


def show(v, word):
    return json.loads(v.command('order', 'show', word, '-o', 'json').stdout, parse_float=str)


def asked(v):
    return [i for i in json.loads(v.command('inbox', 'list', '-o', 'json').stdout)['items'] if i['table'] == 'ref']


def posted(v):
    return v.status()['types'].get('ledger.posting', 0)


def anew(v):
    """Stop, lose the index, start."""
    v.stop()
    for p in v.data.glob('index.db*'):
        p.unlink()
    v.start()


def claimed_twice(v):
    """Orders 1 and 2 with one transaction; 2 asks, and so does its payment's order."""
    send(v, 1, 'tx-9')
    order = send(v, 2, 'tx-9')
    assert send_callback(v, PAY, 2, total_cents(order), 'tx-2')[0] == 200
    item = until(lambda: asked(v), 10)[0]
    assert (item['sub'], item['subject'], item['key']) == (SUB, 'order:shop/2', 'payment:shop/tx-9')
    assert 'order:shop/1' in item['text'] and 'order:shop/2' in item['text']
    said = v.command('inbox', 'show', item['sub'], item['seq']).stdout
    assert 'payment:shop/tx-9' in said and 'order:shop/1' in said, said
    assert until(lambda: show(v, 'tx-9'), 10)['subject'] == 'order:shop/1'
    assert posted(v) == 0


@pytest.mark.parametrize('whose', ['order:shop/1', 'order:shop/2'])
def test_a_second_claim_asks_and_one_answer_frees_it(v, whose):
    claimed_twice(v)
    send(v, 2, 'tx-9', modified='2026-03-02T09:30:00', customer_note='Ring')    # behind it
    send(v, 3, 'tx-9')                                                          # a third
    until(lambda: len(asked(v)) >= 2, 10)
    v.stop()
    v.start()
    assert len(asked(v)) >= 2
    line = next(x for x in v.command('inbox', 'list').stdout.splitlines() if f'inbox answer {SUB} ref' in x)
    v.command('inbox', 'answer', *line.split()[3:6], whose)
    until(lambda: v.status()['counts']['ask'] == 0 and not asked(v), 10)
    until(lambda: posted(v) == 1, 10)
    for n in (2, 3):
        assert 'order.placed' in [r.get('type') for r in show(v, n)['records']]
    until(lambda: show(v, 'tx-9')['subject'] == whose, 10)
    assert show(v, 'payment:shop/tx-9')['subject'] == whose
    # nobody asks again: not the first when it is told anew, not another, not after a rebuild
    anew(v)
    until(lambda: show(v, 'tx-9')['subject'] == whose, 10)
    for n in (1, 2, 4):
        send(v, n, 'tx-9', modified='2026-03-03T10:00:00', status='completed')
    until(lambda: 'order.placed' in [r.get('type') for r in (show(v, 4) or {'records': []})['records']], 10)
    assert v.status()['counts']['ask'] == 0 and v.status()['counts']['parked'] == 0
    plan = v.command('replay', 'plan', SUB[4:]).stdout
    assert '0 would change' in plan, plan
    v.stop()
    assert v.command('verify', v.data).returncode == 0


def test_what_is_no_subject_is_no_answer(v):
    claimed_twice(v)
    bad = v.command('inbox', 'answer', SUB, 'ref', 'payment:shop/tx-9', '1042', check=False)
    assert bad.returncode != 0 and len(asked(v)) == 1
    # as the shop writes it will do
    v.command('inbox', 'answer', SUB, 'ref', 'payment:shop/tx-9', 'order:2')
    until(lambda: posted(v) == 1, 10)
    assert until(lambda: show(v, 'tx-9')['subject'] == 'order:shop/2', 10)
    # and a better answer is taken
    v.command('inbox', 'answer', SUB, 'ref', 'payment:shop/tx-9', 'order:shop/1')
    assert until(lambda: show(v, 'tx-9')['subject'] == 'order:shop/1', 10)


def test_a_killed_broker_knows_the_question_and_its_answer(v):
    claimed_twice(v)
    send(v, 2, 'tx-9')
    v.kill('broker')
    until(lambda: v.command('status', check=False).returncode == 0, 20)
    assert len(until(lambda: asked(v), 10)) == 1
    v.command('inbox', 'answer', SUB, 'ref', 'payment:shop/tx-9', 'order:shop/2')
    until(lambda: posted(v) == 1, 10)
    v.kill('broker')
    until(lambda: v.command('status', check=False).returncode == 0, 20)
    until(lambda: show(v, 'tx-9')['subject'] == 'order:shop/2', 10)
    v.command('replay', 'run', SUB[4:], '--yes', check=False)
    assert v.status()['counts']['ask'] == 0 and show(v, 'tx-9')['subject'] == 'order:shop/2'
