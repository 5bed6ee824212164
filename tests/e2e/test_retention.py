"""broker.retention: what nothing needs goes, what is open pins its own segment, and index,
verify, backup and status follow."""
import subprocess

import toybroker
from harness import PROGRAM, ROOT, until
from toybroker import order
from vyclient import No

BIG = 'x' * 900_000             # 75 orders fill a segment


def vayla(b, *words):
    r = subprocess.run([str(PROGRAM), *map(str, words)], cwd=ROOT, text=True, timeout=120,
                       env={'VAYLA_CONFIG': str(b.file), 'PATH': '/usr/bin:/bin'},
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert r.returncode == 0, r.stdout
    return r.stdout


def fill(b, books, name):
    """A segment of orders, each delivered."""
    c = b.client('shop', 'connector')
    for i in range(80):
        c.publish(order(f'{name}{i}', ref=BIG), seconds=30)
    for _ in range(80):
        books.settle(books.delivery()[0]['seq'])


def test_old_segments_go_and_open_work_stays(tmp_path):
    b = toybroker.Broker(tmp_path)
    copy = tmp_path / 'copy'
    try:
        b.start()
        c, books = b.client('shop', 'connector'), b.client('books', 'connector')
        books.subscribe(window=500)
        c.publish(order('stuck'))
        stuck = books.delivery()[0]['seq']
        books.settle(stuck, 'reject', text='no such account')
        fill(b, books, 'a')
        fill(b, books, 'b')
        fill(b, books, 'c')
        vayla(b, 'backup', copy)
        op = b.client('cli', 'operator')
        before = op.ask('status')
        assert before['journal']['segments'] >= 4 and 'retention' not in before
        assert b.stop() == 0

        b.config['broker']['retention'] = {'size': '1MiB'}
        b.start()
        op = b.client('cli', 'operator')
        s = until(lambda: (s := op.ask('status')) and s['retention']['trimmed'] >= 2 and s, 30)
        assert s['retention']['pinned'] == 1
        assert s['retention']['pins'][0]['items'] == 1 and s['retention']['gone'] > 400
        assert s['journal']['bytes'] < before['journal']['bytes'] / 2
        assert s['counts']['parked'] == 1 and s['counts']['settled'] == 240
        said = vayla(b, 'status')
        assert '1 past their time are pinned' in said and '1 open' in said
        # what went is gone, what is parked is there with its reason and goes on
        gone = s['retention']['pins'][0]['next'] + 5
        try:
            op.ask('event', seq=gone)
            raise AssertionError('it is still there')
        except No as no:
            assert no.code == 'NOTFOUND' and 'retention' in no.text
        assert op.ask('event', seq=stuck)['kind'] == 'event'
        item, = op.ask('open', sub='books')['items']
        assert item['text'] == 'no such account'
        plan = op.ask('plan', sub='map:books/toybooks.note', after=0)
        assert plan['looked'] >= 1
        op.act('retry', sub='books', seq=stuck)
        c, books = b.client('shop', 'connector'), b.client('books', 'connector')
        books.subscribe()
        assert books.delivery()[0]['seq'] == stuck
        books.settle(stuck)
        c.publish(order('fresh'))
        h, e = books.delivery()
        assert e['subject'] == 'note:books/fresh'
        books.settle(h['seq'])
        # the copy follows
        assert 'KiB' in vayla(b, 'backup', copy)
        assert b.stop() == 0
        assert 'are whole' in vayla(b, 'verify', b.folder / 'data')
        assert 'are whole' in vayla(b, 'verify', copy)

        # an index made anew delivers nothing again
        for p in (b.folder / 'data').glob('index.db*'):
            p.unlink()
        del b.config['broker']['retention']
        b.start()
        op, books = b.client('cli', 'operator'), b.client('books', 'connector')
        c = op.ask('status')['counts']
        assert c['ready'] + c['retry'] + c['parked'] == 0
        books.subscribe()
        books.quiet()
        assert b.stop() == 0
    finally:
        b.close()


def test_retention_is_read_with_its_units(tmp_path):
    b = toybroker.Broker(tmp_path)
    try:
        for bad in ({'age': '400'}, {'size': '5 kg'}, {'age': '-1d'}, {'years': '2'}):
            b.config['broker']['retention'] = bad
            b.start(wait=False)
            assert b.process.wait(20) != 0 and 'retention' in b.text()
        b.config['broker']['retention'] = {'age': '400d', 'size': '20GiB'}
        b.start()
        s = until(lambda: (s := b.client('cli', 'operator').ask('status')['retention']) and s['segments'] and s)
        assert s['trimmed'] == 0 and s['pinned'] == 0
    finally:
        b.close()
