"""vayla map shadow, deploy, rollback, versions: a new version of a mapping is
tried on what the journal has, taken into use whole or not at all, and taken
back; a restart undoes neither."""
import json
import os
import shutil
import signal
import subprocess
import time

import pytest
import toybroker
from harness import PROGRAM, until
from toybroker import order, payment
from vyclient import No, Silence, decimal


@pytest.fixture
def broker(tmp_path):
    made = []

    def make(**options):
        folder = tmp_path / f'b{len(made)}'
        folder.mkdir()
        made.append(toybroker.Broker(folder, **options))
        return made[-1]
    yield make
    for b in made:
        b.close()
        shutil.rmtree(b.folder / 'data', ignore_errors=True)    # 200 MB of a segment and its spare


class Desk:
    """A person at a terminal beside the broker."""

    def __init__(self, b):
        self.b, self.packs = b, b.folder / 'packs'
        self.posting = self.packs / 'toybooks' / 'posting.map.yaml'
        self.order = self.packs / 'toyshop' / 'order.map.yaml'

    def run(self, *words, **env):
        return subprocess.run([str(PROGRAM), *map(str, words)], text=True, capture_output=True, timeout=60,
                              env={**os.environ, 'VAYLA_CONFIG': str(self.b.file), 'USER': 'anna', **env})

    def shadow(self, *words):
        """(exit, {mapping: its report})"""
        r = self.run('map', 'shadow', *words, '-o', 'json')
        assert r.returncode in (0, 1) and r.stdout, r.stderr
        report = json.loads(r.stdout)
        assert report['differ'] == (r.returncode == 1)
        return r.returncode, {m['map']: m for m in report['mappings']}

    def edit(self, file, *pairs):
        text = file.read_text()
        for old, new in pairs:
            assert old in text, old
            text = text.replace(old, new)
        file.write_text(text)

    def versions(self):
        return json.loads(self.run('map', 'versions', '-o', 'json').stdout)


@pytest.fixture
def desk(broker):
    b = broker().start()
    shop = b.client('shop', 'connector')
    for i in range(4):
        shop.publish(order(i, total='10.00', email=f'person{i}@example.fi'))
        shop.publish(payment(f'a{i}', i, amount='4.50'), payment(f'b{i}', i, amount='5.50'))
    d = Desk(b)
    d.shop = shop
    return d


def field(report, path):
    return next(f for f in report['fields'] if f['path'] == path)


# ---- shadow ----

def test_the_same_version_gives_the_same(desk):
    code, maps = desk.shadow(desk.posting, desk.order)
    assert code == 0
    assert maps['toybooks.posting']['same'] == maps['toybooks.posting']['looked'] == 8
    assert maps['toyshop.order']['same'] == 4
    assert maps['toybooks.posting']['system'] == 'books'
    assert desk.run('map', 'shadow').stdout == 'no mapping that a system uses is concerned\n'


def test_differences_by_field_money_first(desk):
    desk.edit(desk.posting, ('amount: amount', 'amount: amount + 0.01'), ('payment: payment_id', 'payment: upper(payment_id)'))
    code, maps = desk.shadow()
    m = maps['toybooks.posting']
    assert code == 1 and (m['looked'], m['same'], m['differ']) == (8, 0, 8) and set(maps) == {'toybooks.posting'}
    assert [f['path'] for f in m['fields']] == ['amount', 'payment']
    amount = field(m, 'amount')
    assert (amount['events'], amount['old'], amount['new'], amount['difference']) == (8, 40.0, 40.08, 0.08)
    assert amount['examples'][0]['old'] == '4.50' and amount['examples'][0]['new'] == '4.51'
    assert amount['examples'][0]['subject'] == 'order:shop/0' and len(amount['examples']) == 3
    said = desk.run('map', 'shadow').stdout
    assert '40.00 -> 40.08  (+0.08)' in said and said.index('Money') < said.index('Other fields')


def test_joins_read_what_was_read_then(desk):
    """`before` counts the payments of before: a later one must not be seen, and
    an order that is told again later neither."""
    desk.shop.publish(order(0, total='99.00', changed=2))
    code, maps = desk.shadow(desk.posting)
    assert code == 0 and maps['toybooks.posting']['same'] == 8
    desk.edit(desk.posting, ('before: sum(p.amount for p in earlier)', 'before: sum(p.amount for p in earlier) + 1'))
    before = field(desk.shadow(desk.posting)[1]['toybooks.posting'], 'before')
    assert before['difference'] == 8.0 and before['old'] == 18.0


