"""What the engine and the evaluator make of the same mappings and events."""
import json
import os
import pathlib
import random
import shutil
import subprocess

import evaluator as ev
import generate
import order
import whole
import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VAYLA = ROOT / os.environ.get('VAYLA_BUILD', 'build') / 'vayla'


def vayla_lines(file, events, *words):
    """`vayla map run FILE --lines`: an answer for each event."""
    out = subprocess.run([str(VAYLA), 'map', 'run', str(file), '--lines', *words], input='\n'.join(events).encode(),
                         capture_output=True, timeout=600, cwd=ROOT)
    lines = out.stdout.decode().split('\n')[:-1]
    if out.returncode != 0 or len(lines) != len(events):
        said = [line for line in out.stderr.decode().splitlines() if ' warning: ' not in line]
        raise AssertionError(f'{file} gave {len(lines)} answers to {len(events)} events\n' + '\n'.join(said[:20]))
    return [ev.jload(line) for line in lines]


def pack_in(folder):
    """A copy of these tests' own pack, for mappings to be put beside it."""
    return pathlib.Path(shutil.copytree(HERE / 'packs', pathlib.Path(folder) / 'packs')) / 'diff'


class Expressions:
    def __init__(self, folder):
        self.pack = pack_in(folder)
        self.type = ev.schema_type(yaml.load((HERE / 'packs/diff/schema/diff.in.yaml').read_text(), yaml.CSafeLoader))
        self.out = ev.schema_type(yaml.load((HERE / 'packs/canonical/diff.out.yaml').read_text(), yaml.CSafeLoader))
        self.tables = {n: ev.Table(n, t) for n, t in generate.TABLES.items()}
        self.roots = {
            '$event': {'id': 'given', 'subject': 'given', 'time': ev.Time(0)},
            '$settings': {'zone': 'Europe/Helsinki', 'rate': ev.Decimal('25.5'), 'name': 'Väylä'}}

    def envelope(self, k):
        """The events say of themselves who they are, so that nothing is guessed."""
        return {'id': f'e{k}', 'subject': 'thing:diff/7', 'time': '2026-11-22T23:30:00.250Z'}

    def wanted(self, case, event):
        """What the case makes of an event, as --lines answers."""
        at = self.envelope(event['k'])
        roots = {**self.roots, '$in': ev.Raw(event, self.type),
                 '$event': {**at, 'time': ev.time_text(at['time'], None)}}
        env = ev.Env(roots, self.tables)
        for name, text in case.lets:
            env = env.bind(**{name: ev.Let(ev.parse(text), env)})
        data, built = {}, ev.T('map')
        try:
            for name, optional, quoted, text in case.fields:
                env.roots['$out'] = ev.Raw(data, built)
                try:
                    v = ev.ev(ev.parse_text(text) if quoted else ev.parse(text), env)
                    if isinstance(v, ev.Absent):
                        raise ev.Refuse('MISSING', absent=True)
                    data[name] = ev.copied(v, self.out.fields[name], f'diff.out: {name}')
                    built.fields[name] = ev.type_of(v)
                except ev.Refuse as e:
                    if optional and e.absent and not e.path:
                        continue
                    e.path = e.path or f'diff.out: {name}'
                    raise
        except ev.Refuse as e:
            if e.ask:
                return {'verdict': 'ask', 'path': e.path, 'table': e.ask[0], 'key': e.ask[1]}
            return {'verdict': 'error', 'path': e.path, 'error': e.code}
        return {'verdict': 'ok', 'data': data}

    @staticmethod
    def got(answer):
        if answer['verdict'] == 'ok':
            return {'verdict': 'ok', 'data': answer['events'][0]['data']}
        return {k: answer[k] for k in ('verdict', 'path', 'table' if answer['verdict'] == 'ask' else 'error', 'key')
                if k in answer}

    def batch(self, seed, cases=250):
        """Differences of one batch, and how many answers there were of each kind."""
        text, made, events = generate.batch(seed, cases)
        file = self.pack / 'batch.map.yaml'
        file.write_text(text)
        asked = []
        for e in events:
            k = ev.jload(e)['k']
            at = {'specversion': '1.0', 'type': 'diff.in', **self.envelope(k)}
            asked.append(json.dumps(at)[:-1] + f', "data": {e}}}')
        differ, counts = [], {}
        for e, answer in zip(events, vayla_lines(file, asked)):
            event = ev.jload(e)
            case = made[int(event['k'])]
            got, want = self.got(answer), self.wanted(case, event)
            kind = got['verdict'] if got['verdict'] != 'error' else got['error']
            counts[kind] = counts.get(kind, 0) + 1
            if ev.jdump(got) != ev.jdump(want):
                differ.append(f'seed {seed}, case {event["k"]}\n{case.yaml(event["k"])}event {e}\n'
                              f'engine    {ev.jdump(got)}\nevaluator {ev.jdump(want)}\n          {answer.get("text", "")}')
        return differ, counts


