"""Files that are no lists: a statement in XML, an interchange of EDIFACT, JSON. Each
becomes events by the schema of its type; what can not be read stands in refused/
with its reason, and nothing is lost or taken twice."""
import shutil

import pytest

from harness import ROOT, until

PACK = """pack: papers/1
title: Documents in folders
settings:
  folder: {type: path, required: true}
pick:
  - name: statements
    folder: "{$settings.folder}/xml"
    document: xml
    complete: rename
    every: 1s
    event: {type: papers.statement, id: Doc.Id, subject: "bank:{Doc.Id}"}
  - name: scans
    folder: "{$settings.folder}/edi"
    document: edifact
    complete: rename
    every: 1s
    event: {type: papers.scan, id: "{UNH[1][1]}", subject: "parcel:{UNH[1][1]}"}
  - name: notes
    folder: "{$settings.folder}/json"
    document: json
    complete: rename
    every: 1s
    event: {type: papers.note, id: number, subject: "order:{number}"}
"""
SCHEMAS = {
    'papers.statement': 'Doc: {fields: {Id: text, Row?: {many: true, fields: {Amt: {fields: {$Ccy: text, $: decimal}}}}}}',
    'papers.scan': 'UNB: {list: {list: text}}\n  UNH: {list: {list: text}}\n  CNI?: {items: {CNI: {list: {list: text}}, STS?: {list: {list: text}}}}',
    'papers.note': 'number: text'}


@pytest.fixture
def v(vayla, tmp_path):
    packs, folder = tmp_path / 'packs', tmp_path / 'in'
    shutil.copytree(ROOT / 'mappings' / 'canonical', packs / 'canonical')
    (packs / 'papers' / 'schema').mkdir(parents=True)
    (packs / 'papers' / 'pack.yaml').write_text(PACK)
    for type, fields in SCHEMAS.items():
        (packs / 'papers' / 'schema' / f'{type}.yaml').write_text(f'schema: {type}/1\ntitle: {type}\nopen: true\nfields:\n  {fields}\n')
    v = vayla({'papers': {'use': 'papers', 'folder': str(folder), 'mode': 'live'}}, {'packs': str(packs)}).start()
    v.folder = folder
    until(lambda: (folder / 'json').is_dir(), 10)
    return v


def drop(v, where, name, text):
    part = v.folder / where / (name + '.part')
    part.write_bytes(text if isinstance(text, bytes) else text.encode())
    part.rename(v.folder / where / name)


def types(v):
    return v.status()['types']


def test_each_document_becomes_what_it_says(v):
    drop(v, 'xml', 'a.xml', '<?xml version="1.0" encoding="iso-8859-1"?><Doc><Id>S1</Id><Row><Amt Ccy="EUR">1.50</Amt></Row></Doc>')
    drop(v, 'edi', 'b.edi', b"UNB+UNOC:3+S+R'UNH+7+X'CNI+1'STS+1'CNI+2'UNT'UNH+8+X'UNT'UNZ+2+1'")
    drop(v, 'json', 'c.json', '[{"number": "1"}, {"number": "2"}, {"what": 3}]')
    until(lambda: (types(v).get('papers.statement'), types(v).get('papers.scan'), types(v).get('papers.note')) == (1, 2, 2), 20)
    until(lambda: (v.folder / 'json' / 'done' / 'c.json').exists(), 10)
    assert (v.folder / 'xml' / 'done' / 'a.xml').exists() and (v.folder / 'edi' / 'done' / 'b.edi').exists()
    # the item without a number is told, and the whole file is beside it
    assert 'item 3: ' in (v.folder / 'json' / 'refused' / 'c.json.reason.txt').read_text()
    assert '"what"' in (v.folder / 'json' / 'refused' / 'c.json').read_text()
    # the same file again is the same events
    drop(v, 'edi', 'b.edi', (v.folder / 'edi' / 'done' / 'b.edi').read_bytes())
    until(lambda: not (v.folder / 'edi' / 'b.edi').exists(), 10)


@pytest.mark.parametrize('where,name,text,why', [
    ('xml', 'x.xml', '<Doc><Id>1</Doc>', 'breaks off at line 1'),
    ('xml', 'x.xml', '<Doc><Id>1</Id><Id>2</Id></Doc>', 'say many: true'),
    ('xml', 'x.xml', '<!DOCTYPE a [<!ENTITY b "c">]><Doc><Id>&b;</Id></Doc>', 'entities could name files'),
    ('edi', 'x.edi', "UNB+UNOA:1'UNH+1'FTX+x", 'is not ended'),
    ('json', 'x.json', '{"number": ', 'line 1')])
def test_what_can_not_be_read_is_refused_with_its_reason(v, where, name, text, why):
    drop(v, where, name, text)
    reason = v.folder / where / 'refused' / f'{name}.reason.txt'
    kept = v.folder / where / 'refused' / name
    until(lambda: reason.exists() and kept.exists(), 10)
    assert why in reason.read_text() and kept.read_text() == text
    assert not any(t.startswith('papers.') for t in types(v))