def test_joins_now_is_another_run_and_says_so(desk):
    desk.edit(desk.posting, ('{all: payment.captured, subject: $event.subject}', '{all: order.placed, subject: $event.subject}'),
              ('sum(p.amount for p in earlier)', 'sum(p.changed for p in earlier)'))
    late = payment('late', 77)
    desk.shop.publish(late)         # its order comes later: it waits
    desk.shop.publish(order(77))
    r = desk.run('map', 'shadow', desk.posting, '--joins', 'now')
    assert r.stdout.startswith('Joins read what the journal knows NOW')
    assert desk.run('map', 'shadow', '--joins', 'then').returncode == 2
    m = desk.shadow(desk.posting)[1]['toybooks.posting']
    assert m['looked'] == 9 and m['held'] == 0


def test_held_then_goes_through_now_and_the_reverse(desk):
    desk.shop.publish(payment('g', 1, method='gold'), payment('v', 1, method='bank'))
    desk.edit(desk.posting, ("bank: '1310'", "gold: '1399'"))
    code, maps = desk.shadow()
    m = maps['toybooks.posting']
    assert code == 1 and m['through'] == 1 and m['looked'] == 10
    # the one behind the question stands in line and was not mapped at all
    assert m['pending'] == 1 and m['held'] == 0
    assert m['turned'][0]['what'] == 'through' and "'gold'" in m['turned'][0]['text']
    desk.edit(desk.posting, ("card: '1320', ", ''))
    m = desk.shadow()[1]['toybooks.posting']
    assert m['held'] == 8 and m['through'] == 1
    assert any(t['what'] == 'held' and "'card'" in t['text'] for t in m['turned'])


def test_more_and_fewer_events(desk):
    note = desk.packs / 'toybooks' / 'note.map.yaml'
    desk.edit(note, ('  - type: toybooks.note\n', "  - type: toybooks.note\n    when: number != '2'\n"))
    code, maps = desk.shadow()
    (fewer,) = maps['toybooks.note']['events']
    assert code == 1 and (fewer['type'], fewer['more'], fewer['fewer']) == ('toybooks.note', 0, 1)
    assert fewer['examples'][0]['subject'] == 'order:shop/2'
    desk.edit(note, ("    when: number != '2'\n", ''), ('id: "note"', 'id: "nota"'))
    (both,) = desk.shadow()[1]['toybooks.note']['events']
    assert (both['more'], both['fewer']) == (4, 4)


def test_what_was_known_already_is_no_event_more(desk):
    """Told again with other bytes that come to the same: no record, and no
    difference; with a version that differs there is one for each."""
    again = order(0, total='10.00', changed=1, email='person0@example.fi', ref='x')
    again[1]['id'] = 'order:0:again'
    desk.shop.publish(again)
    code, maps = desk.shadow(desk.order)
    assert code == 0 and maps['toyshop.order']['looked'] == 5 and maps['toyshop.order']['same'] == 5
    desk.edit(desk.order, ('total: total', 'total: total + 1'))
    m = desk.shadow(desk.order)[1]['toyshop.order']
    assert m['differ'] == 5 and m['events'] == [] and field(m, 'total')['events'] == 5


def test_a_new_mapping_has_more_events(desk):
    text = (desk.packs / 'toybooks' / 'note.map.yaml').read_text()
    new = desk.packs / 'toybooks' / 'second.map.yaml'
    new.write_text(text.replace('map: toybooks.note/1', 'map: toybooks.second/1').replace('id: "note"', 'id: "second"'))
    code, maps = desk.shadow()
    assert code == 1 and maps['toybooks.second']['events'][0]['more'] == 4


def test_personal_data_is_masked(desk):
    desk.edit(desk.order, ('email?: email', 'email?: upper(email)'), ('number: number', 'number: "N{number}"'))
    r = desk.run('map', 'shadow')
    assert 'example.fi' not in r.stdout.lower() and '(personal)' in r.stdout and 'N2' in r.stdout
    assert 'PERSON0@EXAMPLE.FI' in desk.run('map', 'shadow', '--unmask').stdout


