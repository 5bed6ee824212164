"""/metrics: the text format of Prometheus, read by a parser of its grammar; each family is in
deploy/README.md and the other way about; the alert rules name what there is."""
import re
import shutil
import subprocess
import urllib.request

import pytest
import toybroker
import yaml
from harness import ROOT, until
from toybroker import order, payment

NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
SAMPLE = re.compile(rf'({NAME})(?:\{{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\}})? '
                    r'([+-]?(?:\d+(?:\.\d*)?(?:e[+-]?\d+)?|Inf|NaN))')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
OFTEN = re.compile(r'_(?:bucket|sum|count)$')


def parse(text):
    """{family: (type, help, {labels: value})} or an error that says where."""
    assert text.endswith('\n')
    families, current = {}, None
    for n, line in enumerate(text[:-1].split('\n'), 1):
        if line.startswith('# HELP '):
            name, help = line[7:].split(' ', 1)
            assert name not in families, f'line {n}: {name} twice'
            assert help.endswith('.') or help.endswith('?'), line
            families[name] = current = [None, help, {}]
        elif line.startswith('# TYPE '):
            name, type = line[7:].split(' ')
            assert families[name] is current and current[0] is None, f'line {n}'
            assert type in ('counter', 'gauge', 'histogram'), line
            current[0] = type
        else:
            m = SAMPLE.fullmatch(line)
            assert m, f'line {n} is no sample: {line!r}'
            name = OFTEN.sub('', m[1]) if current[0] == 'histogram' else m[1]
            assert families.get(name) is current, f'line {n}: {m[1]} is not under its family'
            labels = (m[1],) + tuple(sorted(LABEL.findall(m[2] or '')))
            assert labels not in current[2], f'line {n}: twice: {line}'
            current[2][labels] = float(m[3].replace('Inf', 'inf'))
    for name, (type, _, samples) in families.items():
        assert type is not None, name
        assert (type == 'counter') == name.endswith('_total'), f'{name} is a {type}'
        if type == 'histogram':
            check_histogram(name, samples)
    return families


def check_histogram(name, samples):
    buckets = [(float(dict(k[1:])['le'].replace('Inf', 'inf')), v) for k, v in samples.items() if k[0] == name + '_bucket']
    assert buckets == sorted(buckets) and buckets[-1][0] == float('inf')
    assert all(a[1] <= b[1] for a, b in zip(buckets, buckets[1:])), 'buckets are cumulative'
    assert buckets[-1][1] == samples[name + '_count',]
    assert samples[name + '_sum',] >= 0


def scrape(b):
    with urllib.request.urlopen(b.config['broker']['console'] + '/metrics', timeout=10) as r:
        assert r.headers['Content-Type'].startswith('text/plain; version=0.0.4')
        return r.read().decode()


@pytest.fixture
def told(tmp_path):
    """A broker with all that can be measured, after some work."""
    b = toybroker.Broker(tmp_path)
    b.config['broker']['retention'] = {'age': '400d'}
    b.config['broker']['standby'] = {'listen': f'ipc://{tmp_path}/ship.sock', 'away': 'alone', 'patience': '1s'}
    try:
        b.start()
        op = b.client('cli', 'operator')
        until(lambda: op.ask('status')['standby']['state'] == 'alone', 20)
        c, books = b.client('shop', 'connector'), b.client('books', 'connector')
        books.subscribe(window=3)
        for i in range(10):
            c.publish(order(f'n{i}'))
        c.publish(payment('p', 'n1', method='odd'))
        for verdict in ('ok', 'ok', 'reject', 'ask', 'ok'):
            books.settle(books.delivery()[0]['seq'], verdict, text='x')
        books.ping(report={'shut': 1, 'odd "name"\n\\': 7})
        yield b
    finally:
        b.close()


def test_every_family(told):
    b = told
    f = until(lambda: (f := parse(scrape(b)))['vayla_system_effects_total'][2].get(
        ('vayla_system_effects_total', ('outcome', 'ok'), ('system', 'books'))) == 3 and
        ('vayla_system_breaker_open', ('system', 'books')) in f['vayla_system_breaker_open'][2] and f)

    def value(name, **labels):
        return f[name][2][(name,) + tuple(sorted(labels.items()))]
    assert value('vayla_build_info', version='0.1') == 1
    assert value('vayla_published_total') == 11 and value('vayla_refused_total') == 0
    assert value('vayla_stored_total', type='toyshop.order') == 10
    assert value('vayla_open_parked') == 1 and value('vayla_open_ask') == 2     # of a mapping, and of books
    assert value('vayla_system_open', system='books', state='parked') == 1
    assert value('vayla_system_open', system='books', state='ready') == 5
    assert value('vayla_system_effects_total', system='books', outcome='reject') == 1
    assert value('vayla_system_attempts_total', system='books') >= 5
    assert 0 < value('vayla_system_oldest_seconds', system='books') < 600
    assert value('vayla_system_lag_records', system='books') > 5
    assert value('vayla_system_up', system='books') == 1 and value('vayla_system_mode', system='books', mode='live') == 1
    assert value('vayla_system_breaker_open', system='books') == 1
    assert value('vayla_sessions', role='connector') == 2
    assert value('vayla_connector_reported', connector='books', what='odd \\"name\\"\\n\\\\') == 7
    assert value('vayla_standby_state', state='alone') == 1 and value('vayla_standby_alone_turns_total') > 5
    assert value('vayla_disk_free_bytes') > 1e6 and value('vayla_start_time_seconds') > 1.7e9
    assert value('vayla_journal_syncs_total') > 5
    assert f['vayla_turn_seconds'][2]['vayla_turn_seconds_count',] > 5
    assert f['vayla_flush_seconds'][2]['vayla_flush_seconds_sum',] > 0
    assert 1e6 < value('process_resident_memory_bytes') < 2e8
    # nobody's name and no order's number is in them
    text = scrape(b)
    assert 'n1' not in re.sub(r'# HELP.*', '', text) and 'order:' not in text
    # the guide lists each, and no other
    guide = (ROOT / 'deploy' / 'README.md').read_text().split('## Figures')[1].split('## What to do')[0]
    listed = {w for line in guide.split('\n') if line.startswith('| `') for w in re.findall(r'`(\w+)`', line.split('|')[1])}
    assert listed == set(f)


def test_alert_rules_name_what_there_is(told):
    families = parse(scrape(told))
    rules = yaml.safe_load((ROOT / 'deploy/prometheus/vayla.rules.yml').read_text())
    seen = set()
    for rule in (r for g in rules['groups'] for r in g['rules']):
        assert set(rule) == {'alert', 'expr', 'for', 'labels', 'annotations'} and rule['labels']['severity'] in ('page', 'ticket')
        names = {OFTEN.sub('', n) for n in re.findall(r'\b(?:vayla|process)_[a-z_]+', rule['expr'])}
        assert names <= set(families), (rule['alert'], names - set(families))
        seen |= names
    assert len(seen) > 8
    if shutil.which('promtool'):
        subprocess.run(['promtool', 'check', 'rules', str(ROOT / 'deploy/prometheus/vayla.rules.yml')], check=True, timeout=60)
        subprocess.run(['promtool', 'check', 'metrics'], input=scrape(told), text=True, check=True, timeout=60)