def orders(seed, n):
    """Orders through the mapping and through order.py: each, and one of it spoiled."""
    rng = random.Random(f'orders {seed}')
    now = '2026-11-22T23:30:00.250Z'
    lines = []
    for _ in range(n):
        o = order.some_order(rng)
        lines += [generate.dump(o), generate.dump(order.spoil(rng, o))]
    at = json.dumps({'specversion': '1.0', 'type': 'woocommerce.order', 'id': 'e1', 'time': now})[:-1]
    answers = vayla_lines(ROOT / 'mappings/woocommerce/order.map.yaml', [f'{at}, "data": {line}}}' for line in lines])
    differ, counts = [], {}
    for line, answer in zip(lines, answers):
        got, want = order.got(answer), order.wanted(ev.jload(line), now)
        kind = got['verdict'] if got['verdict'] != 'error' else got['error']
        counts[kind] = counts.get(kind, 0) + 1
        if ev.jdump(got) != ev.jdump(want):
            differ.append(f'seed {seed}\norder  {line}\nengine {ev.jdump(got)}\npython {ev.jdump(want)}\n       {answer.get("text", "")}')
    return differ, counts


# ---- every mapping of the project ----

class Packs:
    """Schemas and settings, as the files of mappings/ say."""

    def __init__(self):
        self.types, self.houses = {}, set()
        for file in sorted((ROOT / 'mappings').glob('canonical/*.yaml')) + sorted((ROOT / 'mappings').glob('*/schema/*.yaml')):
            doc = yaml.load(file.read_text(), yaml.CSafeLoader)
            self.types[doc['schema'].split('/')[0]] = ev.schema_type(doc)
            if doc.get('subject', {}).get('scope') == 'house':
                self.houses.add(doc['subject']['kind'])

    @staticmethod
    def settings(pack, over):
        said = whole.get(whole.load(ROOT / 'mappings' / pack / 'pack.yaml'), 'settings')
        values, types = {}, {}
        kinds = {'decimal': 'decimal', 'integer': 'integer', 'bool': 'bool', 'date': 'date'}
        for k, node in whole.fields(said):
            kind = whole.get(node, 'type').value if isinstance(node, yaml.MappingNode) else node.value
            default = whole.get(node, 'default')
            types[k.value] = ev.T(kinds.get(kind, 'text'), True)
            if default is not None:
                values[k.value] = whole.data_of(default)
        values.update(over)
        values['system'], types['system'] = pack, ev.TEXT
        for name, v in values.items():  # a text may look like a number in YAML
            if types[name].kind == 'text' and v is not None:
                values[name] = str(v)
        return ev.Raw(values, ev.T('map', fields=types))


def givens(file):
    """Inputs of a mapping's tests: data, what joins read, settings, the subject."""
    for test in getattr(whole.get(whole.load(file), 'tests'), 'value', []):
        scenario = whole.get(test, 'scenario')
        for given in scenario.value if scenario is not None else [whole.get(test, 'given')]:
            if given is None or whole.get(given, 'fixture') is not None or whole.get(given, 'at') is not None:
                continue
            plain = whole.get(given, 'file') is None and whole.get(given, 'data') is None

            def of(name):
                node = (None if plain else whole.get(given, name)) or whole.get(test, name)
                return whole.data_of(node) if node is not None else {}
            if plain:
                data = whole.data_of(given)
            elif whole.get(given, 'file') is not None:
                path = file.parent / whole.get(given, 'file').value
                if path.suffix != '.json':
                    continue
                data = ev.jload(path.read_text())
            else:
                data = whole.data_of(whole.get(given, 'data'))
            for name, v in of('set').items():  # of paths only the first step: others are the spoiling's
                if name in data and v != 'absent':
                    data[name] = v
            yield data, of('with'), of('settings'), of('event').get('subject', 'order:7')


def mappings(seed, n):
    """Every mapping of the packs over its tests' inputs: as they are, and n of each spoiled."""
    rng, packs, differ, counts = random.Random(f'mappings {seed}'), Packs(), [], {}
    for file in sorted((ROOT / 'mappings').glob('*/*.map.yaml')):
        pack, seen = file.parent.name, set()
        m = whole.Mapping(file, lambda t: packs.types.get(t, ev.ANY), pack, packs.houses)
        for data, joins, over, subject in givens(file):
            lines = [generate.dump(numbers(data))]
            lines += [generate.dump(order.spoil(rng, numbers(data))) for _ in range(n)]
            lines = [line for line in dict.fromkeys(lines) if line not in seen]
            seen.update(lines)
            at = {'id': 'e1', 'subject': subject, 'time': '2026-11-22T23:30:00Z'}
            head = json.dumps({'specversion': '1.0', 'type': m.source, **at})[:-1]
            words = ['--settings', generate.dump(numbers(over)), '--with', generate.dump(numbers(joins))]
            answers = vayla_lines(file, [f'{head}, "data": {line}}}' for line in lines], *words)
            for line, answer in zip(lines, answers):
                got = order.got(answer)
                if got['verdict'] == 'wait':
                    got = {'verdict': 'wait', 'path': got['path']}
                want = m.run(ev.jload(line), at, packs.settings(pack, over), joins)
                kind = got['verdict'] if got['verdict'] != 'error' else got['error']
                counts[kind] = counts.get(kind, 0) + 1
                if ev.jdump(got) != ev.jdump(want):
                    differ.append(f'seed {seed}, {file.relative_to(ROOT)}\nevent  {line}\nwith   {" ".join(words)}\n'
                                  f'engine {ev.jdump(got)}\npython {ev.jdump(want)}\n       {answer.get("text", "")}')
    return differ, counts


def numbers(j):
    """What the evaluator took for a number, as the generator writes it."""
    if isinstance(j, ev.JNum):
        return generate.Number(j)
    if isinstance(j, dict):
        return {k: numbers(v) for k, v in j.items()}
    return [numbers(v) for v in j] if isinstance(j, list) else j