def test_since_and_type(desk):
    desk.edit(desk.posting, ('amount: amount', 'amount: amount + 0.01'))
    time.sleep(1.1)
    mark = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())
    time.sleep(1.1)
    desk.shop.publish(payment('c', 1))
    m = desk.shadow('--since', mark)[1]['toybooks.posting']
    assert m['looked'] == m['differ'] == 1
    assert desk.shadow('--since', '1h')[1]['toybooks.posting']['looked'] == 9
    assert desk.shadow('--type', 'order.placed')[1]['toybooks.posting']['looked'] == 0
    assert desk.run('map', 'shadow', '--since', 'yesterday').returncode == 2


def test_faults_are_said_by_their_file(desk):
    desk.edit(desk.posting, ('amount: amount', 'amount: amuont'))
    r = desk.run('map', 'shadow')
    assert r.returncode == 1 and 'toybooks/posting.map.yaml:' in r.stderr and 'amount' in r.stderr
    assert '/tmp/vayla' not in r.stderr


def test_it_works_without_the_broker_and_leaves_nothing(desk):
    desk.edit(desk.posting, ('amount: amount', 'amount: amount + 0.01'))
    desk.b.stop()
    before = {p: p.stat().st_mtime_ns for p in (desk.b.folder / 'data').rglob('*') if p.suffix != '.db-shm'}
    own = desk.b.folder / 'tmp'
    own.mkdir()
    r = desk.run('map', 'shadow', TMPDIR=str(own))
    assert r.returncode == 1 and '8 differ' in r.stdout and list(own.iterdir()) == []
    after = {p: p.stat().st_mtime_ns for p in (desk.b.folder / 'data').rglob('*') if p.suffix != '.db-shm'}
    assert {p: t for p, t in after.items() if p.name not in ('index.db-wal', 'index.db-shm')} == \
        {p: t for p, t in before.items() if p.name not in ('index.db-wal', 'index.db-shm')}


# ---- deploy, rollback ----

def last_posting(desk):
    """The last posting's data, as the books get it."""
    books = desk.b.client('books', 'connector')
    books.subscribe(window=64)
    data = None
    while True:
        try:
            header, e = books.delivery(seconds=1)
        except Silence:
            return data
        books.settle(header['seq'])
        if e['type'] == 'toybooks.posting':
            data = e['data']


def test_deploy_takes_into_use_and_a_restart_keeps_it(desk):
    first = desk.versions()['now']
    desk.edit(desk.posting, ('map: toybooks.posting/1', 'map: toybooks.posting/2'), ('amount: amount', 'amount: amount + 1'))
    r = desk.run('map', 'deploy')
    assert r.returncode == 2 and '--yes' in r.stderr and desk.versions()['now'] == first
    r = desk.run('map', 'deploy', '--yes', '--reason', 'a euro more')
    assert r.returncode == 0, r.stderr
    now = desk.versions()
    assert now['now'] != first and now['now'] in r.stdout and now['deployed']
    top = now['versions'][0]
    assert (top['act'], top['by'], top['reason'], top['hash']) == ('deploy', 'anna', 'a euro more', now['now'])
    assert top['files'] == ['toybooks/posting.map.yaml']
    desk.shop.publish(payment('n', 1, amount='7.00'))
    assert last_posting(desk)['amount'] == decimal('8.00')
    # the packs folder is put back: what was deployed stays
    desk.edit(desk.posting, ('toybooks.posting/2', 'toybooks.posting/1'), ('amount: amount + 1', 'amount: amount'))
    said = desk.run('status').stdout
    assert 'deployed by anna' in said and 'toybooks/posting.map.yaml' in said and 'a restart leaves that so' in said
    assert 'deployed by anna' in desk.run('check').stdout
    desk.b.stop()
    desk.b.start()
    assert desk.versions()['now'] == now['now']
    desk.b.kill()
    desk.b.start()
    assert desk.versions()['now'] == now['now']
    shop = desk.b.client('shop', 'connector')
    shop.publish(payment('m', 2, amount='7.00'))
    seq = made(desk, 'toybooks.posting', 'order:shop/2', 3)[2]
    said = desk.run('event', 'get', seq, '--unmask').stdout
    assert 'books/toybooks.posting/2, ruleset ' + now['now'][:16] in said and '8.00' in said


