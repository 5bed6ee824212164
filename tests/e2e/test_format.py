"""The JSON Schemas of the files that people write, by a validator of the public:
every file of ours is valid, and mistakes are not."""
import copy
import json
import pathlib
import re
import subprocess

import jsonschema
import pytest
import yaml

from test_map_verbs import ROOT, VAYLA

PACKS = ROOT / 'mappings'
FILES = {
    'mapping': sorted(PACKS.glob('*/**/*.map.yaml')) + sorted((ROOT / 'tests').glob('**/*.map.yaml')),
    'schema': sorted(PACKS.glob('canonical/*.yaml')) + sorted(PACKS.glob('*/schema/*.yaml')) + sorted(
        (ROOT / 'tests/packs').glob('*/schema/*.yaml')),
    'pack': sorted(PACKS.glob('*/pack.yaml')) + sorted((ROOT / 'tests').glob('**/pack.yaml')),
    'config': sorted((ROOT / 'deploy').glob('**/vayla*.yaml')),
}


class Core(yaml.CSafeLoader):
    """YAML as editors have it (1.2): true and false, no dates, no sexagesimals."""
    yaml_implicit_resolvers = {}


for tag, pattern, first in (('bool', r'true|false', 'tf'), ('null', r'null|~', 'n~'), ('int', r'-?(0|[1-9][0-9]*)', '-0123456789'),
                            ('float', r'-?[0-9]+\.[0-9]+', '-0123456789')):
    Core.add_implicit_resolver(f'tag:yaml.org,2002:{tag}', re.compile(f'(?:{pattern})$'), list(first))


def load(text):
    return yaml.load(text, Core)


@pytest.fixture(scope='module', params=list(FILES))
def form(request):
    out = subprocess.run([str(VAYLA), 'map', 'format', request.param], capture_output=True, timeout=30)
    assert out.returncode == 0, out.stderr.decode()
    schema = json.loads(out.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    return request.param, jsonschema.Draft202012Validator(schema)


def test_every_file_of_ours_is_valid(form):
    name, validator = form
    assert FILES[name]
    wrong = {}
    for file in FILES[name]:
        found = [f'{"/".join(map(str, e.absolute_path))}: {e.message}' for e in validator.iter_errors(load(file.read_text()))]
        if found:
            wrong[str(file.relative_to(ROOT))] = found[:3]
    assert not wrong, wrong


MAPPING = """\
map: kiosk.sale/1
from: kiosk.sale
tables: {how: {unmatched: ask, by: contains, columns: {a: text}, rows: {visa: card}}}
join: {order: {last: order.placed, subject: $event.subject, absent: wait 15m}}
let: {x: a + b}
emit:
  - type: payment.captured
    when: true
    id: "sale"
    again: revise by date
    subject: {ref: "woo:{id}", absent: skip}
    refs: ["a:{b}"]
    data: {amount: total, lines: {each: l in lines, item: {a: l.b}}}
    check: [a = b]
tests:
  - {name: a sale, given: {file: a.json, set: {a: 1}}, expect: {amount: 1}, exact: true}
  - {name: two, scenario: [{a: 1}], events: [{type: a.b, revision: 2}]}
"""
SCHEMA = """\
schema: kiosk.sale/1
title: A sale
subject: {kind: order, scope: system}
blank: absent
seal: marked
open: true
fields: {a: text, b?: {type: text, enum: [x, y], personal: true}, c: {items: {d: decimal}}, e: {list: {list: date}}}
"""
PACK = """\
pack: kiosk/1
settings: {zone: {type: zone, default: UTC}, key: {type: text, secret: true}, plain: url}
receive: []
send: {kiosk.order: {post: "/orders", revised: send}}
"""
CONFIG = """\
broker: {data: ./var, packs: ./packs, retry: {first_ms: 10}}
receiver: {listen: "http://127.0.0.1:1"}
systems: {shop: {use: kiosk, mode: live, key: x, tables: {a: {rows: {b: c}}}}}
"""
WRONG = {
    'mapping': (MAPPING, {
        'emit': [], 'map': ['kiosk.sale', 'kiosk.sale/x', 3], 'form': ['x'], 'emit/0/idd': ['x'], 'emit/0/again': ['revise', 'always'],
        'emit/0/data': ['x'], 'emit/0/subject/absent': ['wait', 'ask me'], 'emit/0/check': ['a = b'], 'tables/how/unmatched': ['asks', {'rows': 1}],
        'tables/how/by': ['like'], 'tables/how/columns/a': ['number'], 'tables/how/row': [{}], 'join/order/all': ['order.placed'],
        'join/order/absent': ['wait', 'maybe', 'wait 5 years'], 'tests/0/expects': [{}], 'tests/0/exact': ['yes'],
        'tests/1/events/0/kind': ['x'], 'from': [3], 'let': [['x']]}),
    'schema': (SCHEMA, {
        'schema': ['sale/1', 'kiosk.sale'], 'fields': [], 'fields/a': ['string', 'number', 3, ['text'], {'type': 'txt'}, {}, {'type': 'text', 'list': 'text'}],
        'fields/c/items/d': ['float'], 'seal': ['none'], 'subject/scope': ['shop'], 'open': ['yes'], 'title': [['x']], 'field': [{}],
        'fields/e/list/list': ['day'], 'fields/b?/person': [True]}),
    'pack': (PACK, {
        'pack': ['kiosk', 3], 'name': ['x'], 'settings/zone/type': ['timezone'], 'settings/plain': ['link'], 'settings/key/hidden': [True],
        'send/kiosk.order/revised': ['again'], 'send/kiosk.order/pots': ['x'], 'receive': [{}]}),
    'config': (CONFIG, {
        'brokers': [{}], 'broker/dta': ['x'], 'systems/shop/mode': ['on'], 'systems/shop/use': [3], 'receiver/port': [80],
        'broker/retry/first': [1], 'systems': [['shop']]}),
}


def edited(doc, path, value):
    doc = copy.deepcopy(doc)
    *steps, last = path.split('/')
    at = doc
    for s in steps:
        at = at[int(s)] if isinstance(at, list) else at[s]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return doc


def test_mistakes_are_not_valid(form):
    name, validator = form
    text, mistakes = WRONG[name]
    right = load(text)
    assert not list(validator.iter_errors(right))
    for path, values in mistakes.items():
        # a field that must be there is taken away where no wrong value is named
        for value in values or [None]:
            assert list(validator.iter_errors(edited(right, path, value))), (path, value)
    for needed in {'mapping': ('map', 'from', 'emit'), 'schema': ('schema', 'fields'), 'pack': ('pack',), 'config': ()}[name]:
        assert list(validator.iter_errors(edited(right, needed, None))), needed


def test_there_is_no_other_form():
    out = subprocess.run([str(VAYLA), 'map', 'format', 'table'], capture_output=True, timeout=30)
    assert out.returncode == 2 and b'mapping, schema, pack' in out.stderr
