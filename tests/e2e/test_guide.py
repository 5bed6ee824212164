"""The guide's first way, done as it stands in mappings/README.md: its files, its
commands, in a folder of its own."""
import json
import os
import re
import shutil
import subprocess

import pytest

from test_map_verbs import ROOT, VAYLA

GUIDE = (ROOT / 'mappings/README.md').read_text()


def way():
    return re.search(r'(?ms)^## From nothing: .*?(?=^## )', GUIDE)[0]


def blocks(kind):
    return [text for k, text in re.findall(r'(?ms)^```(\w*)\n(.*?)^```$', way()) if k == kind]


@pytest.fixture
def home(tmp_path):
    shutil.copytree(ROOT / 'mappings/canonical', tmp_path / 'mappings/canonical')
    (tmp_path / 'build').mkdir()
    (tmp_path / 'build/vayla').symlink_to(VAYLA)
    (tmp_path / 'stock.csv').write_text(blocks('csv')[0])
    return tmp_path


def sh(home, commands):
    out = subprocess.run(['sh', '-e', '-c', commands], cwd=home, capture_output=True, text=True, timeout=60,
                         env={'PATH': os.environ['PATH'], 'VAYLA_PACKS': str(home / 'mappings')})
    assert out.returncode == 0, out.stdout + out.stderr
    return out.stdout


def test_from_nothing_to_a_tested_mapping(home):
    for text in blocks('yaml'):
        file = home / re.match(r'# (\S+)\n', text)[1]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    learn, check = blocks('')
    assert '"Saldo":"12"' in sh(home, learn)
    schema = home / 'mappings/mywarehouse/schema/mywarehouse.row.yaml'
    draft = schema.read_text()
    assert '  Hylly?: text\n' in draft and '  Saldo: text\n' in draft
    schema.write_text(draft.replace('Saldo: text', 'Saldo: decimal'))
    said = sh(home, check)
    assert '1 mapping, 0 with faults, 0 warnings' in said and '3 passed, 0 failed' in said
    rows = [json.loads(line) for line in said.splitlines() if line.startswith('{')]
    assert [(e['data']['sku'], e['data']['location'], e['data']['on_hand']) for r in rows for e in r['events']] == [
        ('MUG-BLUE', 'A1', 12), ('COF-500', 'B2', 0), ('TEE-1', 'warehouse', 3.5)]


def test_its_pack_and_system_hold_together(home):
    test_from_nothing_to_a_tested_mapping(home)
    (home / 'vayla.yaml').write_text('broker: {packs: mappings}\nsystems:\n  ' + re.search(r'`(warehouse: \{.*?\})`', way())[1] + '\n')
    assert '1 systems, 1 mappings in use' in sh(home, 'build/vayla check vayla.yaml')


def test_rows_that_cannot_be_read_are_named(home):
    for text in blocks('yaml')[:1]:
        (home / 'mappings/mywarehouse').mkdir()
        (home / 'mappings/mywarehouse/pack.yaml').write_text(text)
    (home / 'stock.csv').write_text('Tuotekoodi;Saldo\nA;1;2\nB;3\n')
    out = subprocess.run([str(VAYLA), 'map', 'rows', 'mywarehouse', 'stock.csv'], cwd=home, capture_output=True, text=True, timeout=30,
                         env={'VAYLA_PACKS': str(home / 'mappings')})
    assert out.returncode == 1 and out.stdout == '{"Tuotekoodi":"B","Saldo":"3"}\n'
    assert out.stderr.startswith('stock.csv: line 2')
    for words in (['nopack', 'stock.csv'], ['mywarehouse', 'none.csv']):
        out = subprocess.run([str(VAYLA), 'map', 'rows', *words], cwd=home, capture_output=True, text=True, timeout=30,
                             env={'VAYLA_PACKS': str(home / 'mappings')})
        assert out.returncode == 1 and words[0 if words[0] == 'nopack' else 1] in out.stderr


@pytest.mark.parametrize('text,stdout,stderr', [
    # what the connector refuses of a row is said here as well
    ('Tuotekoodi;Saldo;Hylly\nA;1;x\nA;2;y\nA;3;x\n;4;z\nB;5;\n',
     ['A', 'A', 'B'], ['line 4: "A:x" stands in this file before; the first one counts', 'line 5: id']),
    # a title above the heading, as spreadsheets fill it up with separators
    ('Varastolista 22.11.2026;;\nTuotekoodi;Saldo;Hylly\nA;1;x\n',
     [], ['line 2, column 2: it has 3 columns, the heading (line 1) has 1; when that line is a title, delete it',
          'line 3, column 2: it has 3 columns']),
])
def test_rows_that_the_connector_would_refuse(home, text, stdout, stderr):
    (home / 'mappings/mywarehouse').mkdir()
    (home / 'mappings/mywarehouse/pack.yaml').write_text(blocks('yaml')[0])
    (home / 'stock.csv').write_text(text)
    out = subprocess.run([str(VAYLA), 'map', 'rows', 'mywarehouse', 'stock.csv'], cwd=home, capture_output=True, text=True, timeout=30,
                         env={'VAYLA_PACKS': str(home / 'mappings')})
    assert out.returncode == 1 and [json.loads(line)['Tuotekoodi'] for line in out.stdout.splitlines()] == stdout
    said = out.stderr.splitlines()
    assert len(said) == len(stderr) and all(s.startswith(f'stock.csv: {why}') for s, why in zip(said, stderr)), said