def test_sighup_reads_the_folder_again(desk):
    desk.edit(desk.posting, ('amount: amount', 'amount: amount + 1'))
    assert desk.run('map', 'deploy', '--yes').returncode == 0
    deployed = desk.versions()['now']
    desk.edit(desk.posting, ('amount: amount + 1', 'amount: amount'))
    desk.b.process.send_signal(signal.SIGHUP)
    until(lambda: not desk.versions()['deployed'])
    now = desk.versions()
    assert now['now'] != deployed and now['versions'][0]['act'] == 'reload'
    desk.b.stop()
    desk.b.start()
    assert desk.versions()['now'] == now['now']
    assert 'read from the packs folder' in desk.run('status').stdout


def test_rollback_and_versions(desk):
    first = desk.versions()['now']
    desk.edit(desk.posting, ('amount: amount', 'amount: amount + 1'))
    assert desk.run('map', 'rollback', '--yes').returncode == 4
    assert desk.run('map', 'deploy', '--yes').returncode == 0
    second = desk.versions()['now']
    desk.edit(desk.posting, ('amount: amount + 1', 'amount: amount + 2'))
    assert desk.run('map', 'deploy', '--yes', desk.posting).returncode == 0
    assert desk.run('map', 'rollback').returncode == 2
    r = desk.run('map', 'rollback', '--yes', '--reason', 'two is too much')
    assert r.returncode == 0 and desk.versions()['now'] == second and second in r.stdout
    assert desk.run('map', 'rollback', '--yes', first[:8]).returncode == 0
    assert desk.versions()['now'] == first
    assert desk.run('map', 'rollback', '--yes', 'ffffffff').returncode == 4
    record = next(v for v in desk.versions()['versions'] if v['hash'] == second)['seq']
    assert desk.run('map', 'rollback', '--yes', '--to', record).returncode == 0
    desk.b.stop()
    desk.b.start()
    assert desk.versions()['now'] == second
    said = desk.run('map', 'versions').stdout.splitlines()
    assert said[0].startswith('*') and 'rollback by anna' in said[0] and 'two is too much' in '\n'.join(said)
    assert [v['act'] for v in desk.versions()['versions']] == ['rollback', 'rollback', 'rollback', 'deploy', 'deploy', 'ruleset']


def test_answers_stay_through_a_rollback(desk):
    desk.edit(desk.posting, ('amount: amount', 'amount: amount + 1'))
    assert desk.run('map', 'deploy', '--yes').returncode == 0
    desk.shop.publish(payment('g', 1, method='gold'))
    cli = desk.b.client('cli', 'operator')
    cli.act('answer', system='books', map='toybooks.posting', table='clearing', key='gold', row='1399')
    assert desk.run('map', 'rollback', '--yes').returncode == 0
    desk.shop.publish(payment('h', 2, method='gold'))
    assert cli.ask('status')['counts']['ask'] == 0
    desk.b.stop()
    desk.b.start()
    assert desk.b.client('cli', 'operator').ask('status')['counts']['ask'] == 0


def test_a_question_is_freed_by_a_deploy(desk):
    desk.shop.publish(payment('g', 1, method='gold'))
    cli = desk.b.client('cli', 'operator')
    assert cli.ask('status')['counts']['ask'] == 1
    desk.edit(desk.posting, ("bank: '1310'", "bank: '1310', gold: '1399'"))
    assert desk.run('map', 'deploy', '--yes').returncode == 0
    until(lambda: cli.ask('status')['counts']['ask'] == 0)


def test_deploy_refuses_what_is_wrong(desk):
    first = desk.versions()['now']
    good = desk.posting.read_text()
    desk.edit(desk.posting, ('amount: amount', 'amount: amuont'))
    r = desk.run('map', 'deploy', '--yes')
    assert r.returncode == 1 and 'posting.map.yaml:' in r.stderr
    desk.posting.write_text(good + 'tests:\n  - name: no\n    given: {payment_id: p, method: card, amount: "1"}\n    expect: {amount: "2"}\n')
    r = desk.run('map', 'deploy', '--yes')
    assert r.returncode == 1 and 'tests fail' in r.stderr
    desk.posting.write_text(good)
    r = desk.run('map', 'deploy', '--yes')
    assert r.returncode == 0 and 'nothing to deploy' in r.stdout
    assert desk.run('map', 'deploy', '--yes', desk.packs / 'toybooks' / 'pack.yaml').returncode == 2
    assert desk.run('map', 'deploy', '--yes', '/nonexistent.map.yaml').returncode == 4
    assert desk.versions()['now'] == first and len(desk.versions()['versions']) == 1


