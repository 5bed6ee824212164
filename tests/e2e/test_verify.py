"""`vayla verify` names each kind of damage, with the file and where in it."""
import pathlib
import shutil
import sqlite3
import struct
import subprocess

import msgpack
import pytest
import toybroker
from harness import PROGRAM, ROOT, until
from toybroker import order, payment

TABLE = []
for i in range(256):
    for _ in range(8):
        i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
    TABLE.append(i)


def crc32c(crc, data):
    crc ^= 0xffffffff
    for b in data:
        crc = TABLE[(crc ^ b) & 255] ^ crc >> 8
    return crc ^ 0xffffffff


def frames(seg):
    """[(offset, length, count, first)] and where they end, from JOURNAL.md alone."""
    data, at, found = seg.read_bytes(), 64, []
    while at + 32 <= len(data):
        length, count, first = struct.unpack_from('<IIQ', data, at)
        if count == 0:
            break
        found.append((at, length, count, first))
        at += (32 + length + 7) // 8 * 8
    return found, at


def append(seg, first, *records):
    """A good frame of these (kind, body) behind the last one."""
    with open(seg, 'r+b') as f:
        salt = f.read(64)[48:56]
        _, end = frames(seg)
        body = b''.join(struct.pack('<BI', k, len(b)) + b
                        for k, b in ((k, msgpack.packb(m)) for k, m in records))
        head = struct.pack('<IIQqI', len(body), len(records), first, 1, 0)
        f.seek(end)
        f.write(head + struct.pack('<I', crc32c(crc32c(crc32c(0, salt), head), body)) + body + bytes(-len(body) % 8))
    return end


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """A journal with all kinds of records, and its broker gone."""
    folder = tmp_path_factory.mktemp('whole')
    b = toybroker.Broker(folder)
    try:
        b.start()
        c, books = b.client('shop', 'connector'), b.client('books', 'connector')
        op = b.client('cli', 'operator')
        books.subscribe()
        for i in range(30):
            c.publish(payment(f'p{i}', f'n{i}'), order(f'n{i}'))
        c.publish(payment('odd', 'n1', method='odd'))
        for _ in range(20):
            books.settle(books.delivery()[0]['seq'])
        op.act('pause', system='books')
        until(lambda: op.ask('status')['counts']['ask'] == 1)
        assert b.stop() == 0
    finally:
        b.close()
    seg = segment(folder / 'data')
    with open(seg, 'r+b') as f:         # small copies: zeros behind the end mean nothing
        f.truncate(frames(seg)[1])
    (folder / 'data' / 'log' / 'reserve').unlink()
    return folder / 'data'


@pytest.fixture
def data(whole, tmp_path):
    shutil.copytree(whole, tmp_path / 'data')
    return tmp_path / 'data'


def segment(data):
    seg, = (data / 'log').glob('*.seg')
    return seg


