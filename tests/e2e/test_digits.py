"""Other people's orders: a schema is learnt from them, a mapping over that schema
reads every field by its type, and every number comes out with the digits it came
in with."""
import json
import re
import subprocess

import pytest
import yaml

from harness import FIXTURES
from test_format import Core
from test_map_verbs import VAYLA

pytestmark = pytest.mark.skipif(
    not FIXTURES.is_dir(), reason=f'NO FIXTURES: there is no folder {FIXTURES}; set VAYLA_FIXTURES. No payload was tried')

OUT = """\
schema: copy.out/1
title: Whatever comes in
subject: {kind: copy, scope: system}
open: true
fields: {all?: any}
"""


class Digits(str):
    """A number as it is written."""


def loads(text):
    return json.loads(text, parse_int=Digits, parse_float=Digits)


def dumps(j):
    if isinstance(j, Digits):
        return str(j)
    if isinstance(j, dict):
        return '{' + ','.join(f'{json.dumps(k)}:{dumps(v)}' for k, v in j.items()) + '}'
    if isinstance(j, list):
        return '[' + ','.join(map(dumps, j)) + ']'
    return json.dumps(j)


def bodies(folder):
    """Every JSON value in a folder: files, webhooks' bodies, recorded answers."""
    for path in sorted((FIXTURES / folder).rglob('*')):
        if path.suffix not in ('.json', '.body', '.txt') or 'json-test-suite' in path.parts:
            continue
        text = path.read_text(errors='replace')
        if path.suffix == '.txt':
            text = text.replace('\r', '').partition('\n\n')[2]
        try:
            yield path.relative_to(FIXTURES), loads(text)
        except ValueError:
            continue


LINES = {'line_items', 'lines', 'orderLines'}
TOTALS = {'total', 'total_price', 'totalWithTax'}


def orders_in(j):
    """Whatever has lines and a total, and a till's message of a purchase, however deep
    it is wrapped: {"order": ..}, lists, GraphQL's {"data": ..}."""
    if isinstance(j, dict) and (j.keys() & LINES and j.keys() & TOTALS or j.get('eventName') == 'PurchaseCreated'):
        yield j
    elif isinstance(j, (dict, list)):
        for one in j.values() if isinstance(j, dict) else j:
            yield from orders_in(one)


def orders(folder):
    return [one for _, j in bodies(folder) for one in orders_in(j)]


def a_pack(folder, name, schema, mapping):
    packs = folder / 'packs'
    (packs / 'canonical').mkdir(parents=True)
    (packs / 'canonical/copy.out.yaml').write_text(OUT)
    (packs / name / 'schema').mkdir(parents=True)
    (packs / name / 'pack.yaml').write_text(f'pack: {name}/1\n')
    (packs / name / f'schema/{name}.order.yaml').write_text(schema)
    file = packs / name / 'copy.map.yaml'
    file.write_text(f'map: {name}.copy/1\nfrom: {name}.order\nemit:\n  - type: copy.out\n    id: "$"\n    subject: "copy:1"\n'
                    f'    data:\n{mapping}')
    return file


def run(file, events):
    out = subprocess.run([str(VAYLA), 'map', 'run', str(file), '--lines'], input='\n'.join(map(dumps, events)).encode(),
                         capture_output=True, timeout=120)
    assert out.returncode == 0, out.stderr.decode()
    for line in out.stdout.decode().split('\n')[:-1]:
        answer = loads(line)
        assert answer['verdict'] == 'ok', answer['text']
        yield answer['events'][0]['data']


# ---- every JSON there is, whole ----

def test_what_comes_in_whole_goes_out_whole(tmp_path):
    file = a_pack(tmp_path, 'copy', 'schema: copy.order/1\nopen: true\nfields: {all?: any}\n', '      all?: all\n')
    came, paths = [], []
    for path, j in bodies('.'):
        if len(dumps(j)) < 900_000:  # what one event may make
            came.append({'all': j})
            paths.append(path)
    assert len(came) > 300
    numbers = 0
    for path, event, went in zip(paths, came, run(file, came), strict=True):
        assert dumps(went) == dumps({k: v for k, v in event.items() if v is not None}), path
        numbers += len(re.findall(r'[:\[,]-?\d', dumps(event)))
    assert numbers > 3000


# ---- orders, field by field ----

WORD = re.compile(r'[A-Za-z_][A-Za-z_0-9]*\Z')