@pytest.mark.parametrize('row, code', [
    ([['../../etc/x.map.yaml', b'x']], 'DENIED'), ([['toybooks/pack.yaml', b'x']], 'DENIED'),
    ([['toybooks/../a.map.yaml', b'x']], 'DENIED'), ([['/a.map.yaml', b'x']], 'DENIED'),
    ([['toybooks/posting.map.yaml', b'map: [']], 'CONFIG'), ([['toybooks/posting.map.yaml', 7]], 'SYNTAX'),
    ('x', 'SYNTAX'), ([['toybooks/schema/toybooks.posting.yaml', None]], 'CONFIG'), ([[]], 'SYNTAX')])
def test_a_hostile_deploy_changes_nothing(broker, row, code):
    b = broker().start()
    cli = b.client('cli', 'operator')
    first = cli.ask('versions')['now']
    with pytest.raises(No) as no:
        cli.act('deploy', row=row)
    assert no.value.code == code
    with pytest.raises(No):
        cli.act('rollback', hash=bytes(32))
    assert cli.ask('versions')['now'] == first
    assert [p.name for p in (b.folder / 'data' / 'rulesets').iterdir()] == [first]
    with pytest.raises(No) as no:
        b.client('shop', 'connector').act('deploy', row=[])
    assert no.value.code == 'DENIED'


def test_a_pack_folder_elsewhere_with_a_schema(desk, tmp_path):
    """A working copy: the schema and the mapping that reads it go in together."""
    copy = tmp_path / 'work'
    shutil.copytree(desk.packs, copy)
    schema = copy / 'toyshop' / 'schema' / 'toyshop.payment.yaml'
    schema.write_text(schema.read_text() + '  tip?: decimal\n')
    mapping = copy / 'toyshop' / 'payment.map.yaml'
    mapping.write_text(mapping.read_text().replace('amount: amount\n', 'amount: amount + (tip ?? 0)\n', 1))
    assert desk.run('map', 'shadow', mapping).returncode == 1   # its schema is not named
    assert desk.run('map', 'shadow', copy / 'toyshop').returncode == 0
    r = desk.run('map', 'deploy', '--yes', copy / 'toyshop')
    assert r.returncode == 0, r.stderr
    assert sorted(desk.versions()['versions'][0]['files']) == ['toyshop/payment.map.yaml', 'toyshop/schema/toyshop.payment.yaml']
    # a mapping that is gone from the folder goes
    mapping.unlink()
    assert desk.run('map', 'deploy', '--yes', copy / 'toyshop').returncode == 0
    cli = desk.b.client('cli', 'operator')
    n = cli.ask('status')['counts']['events']
    desk.shop.publish(payment('z', 1))
    assert cli.ask('status')['counts']['events'] == n + 1
    assert desk.run('map', 'rollback', '--yes').returncode == 0
    desk.shop.publish(payment('y', 1))
    assert cli.ask('status')['counts']['events'] == n + 4


def test_killed_in_the_middle(broker):
    """kill -9 around a deployment: at the next start all of it is in force, or
    nothing, and the journal is whole."""
    b = broker().start()
    d = Desk(b)
    text = d.posting.read_text()
    cli = b.client('cli', 'operator')
    olds = {cli.ask('versions')['now']}
    for i in range(12):
        new = text.replace('amount: amount', f'amount: amount + {i + 1}')
        cli.post([3, {'act': 'deploy', 'by': 'anna', 'row': [['toybooks/posting.map.yaml', new.encode()]]}])
        time.sleep(0.002 * i)
        b.kill()
        b.start()
        cli = b.client('cli', 'operator')
        v = cli.ask('versions')
        files = [p for p in (b.folder / 'data' / 'rulesets').iterdir() if p.name.startswith('files.')]
        assert v['now'] in olds or (v['versions'][0]['act'] == 'deploy' and v['deployed'])
        assert len(files) == (1 if v['deployed'] else 0)
        olds.add(v['now'])
    b.stop()
    r = subprocess.run([str(PROGRAM), 'verify', str(b.folder / 'data')], text=True, capture_output=True, timeout=60)
    assert r.returncode == 0, r.stdout + r.stderr


