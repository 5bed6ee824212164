"""`unmatched: report`: the default is used, nothing waits, and each key that has
no row is asked about once."""
import os
import shutil
import subprocess

import pytest
import toybroker
from harness import PROGRAM, until
from toybroker import order, payment
from vyclient import No


@pytest.fixture
def broker(tmp_path):
    b = toybroker.Broker(tmp_path)
    posting = tmp_path / 'packs' / 'toybooks' / 'posting.map.yaml'
    text = posting.read_text()
    old = "    unmatched: ask\n    rows: {card: '1320', bank: '1310'}\n"
    assert old in text
    posting.write_text(text.replace(old, "    unmatched: report\n    default: '1999'\n    rows: {card: '1320', bank: '1310'}\n"
                                    "  kind:\n    unmatched: report\n    default: other\n    rows: {known: K}\n")
                       .replace('payment: payment_id', 'payment: "{lookup(kind, payment_id)} {lookup(clearing, method)}"'))
    yield b
    b.close()
    shutil.rmtree(b.folder / 'data', ignore_errors=True)


def questions(cli, n):
    """Once there are n: what people ask is a second old."""
    return until(lambda: (lambda q: (q,) if len(q) == n else None)(now(cli)))[0]


def now(cli):
    return {(i['table'], i['key']): i for i in cli.ask('open', sub='', people=True)['items'] if i['state'] == 'ask'}


def test_each_key_is_asked_once_and_nothing_waits(broker):
    b = broker.start()
    shop, cli = b.client('shop', 'connector'), b.client('cli', 'operator')
    shop.publish(order(1))
    shop.publish(payment('p', 1, method='gold'), payment('q', 1, method='gold'))    # one turn
    shop.publish(payment('r', 1, method='gold'), payment('known', 1, method='tin'))
    got = questions(cli, 5)
    assert set(got) == {('clearing', 'gold'), ('clearing', 'tin'), ('kind', 'p'), ('kind', 'q'), ('kind', 'r')}
    assert got['clearing', 'gold']['subject'] == 'order:shop/1' and "'gold'" in got['clearing', 'gold']['text']
    assert cli.ask('status')['counts']['ask'] == 5 and cli.ask('status')['counts']['ready'] == 5
    b.stop()
    b.start()
    shop, cli = b.client('shop', 'connector'), b.client('cli', 'operator')
    shop.publish(payment('s', 1, method='gold'))
    assert ('kind', 's') in questions(cli, 6)


def test_an_answer_closes_it_and_is_used(broker):
    b = broker.start()
    shop, cli = b.client('shop', 'connector'), b.client('cli', 'operator')
    shop.publish(order(1), payment('known', 1, method='gold'))
    (q,) = questions(cli, 1).values()
    env = {**os.environ, 'VAYLA_CONFIG': str(b.file)}
    said = subprocess.run([str(PROGRAM), 'inbox', 'list'], env=env, text=True, capture_output=True, timeout=60).stdout
    hint = next(line for line in said.splitlines() if 'vayla inbox answer' in line).split()
    assert hint[3:6] == [q['sub'], 'clearing', 'gold']
    r = subprocess.run([str(PROGRAM), *hint[1:6], '1555'], env=env, text=True, capture_output=True, timeout=60)
    assert r.returncode == 0, r.stderr
    questions(cli, 0)
    shop.publish(payment('known2', 2, method='gold'), order(2))
    assert set(questions(cli, 1)) == {('kind', 'known2')}
    r = subprocess.run([str(PROGRAM), 'replay', 'plan', 'books/toybooks.posting'], env=env, text=True, capture_output=True, timeout=60)
    assert '1 would change' in r.stdout, 'the one from before the answer'
    b.stop()
    r = subprocess.run([str(PROGRAM), 'verify', str(b.folder / 'data')], text=True, capture_output=True, timeout=60)
    assert r.returncode == 0, r.stdout


def test_it_can_be_passed_over(broker):
    b = broker.start()
    shop, cli = b.client('shop', 'connector'), b.client('cli', 'operator')
    shop.publish(order(1), payment('known', 1, method='gold'))
    (q,) = questions(cli, 1).values()
    cli.act('skip', sub=q['sub'], seq=q['seq'], reason='never mind')
    questions(cli, 0)
    with pytest.raises(No):
        cli.act('skip', sub=q['sub'], seq=q['seq'], reason='again')
