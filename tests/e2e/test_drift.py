"""Drift: what live events hold and a schema does not know is shown, and goes on."""
import json
import os
import pathlib
import shutil
import subprocess
import urllib.request

import pytest
import toybroker
from harness import PROGRAM, until
from toybroker import order, payment
from vyclient import decimal, event

ROOT = pathlib.Path(__file__).resolve().parents[2]


def vayla(*words, **env):
    return subprocess.run([str(PROGRAM), *map(str, words)], text=True, capture_output=True, timeout=60, cwd=ROOT,
                          env={**os.environ, **{k: str(v) for k, v in env.items()}})


@pytest.fixture
def broker(tmp_path):
    b = toybroker.Broker(tmp_path)
    schema = tmp_path / 'packs' / 'toyshop' / 'schema' / 'toyshop.payment.yaml'
    schema.write_text(schema.read_text().replace('method: text', 'method: {type: text, enum: [card, bank, void]}')
                      .replace('schema: toyshop.payment/1', 'schema: toyshop.payment/1\nopen: true'))
    yield b
    b.close()
    shutil.rmtree(b.folder / 'data', ignore_errors=True)


def test_live_events_that_drift_are_shown_and_go_on(broker):
    b = broker.start()
    shop, cli = b.client('shop', 'connector'), b.client('cli', 'operator')
    shop.publish(order(1), payment('a', 1))
    assert cli.ask('status')['drift'] == {'events': 0, 'places': 0, 'list': []}
    for i in range(3):
        p = payment(f'n{i}', 1)
        p[1]['data']['terminal'] = {'secret': 'anna@example.fi'}
        shop.publish(p)
    shop.publish(payment('v', 1, method='voucher'))
    d = cli.ask('status')['drift']
    assert (d['events'], d['places']) == (4, 2)
    word, field = d['list']
    assert (word['what'], word['path'], word['value'], word['events']) == ('word', 'method', 'voucher', 1)
    assert (field['what'], field['path'], field['value'], field['events']) == ('field', 'terminal', '', 3)
    assert field['type'] == 'toyshop.payment' and field['source'] == 'shop'
    # nothing of it was refused for that, but what reads the word: the toy books ask
    assert cli.ask('status')['counts']['parked'] == 1, 'a mapping read the word and refused it by name'
    env = {'VAYLA_CONFIG': str(b.file)}
    for verb in ('status', 'inbox'):
        said = vayla(*([verb] if verb == 'status' else ['inbox', 'list']), **env).stdout
        assert 'toyshop.payment of shop: a new word in method: voucher in 1 event since' in said, said
        assert 'a new field terminal in 3 events' in said and 'anna' not in said
    url = b.config['broker']['console'] + '/metrics'
    text = until(lambda: (lambda t: t if 'vayla_drift_events_total 4' in t else None)(urllib.request.urlopen(url, timeout=5).read().decode()))
    assert 'vayla_drift_places 2' in text


def test_a_schema_that_learned_it_is_content(broker):
    b = broker.start()
    shop, cli = b.client('shop', 'connector'), b.client('cli', 'operator')
    p = payment('n', 1)
    p[1]['data']['terminal'] = 'x'
    shop.publish(p)
    assert cli.ask('status')['drift']['places'] == 1
    schema = b.folder / 'packs' / 'toyshop' / 'schema' / 'toyshop.payment.yaml'
    schema.write_text(schema.read_text() + '  terminal?: text\n')
    r = vayla('map', 'deploy', '--yes', schema, VAYLA_CONFIG=b.file)
    assert r.returncode == 0, r.stderr
    assert cli.ask('status')['drift']['places'] == 0
    p = payment('m', 1)
    p[1]['data']['terminal'] = 'x'
    shop.publish(p)
    assert cli.ask('status')['drift']['places'] == 0


def test_hostile_drift_is_bounded(broker):
    """Fields without end, keys that are addresses: bounded, and not shown."""
    b = broker.start()
    shop, cli = b.client('shop', 'connector'), b.client('cli', 'operator')
    for i in range(20):
        p = payment(f'h{i}', 1)
        p[1]['data'].update({f'f{i}_{k}': 1 for k in range(100)})
        p[1]['data']['anna@example.fi'] = decimal('1')
        shop.publish(p)
    d = cli.ask('status')['drift']
    assert d['places'] == 500 and len(d['list']) == 50 and d['events'] == 20
    assert 'anna' not in json.dumps(d, default=str)
    shop.publish(event(id='x', source='shop', type='toyshop.payment', subject='order:1', data=[1, {'a': []}]))
    assert cli.ask('status')['drift']['places'] == 500