@pytest.mark.parametrize('point', ['deploy_unpacked', 'deploy_kept', 'turn_before_append', 'turn_after_append'])
def test_killed_at_each_step(broker, point):
    """Before the turn is on the disk the old one is in force, after it the new."""
    if b'VAYLA_FAILPOINT' not in PROGRAM.read_bytes():
        pytest.skip('built without -DVAYLA_FAILPOINTS')
    b = broker().start()
    d = Desk(b)
    first = d.versions()['now']
    b.stop()
    b.start(env={'VAYLA_FAILPOINT': f'{point}:1'})
    shutil.copytree(d.packs, b.folder / 'work')
    file = b.folder / 'work' / 'toybooks' / 'posting.map.yaml'
    d.edit(file, ('amount: amount', 'amount: amount + 1'))
    assert d.run('map', 'deploy', '--yes', file).returncode != 0
    assert b.process.wait(20) == -9
    b.start()
    v = d.versions()
    assert v['deployed'] == (v['now'] != first) == (point == 'turn_after_append')
    assert len([p for p in (b.folder / 'data' / 'rulesets').iterdir() if p.name.startswith('files.')]) == v['deployed']
    b.stop()
    r = subprocess.run([str(PROGRAM), 'verify', str(b.folder / 'data')], text=True, capture_output=True, timeout=60)
    assert r.returncode == 0, r.stdout + r.stderr


def test_no_room_for_it(broker):
    """The folder of rulesets cannot be written: the old one stays in force."""
    if os.geteuid() != 0:
        pytest.skip('mounting a small disk needs root')
    b = broker()
    rulesets = b.folder / 'data' / 'rulesets'
    rulesets.mkdir(parents=True)
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'none', str(rulesets)], capture_output=True).returncode:
        pytest.skip('no tmpfs to be had here')
    try:
        b.start()
        d = Desk(b)
        first = d.versions()['now']
        d.edit(d.posting, ('amount: amount', 'amount: amount + 1'))
        (rulesets / 'filler').write_bytes(bytes(40 * 1024))
        r = d.run('map', 'deploy', '--yes')
        assert r.returncode != 0 and 'No space' in r.stderr, r.stderr
        assert d.versions()['now'] == first
        b.client('shop', 'connector').publish(order(1))
        (rulesets / 'filler').unlink()
        assert d.run('map', 'deploy', '--yes').returncode == 0
        b.stop()
    finally:
        b.close()
        subprocess.run(['umount', str(rulesets)], check=True)


def test_a_deployed_ruleset_that_is_lost(desk):
    """Nothing starts on a guess; --files is the way out, and is recorded."""
    desk.edit(desk.posting, ('amount: amount', 'amount: amount + 1'))
    assert desk.run('map', 'deploy', '--yes').returncode == 0
    now = desk.versions()['now']
    desk.b.stop()
    file = desk.b.folder / 'data' / 'rulesets' / now
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    desk.b.start(wait=False)
    assert desk.b.process.wait(20) != 0 and 'is damaged' in desk.b.text()
    file.unlink()
    desk.b.start(wait=False)
    assert desk.b.process.wait(20) != 0 and 'restore it from a backup' in desk.b.text()
    log = open(desk.b.log, 'ab')
    desk.b.process = subprocess.Popen([str(PROGRAM), 'broker', '--files', str(desk.b.file)], stdout=log, stderr=log)
    log.close()
    v = desk.b.client('cli', 'operator').ask('versions')
    assert not v['deployed'] and v['versions'][0]['act'] == 'reload'


# ---- event explain ----

def known(cli, subject, kind):
    """The events of a type at a subject; none while the index does not know it."""
    try:
        return [r for r in cli.ask('timeline', subject=subject)['records'] if r.get('type') == kind]
    except No as no:
        assert no.code == 'NOTFOUND'
        return []