def step(name):
    return f'.{name}' if WORD.match(name) else f".'{name}'"


def long_ones(j, at=''):
    """Fields that hold more decimals than are kept as a number: floats of others'
    that were never money. As text they go through whole."""
    if isinstance(j, dict):
        for k, v in j.items():
            yield from long_ones(v, f'{at}.{k}')
    elif isinstance(j, list):
        for v in j:
            yield from long_ones(v, at)
    elif isinstance(j, str) and re.match(r'-?\d+\.\d{10,}\Z', j):
        yield at
    elif isinstance(j, str) and not isinstance(j, Digits) and j[:1] == '{':
        yield from long_ones(loads(j), at)


def rebuild(fields, at, indent, long, name_at='', depth=0):
    """The data of a mapping that reads every field by its type."""
    out = ''
    for key, f in fields.items():
        name = key.rstrip('?')
        if not re.match(r'[A-Za-z_$][\w$-]*\Z', name):
            continue
        path, pad, here = at + step(name), '  ' * indent, f'{name_at}.{name}'
        f = {'type': f} if isinstance(f, str) else f
        if 'fields' in f:
            out += f'{pad}{name}?:\n{pad}  when: has({path})\n' + rebuild(f['fields'], path, indent + 1, long, here, depth)
        elif 'items' in f:
            v = f'x{depth}'
            out += f'{pad}{name}?:\n{pad}  each: {v} in {path}\n{pad}  item:\n' + rebuild(f['items'], v, indent + 2, long, here, depth + 1)
        else:
            out += f'{pad}{name}?: ' + (f'"{{{path}}}"' if here in long else path) + '\n'
    return out or f'{"  " * indent}"none?": null\n'


def pairs(came, went, fields, at=''):
    """Numbers that came and went, of every field that the schema calls one."""
    for key, f in fields.items():
        name = key.rstrip('?')
        j = came.get(name) if isinstance(came, dict) else None
        if j in (None, '') or not re.match(r'[A-Za-z_$][\w$-]*\Z', name):
            continue
        f = {'type': f} if isinstance(f, str) else f
        k = went.get(name) if isinstance(went, dict) else None
        if isinstance(f, dict) and f.get('json') and isinstance(j, str):
            j = loads(j)
        if 'fields' in f:
            yield from pairs(j, k, f['fields'], f'{at}.{name}')
        elif 'items' in f:
            for n, one in enumerate(j):
                yield from pairs(one, k[n], f['items'], f'{at}.{name}[{n + 1}]')
        elif f.get('type') in ('decimal', 'integer'):
            yield f'{at}.{name}', j, k
        elif f.get('type') == 'text' and isinstance(j, Digits):
            yield f'{at}.{name}', j, k


@pytest.mark.parametrize('folder, least, money', [
    ('woocommerce', 15, 'total'), ('live/woocommerce', 4, 'total'), ('shopify', 2, 'total_price'),
    ('live/vendure', 2, 'totalWithTax'), ('zettle', 1, 'payload.amount')])
def test_orders_are_learnt_and_keep_their_digits(tmp_path, folder, least, money):
    found = orders(folder)
    assert len(found) >= least, f'{len(found)} orders in {folder}'
    name = folder.split('/')[-1]
    samples = []
    for n, one in enumerate(found):
        samples.append(tmp_path / f'{n}.json')
        samples[-1].write_text(dumps(one))
    out = subprocess.run([str(VAYLA), 'map', 'learn', f'{name}.order', *map(str, samples)], capture_output=True, timeout=60)
    assert out.returncode == 0, out.stderr.decode()
    schema = out.stdout.decode()
    fields = yaml.load(schema, Core)['fields']
    long = {p for one in found for p in long_ones(one)}
    file = a_pack(tmp_path, name, schema, '      all:\n' + rebuild(fields, '$in', 4, long))
    checked, seen = 0, set()
    for came, went in zip(found, run(file, found), strict=True):
        for path, j, k in pairs(came, went['all'], fields):
            assert str(j) == str(k), f'{folder}: {path} came as {j} and went as {k}'
            checked += 1
            seen.add(path.lstrip('.'))
    assert money in seen
    assert checked >= 8 * len(found), f'{checked} numbers of {len(found)} orders'
    print(f'{folder}: {len(found)} orders, {checked} numbers, {len(seen)} fields')