def verify(data):
    """(exit status, what it says)"""
    r = subprocess.run([str(PROGRAM), 'verify', str(data)], cwd=ROOT, text=True, timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return r.returncode, r.stdout


def found(data, *words):
    status, said = verify(data)
    assert status == 1, said
    for w in words:
        assert w in said, said
    before = {p: p.read_bytes() for p in data.rglob('*') if p.is_file() and 'index' not in p.name}
    verify(data)
    assert before == {p: p.read_bytes() for p in before}, 'it changes nothing'
    return said


def test_nothing_wrong(data):
    status, said = verify(data)
    assert status == 0 and 'are whole' in said, said


def test_a_byte(data):
    seg = segment(data)
    at, length, *_ = frames(seg)[0][3]
    with open(seg, 'r+b') as f:
        f.seek(at + 32 + length // 2)
        b = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([b[0] ^ 4]))
    found(data, f'log/{seg.name}, offset {at}: a damaged frame')


def test_a_segments_head(data):
    seg = segment(data)
    with open(seg, 'r+b') as f:
        f.seek(20)
        f.write(b'\x07')
    found(data, f'log/{seg.name}, offset 0:', 'head is damaged')


def test_a_sequence(data):
    seg = segment(data)
    last = frames(seg)[0][-1]
    at = append(seg, last[3] + last[2] + 5, (3, {'act': 'pause', 'by': 'x', 'system': 'books'}))
    found(data, f'offset {at}: sequence {last[3] + last[2] + 5} stands where {last[3] + last[2]} belongs')


def test_a_record(data):
    seg = segment(data)
    last = frames(seg)[0][-1]
    at = append(seg, last[3] + last[2], (1, {'id': 'x'}))
    found(data, f'log/{seg.name}, offset {at}: record {last[3] + last[2]}:')


@pytest.mark.parametrize('record, says', [
    ((1, {'id': 'x', 'source': 'shop', 'type': 'a.b', 'subject': 'a:shop/1', 'causationid': 999}), 'cause is record 999'),
    ((1, {'id': 'x', 'source': 'shop', 'type': 'a.b', 'subject': 'a:shop/1', 'reads': [998]}), 'reading is record 998'),
    ((1, {'id': 'x', 'source': 'shop', 'type': 'a.b', 'subject': 'a:shop/1', 'ruleset': b'12345678'}),
     'ruleset 3132333435363738 is not in rulesets/'),
    ((1, {'id': 'x', 'source': 'shop', 'type': 'a.b', 'subject': 'a:shop/1', 'sealed': b'\0\0\1\0' + bytes(40)}),
     'sealed under slot 65536'),
    ((2, {'sub': 'books', 'seq': 997, 'verdict': 'ok'}), 'delivery is record 997'),
    ((2, {'sub': 'books', 'seq': 1, 'verdict': 'ok'}), 'delivery is record 1, which is no event'),
    ((4, {'sub': 'books', 'seq': 996, 'what': 'wait'}), 'event is record 996')])
def test_what_a_record_names(data, record, says):
    seg = segment(data)
    last = frames(seg)[0][-1]
    next = last[3] + last[2]
    at = append(seg, next, record)
    found(data, f'log/{seg.name}, offset {at}: record {next}: ', says)


def test_a_journal_cut_short(data):
    seg = segment(data)
    at = frames(seg)[0][-3][0]
    with open(seg, 'r+b') as f:
        f.truncate(at)
    found(data, 'index.db: knows record', f'the journal ends with {frames(seg)[0][-1][3]}')


def test_rulesets(data):
    path, = (data / 'rulesets').iterdir()
    text = path.read_bytes()
    path.write_bytes(text[:-1] + bytes([text[-1] ^ 1]))
    found(data, f'rulesets/{path.name}: its content is another')
    path.unlink()
    said = found(data, 'is not in rulesets/')
    assert said.count('is not in rulesets/') == 1, 'said once'


def test_keys(data):
    keys = data / 'keys'
    with open(keys, 'r+b') as f:
        f.truncate(64 + 32 * 3)
    found(data, 'keys has 3: it is older than the journal')
    keys.unlink()
    status, said = verify(data)
    assert status == 0 and 'keys: there is none here' in said


@pytest.mark.parametrize('table', ['fact', 'at', 'ref', 'dep', 'about', 'item', 'system', 'slot', 'bloom'])
def test_the_index(data, table):
    db = sqlite3.connect(data / 'index.db')
    if db.execute(f'SELECT count(*) FROM {table}').fetchone()[0] == 0:
        raise AssertionError(f'{table} is empty: the story has nothing for it')
    db.execute(f'DELETE FROM {table}')
    db.commit()
    db.close()
    found(data, 'facts that the filters deny' if table == 'bloom' else f'index.db: table {table}: ')


def test_the_index_has_more_than_the_journal(data):
    db = sqlite3.connect(data / 'index.db')
    db.execute("INSERT INTO about VALUES(1, 2)")
    db.commit()
    db.close()
    found(data, 'table about: 1 rows that the journal does not give')


def test_the_indexs_pages(data):
    db = sqlite3.connect(data / 'index.db')
    db.execute('PRAGMA wal_checkpoint(TRUNCATE)')
    root, = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'item_subject'").fetchone()
    size, = db.execute('PRAGMA page_size').fetchone()
    db.close()
    with open(data / 'index.db', 'r+b') as f:
        f.seek((root - 1) * size + 3)
        f.write(b'\xff\xff\xff\xff\xff')
    found(data, 'index.db: ')


def test_no_journal_and_a_busy_one(tmp_path, whole):
    assert verify(tmp_path)[0] == 4
    b = toybroker.Broker(tmp_path)
    try:
        b.start()
        status, said = verify(pathlib.Path(tmp_path) / 'data')
        assert status == 75 and 'in use' in said
    finally:
        b.close()