def made(desk, kind, subject, n):
    """Their sequences, once there are n."""
    cli = desk.b.client('cli', 'operator')
    found = until(lambda: (lambda r: r if len(r) >= n else None)(known(cli, subject, kind)))
    cli.close()
    return [r['seq'] for r in found]


def test_an_event_is_explained_as_it_was(desk):
    """By the ruleset of then, with joins that see what was there then."""
    second = made(desk, 'toybooks.posting', 'order:shop/1', 2)[1]
    before = desk.run('event', 'explain', second, '--unmask').stdout
    ruleset = desk.versions()['now'][:16]
    assert before.startswith(f'made by books/toybooks.posting/1, ruleset {ruleset}, from event ')
    assert 'OTHER BYTES' not in before
    assert 'toybooks.posting: before: 4.50 <- sum(p.amount for p in earlier)' in before
    assert "table clearing, row 'card' = '1320' (pack)" in before and 'order.number = ' in before
    # later payments, a later order and another version change nothing of it
    desk.shop.publish(payment('c', 1), order(1, total='99.00', changed=7))
    desk.edit(desk.posting, ('before: sum(p.amount for p in earlier)', 'before: 0 - sum(p.amount for p in earlier)'))
    assert desk.run('map', 'deploy', '--yes').returncode == 0
    again = desk.run('event', 'explain', second, '--unmask').stdout
    strip = [line.split(' (')[0] for line in before.splitlines() if '/packs/' not in line]
    assert [line.split(' (')[0] for line in again.splitlines() if '/packs/' not in line] == strip
    assert 'order.total = 10.00' in again and 'OTHER BYTES' not in again
    lines = desk.run('event', 'explain', second, '--unmask', '-o', 'json').stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    assert rows[0]['event'] == 'toybooks.posting' and any(r.get('path') == 'toybooks.posting: before' for r in rows)


def test_what_cannot_be_explained_says_why(desk):
    posting = made(desk, 'toybooks.posting', 'order:shop/1', 1)[0]
    native = made(desk, 'toyshop.payment', 'order:shop/1', 1)[0]
    r = desk.run('event', 'explain', posting)
    assert r.returncode == 77 and '--unmask' in r.stderr and r.stdout == ''
    r = desk.run('event', 'explain', native, '--unmask')
    assert r.returncode == 1 and 'no mapping made it' in r.stderr
    assert desk.run('event', 'explain', '99999', '--unmask').returncode == 4
    assert desk.run('event', 'explain', 'x').returncode == 2
    (desk.b.folder / 'data' / 'rulesets' / desk.versions()['now']).rename(desk.b.folder / 'lost')
    r = desk.run('event', 'explain', posting, '--unmask')
    assert r.returncode == 4 and 'restore it from a backup' in r.stderr


def test_erased_persons_are_not_compared(desk):
    """Their keys are overwritten, as an erasure does it."""
    placed = made(desk, 'order.placed', 'order:shop/1', 1)[0]
    desk.b.stop()
    keys = desk.b.folder / 'data' / 'keys'
    raw = bytearray(keys.read_bytes())
    raw[96:] = bytes(len(raw) - 96)
    keys.write_bytes(raw)
    desk.edit(desk.posting, ('amount: amount', 'amount: amount + 1'))
    code, maps = desk.shadow()
    m = maps['toybooks.posting']
    # what a payment says is open, so it is evaluated; what it came to was
    # sealed whole: it differs, and nobody can say how
    assert code == 0 and m['looked'] == m['erased'] == 8 and m['fields'] == []
    code, maps = desk.shadow(desk.order)
    m = maps['toyshop.order']
    assert code == 0 and m['erased'] == m['looked'] == 4 and m['differ'] == 0
    assert '4 are of erased persons' in desk.run('map', 'shadow', desk.order).stdout
    r = desk.run('event', 'explain', placed, '--unmask')
    assert r.returncode == 1 and 'erased' in r.stderr


def test_a_system_added_after_a_deploy(desk):
    """Its pack is no part of what was deployed: it comes from the packs folder;
    and so does every pack.yaml."""
    desk.edit(desk.posting, ('amount: amount', 'amount: amount + 1'))
    assert desk.run('map', 'deploy', '--yes').returncode == 0
    deployed = desk.versions()['now']
    shutil.copytree(desk.packs / 'toyshop', desk.packs / 'kiosk')
    for file in (desk.packs / 'kiosk').rglob('*.yaml'):
        file.write_text(file.read_text().replace('toyshop', 'kiosk'))
        file.rename(file.with_name(file.name.replace('toyshop', 'kiosk')))
    desk.b.stop()
    desk.b.config['systems']['kiosk'] = {'use': 'kiosk'}
    desk.b.start()
    v = desk.versions()
    assert v['deployed'] and v['now'] != deployed and v['versions'][0]['act'] == 'ruleset'
    kiosk = desk.b.client('kiosk', 'connector')
    e = order(5)
    e[1].update(source='kiosk', type='kiosk.order')
    kiosk.publish(e)
    cli = desk.b.client('cli', 'operator')
    assert until(lambda: known(cli, 'order:kiosk/5', 'order.placed'))
    # what was deployed is what it was
    assert 'nothing to deploy' in desk.run('map', 'deploy', '--yes', desk.posting).stdout
    assert desk.run('map', 'shadow').stdout == 'no mapping that a system uses is concerned\n'


# ---- the packs of the house ----

def test_a_real_journal_and_unchanged_packs_part_in_nothing(vayla, tmp_path):
    """Orders that change, come late and in parts, refunds, payments before their
    order: as they are now, the packs give what was recorded, to the byte."""
    from harness import ROOT
    from shop import send_callback, send_order, shop_order, total_cents
    v = vayla({'shop': {'use': 'woocommerce', 'webhook_secret': 's'}, 'payments': {'use': 'paytrail', 'of': 'shop', 'secret': 'p'},
               'books': {'use': 'ledger', 'mode': 'live', 'folder': str(tmp_path / 'books')}})
    v.start()
    for number in range(700, 712):
        first = shop_order(number, modified='2026-03-02T09:21:10')
        total = total_cents(first)
        if number % 3 == 0:                                     # the money comes first: it waits
            assert send_callback(v, 'p', number, total, f'tx-{number}')[0] == 200
        assert send_order(v, 's', first)[0] == 200
        if number % 3 == 1:                                     # in two parts
            for part, cents in (('a', total // 2), ('b', total - total // 2)):
                assert send_callback(v, 'p', number, cents, f'tx-{number}{part}')[0] == 200
        if number % 4 == 2:                                     # edited, then told again as it was
            later = shop_order(number, modified='2026-03-02T10:00:00', customer_note='Ring twice')
            assert send_order(v, 's', later)[0] == 200
            assert send_order(v, 's', first)[0] == 200
        if number % 5 == 0:
            assert send_callback(v, 'p', number, 100, f'odd-{number}', status='fail')[0] == 200
    v.settled(60)
    folders = [ROOT / 'mappings' / p for p in ('woocommerce', 'paytrail', 'ledger')]
    r = v.command('map', 'shadow', *folders, '-o', 'json', check=False)
    report = json.loads(r.stdout)
    assert r.returncode == 0, r.stdout
    looked = {m['map']: m['looked'] for m in report['mappings']}
    assert looked['woocommerce.order'] >= 15 and looked['ledger.payment-captured'] >= 8
    for m in report['mappings']:
        assert m['same'] == m['looked'] and m['unknown'] == m['pending'] == 0, m
    # and one cent of difference in the books is found, in each posting
    work = tmp_path / 'work'
    shutil.copytree(ROOT / 'mappings', work, ignore=shutil.ignore_patterns('engine'))
    file = work / 'ledger' / 'payment-captured.map.yaml'
    text = file.read_text()
    assert text.count('debit: amount - fee ?? 0\n') == 1
    file.write_text(text.replace('debit: amount - fee ?? 0\n', 'debit: amount - fee ?? 0 + 0.01\n').replace(
        '      - sum(e.debit ?? 0 for e in $out.entries) = sum(e.credit ?? 0 for e in $out.entries)\n', ''))
    r = v.command('map', 'shadow', file, '-o', 'json', check=False)
    (m,) = json.loads(r.stdout)['mappings']
    (debit,) = m['fields']
    assert r.returncode == 1 and debit['path'] == 'entries[].debit'
    assert debit['events'] == m['differ'] == m['looked'] - m['same'] > 5
    assert round(debit['difference'] * 100) == m['differ']
    assert v.stop() == 0
