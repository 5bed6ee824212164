"""Whole mapping files, read once more: emits, nodes, lets, conditions, joins, checks
over the expressions of evaluator.py. For every mapping of the project."""
import pathlib
import re

import yaml

import evaluator as ev
from evaluator import Refuse

FLOW = {None: 'plain', '': 'plain', "'": 'text', '"': 'text', '|': 'block', '>': 'block'}


def load(path):
    return yaml.compose(pathlib.Path(path).read_text(), yaml.CSafeLoader)


def fields(node):
    return [] if node is None else [(k, v) for k, v in node.value]


def get(node, name):
    return next((v for k, v in fields(node) if k.value == name), None) if isinstance(node, yaml.MappingNode) else None


def data_of(node):
    """YAML that stands for an event: what is quoted is text, else as JSON has it."""
    if isinstance(node, yaml.MappingNode):
        return {k.value: data_of(v) for k, v in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [data_of(v) for v in node.value]
    s = node.value
    if FLOW[node.style] != 'plain':
        return s
    if s in ('true', 'false', 'null', '~'):
        return {'true': True, 'false': False}.get(s)
    return ev.JNum(s) if ev.NUMBER.match(s) else s


def expression(node):
    kind = FLOW[node.style]
    if kind == 'plain':
        return ev.parse(node.value)
    return ev.parse_text(node.value) if kind == 'text' else ('const', node.value)


class Loops:
    """`each:` of a node, one or several, nested."""

    def __init__(self, node):
        self.loops = []
        for one in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            p = ev.Parser(one.value)
            name, count = p.names()
            self.loops.append((name, count, p.expr(), None))

    def rounds(self, env):
        return (inner for inner, _ in ev.rounds(env, self.loops))


def lets(node, env):
    for k, v in fields(get(node, 'let')):
        env = env.bind(**{k.value: ev.Let(expression(v), env)})
    return env


class Skip(Exception):
    pass


class Mapping:
    def __init__(self, path, schema_of, system, houses):
        self.root, self.system, self.houses = load(path), system, houses
        self.source = get(self.root, 'from').value
        self.tables = {k.value: ev.Table(k.value, plain_of(v)) for k, v in fields(get(self.root, 'tables'))}
        self.schema_of = schema_of

    def stored(self, written):
        kind, _, number = written.partition(':')
        if not kind or not number:
            raise Refuse('SYNTAX', 'a subject is KIND:NUMBER')
        return written if kind in self.houses else f'{kind}:{self.system}/{number}'

    def run(self, data, envelope, settings, given):
        """As `vayla map run --lines` answers."""
        self.events, self.known = [], set()
        self.subject = self.stored(envelope['subject'])
        roots = {'$in': ev.Raw(data, self.schema_of(self.source)), '$settings': settings,
                 '$event': {**envelope, 'subject': self.subject, 'time': ev.time_text(envelope['time'], None),
                            'type': self.source, 'source': self.system}}
        env = ev.Env(roots, self.tables)
        try:
            env = lets(self.root, env)
            when = get(self.root, 'when')
            joins = get(self.root, 'join')
            first = when is not None and not (joins is not None and re.search(
                '|'.join(rf'\b{k.value}\b' for k, _ in fields(joins)), when.value))
            if first and not self.part('when', lambda: ev.truth(ev.ev(expression(when), env))):
                return {'verdict': 'skip'}
            for k, j in fields(joins):
                env = env.bind(**{k.value: self.part(f'join {k.value}', lambda: self.join(k.value, j, env, given))})
            env = lets(self.root, env)
            if when is not None and not first and not self.part('when', lambda: ev.truth(ev.ev(expression(when), env))):
                return {'verdict': 'skip'}
            skipped = False
            for emit in get(self.root, 'emit').value:
                skipped = self.emit(emit, env) or skipped
        except Skip:
            return {'verdict': 'skip'}
        except Refuse as e:
            if e.code == 'WAIT':
                return {'verdict': 'wait', 'path': e.path}
            if e.ask:
                return {'verdict': 'ask', 'path': e.path, 'table': e.ask[0], 'key': e.ask[1]}
            return {'verdict': 'error', 'path': e.path, 'error': e.code}
        if skipped and not self.events:
            return {'verdict': 'skip'}
        return {'verdict': 'ok', 'events': [{k: v for k, v in e.items() if k != 'fact'} for e in self.events]}

    @staticmethod
    def part(path, make):
        try:
            return make()
        except Refuse as e:
            e.path = e.path or path
            e.absent = False
            raise

    def key(self, node, env):
        x, s = expression(node), ''
        for part in x[1] if x[0] == 'holes' else [x]:
            v = part if isinstance(part, str) else ev.ev(part, env)
            if isinstance(v, ev.Decimal) and v.as_tuple().exponent < 0:
                raise Refuse('TYPE', 'no decimals in a key')
            s += ev.as_text(v)
        if not s or len(s.encode()) > 1024:
            raise Refuse('RANGE')
        return s

    def join(self, name, j, env, given):
        many = get(j, 'all') is not None
        kind = (get(j, 'all') if many else get(j, 'last')).value
        by = get(j, 'ref') or get(j, 'subject')
        key = self.subject
        if by is not None and by.value != '$event.subject':
            key = self.stored(self.key(by, env))
        got = given.get(name)
        got = [] if got is None else got if isinstance(got, list) else [got]
        rows = [ev.Raw(g, self.schema_of(kind)) for g in got]
        if rows and get(j, 'ref') is not None:
            self.known.add(key)
        if rows:
            return rows if many else rows[-1]
        if many:
            absent = get(j, 'absent')
            if absent is None or absent.value == 'none':
                return []
        word = get(j, 'absent').value.split()[0]
        if word == 'skip':
            raise Skip
        if word == 'wait':
            raise Refuse('WAIT')
        if word == 'ask':
            raise Refuse('ASK', ask=('', key))
        if word == 'error':
            raise Refuse('NOTFOUND')
        return ev.Absent()

    # ---- emits ----

    def emit(self, emit, env):
        kind = get(emit, 'type').value
        loops = get(emit, 'each')
        skipped = False
        rounds = iter([env]) if loops is None else Loops(loops).rounds(env)
        while True:
            inner = self.part(f'{kind}: each', lambda: next(rounds, None))
            if inner is None:
                return skipped
            try:
                self.once(emit, kind, lets(emit, inner))
            except Skip:
                skipped = True

    def once(self, emit, kind, env):
        when = get(emit, 'when')
        if when is not None and not self.part(f'{kind}: when', lambda: ev.truth(ev.ev(expression(when), env))):
            return
        subject = self.part(f'{kind}: subject', lambda: self.subject_of(emit, env))
        fact = self.part(f'{kind}: id', lambda: self.key(get(emit, 'id'), env))
        refs = self.part(f'{kind}: refs', lambda: self.refs(emit, env))
        again = get(emit, 'again')
        if again is not None and again.value.startswith('revise by '):
            # the words behind `revise by` are an expression, or a text in quotes
            by = ev.parse(again.value[10:])
            self.part(f'{kind}: again', lambda: ev.written(ev.need(ev.ev(by, env))))
        schema = self.schema_of(kind)
        env = ev.Env({**env.roots}, env.tables, env.names)
        built, types = {}, ev.T('map')
        env.roots['$out'] = ev.Raw(built, types)
        node = get(emit, 'data')
        self.map(node, lets(node, env), schema, f'{kind}: ', built, types)
        for c in getattr(get(emit, 'check'), 'value', []):
            if not self.part(f'{kind}: check', lambda: ev.truth(ev.ev(expression(c), env))):
                raise with_path(Refuse('CHECK'), f'{kind}: check')
        event = {'type': kind, 'fact': fact, 'subject': subject, **({'refs': refs} if refs else {}), 'data': built}
        for e in self.events:
            if (e['type'], e['subject'], e['fact']) == (kind, subject, fact):
                if ev.jdump(e['data']) != ev.jdump(built):
                    raise with_path(Refuse('EXISTS'), f'{kind}: id')
                return
        self.events.append(event)

    def subject_of(self, emit, env):
        s = get(emit, 'subject')
        if s is None:
            return self.subject
        if isinstance(s, yaml.MappingNode):
            ref = self.stored(self.key(get(s, 'ref'), env))
            if ref in self.known:
                return self.subject
            word = get(s, 'absent').value.split()[0] if get(s, 'absent') is not None else 'ask'
            if word == 'skip':
                raise Skip
            if word == 'wait':
                raise Refuse('WAIT')
            raise Refuse('ASK', ask=('subject', ref))
        if s.value == '$event.subject':
            return self.subject
        return self.stored(self.key(s, env))

    def refs(self, emit, env):
        out = []
        for node in getattr(get(emit, 'refs'), 'value', []):
            try:
                out.append(self.stored(self.key(node, env)))
            except Refuse as e:
                # one that reads what may be absent is left out
                if not e.absent or not self.may_be_absent(expression(node), env):
                    raise
        return out

    def may_be_absent(self, x, env):
        if x[0] == 'path':
            return x[1] in env.names or not self.required([x[1]] + x[2], self.schema_of(self.source))
        if x[0] == 'holes':
            return any(self.may_be_absent(p, env) for p in x[1] if not isinstance(p, str))
        return x[0] != 'const'

    @staticmethod
    def required(steps, t):
        for s in steps:
            if s == '$in':
                continue
            t = t.fields.get(s)
            if t is None or not t.known():
                return False
        return True

    # ---- data ----

    def map(self, node, env, want, path, out, types):
        for k, v in fields(node):
            quoted = FLOW[k.style] == 'text'
            if not quoted and k.value in ('each', 'let', 'when', 'item', 'entry'):
                continue
            optional = not quoted and k.value.endswith('?')
            name = k.value[:-1] if optional else k.value
            at = f'{path}{"" if path[-1] == " " else "."}{name}'
            t = want.fields.get(name, ev.ANY) if want.kind == 'map' else ev.ANY
            self.field(name, optional, v, env, t, at, out, types)

    def field(self, name, optional, node, env, want, at, out, types):
        if isinstance(node, yaml.ScalarNode):
            got = self.value(node, optional, env, want, at)
            if got is not None:
                out[name], types.fields[name] = got
            return
        special = isinstance(node, yaml.MappingNode) and any(
            k.value in ('each', 'entry', 'item') and FLOW[k.style] == 'plain' for k, _ in node.value)
        if isinstance(node, yaml.MappingNode) and not special:
            env = lets(node, env)
            when = get(node, 'when')
            if when is not None and not self.part(at, lambda: ev.truth(ev.ev(expression(when), env))):
                return
            inner, t = {}, ev.T('map')
            self.map(node, env, want, at, inner, t)
            if not optional or inner:
                out[name], types.fields[name] = inner, t
            return
        inner, item = [], ev.T('map')
        if isinstance(node, yaml.SequenceNode):
            for one in node.value:
                self.item(one, env, want.item or ev.ANY, at, inner, item)
        elif get(node, 'entry') is not None:
            raise NotImplementedError('entry')
        else:
            self.item(node, env, want.item or ev.ANY, at, inner, item)
        if not optional or inner:
            out[name], types.fields[name] = inner, ev.T('list', item=item)

    def item(self, node, env, want, at, out, types):
        """What one entry of a list gives, into the list."""
        if isinstance(node, yaml.MappingNode) and get(node, 'each') is not None:
            rounds = Loops(get(node, 'each')).rounds(env)
            while True:
                inner = self.part(at, lambda: next(rounds, None))
                if inner is None:
                    return
                inner = lets(node, inner)
                when = get(node, 'when')
                if when is not None and not self.part(at, lambda: ev.truth(ev.ev(expression(when), inner))):
                    continue
                body = get(node, 'item')
                for one in body.value if isinstance(body, yaml.SequenceNode) else [body]:
                    self.item(one, inner, want, at, out, types)
        at = f'{at}[{len(out) + 1}]'
        if isinstance(node, yaml.ScalarNode):
            got = self.value(node, False, env, want, at)
            out.append(got[0])
            return
        env = lets(node, env)
        when = get(node, 'when')
        if when is not None and not self.part(at, lambda: ev.truth(ev.ev(expression(when), env))):
            return
        inner = {}
        self.map(node, env, want, at, inner, types)
        out.append(inner)

    def value(self, node, optional, env, want, at):
        """(JSON, type), or None where it is left out."""
        if FLOW[node.style] == 'plain' and node.value == 'null':
            return None, ev.ANY
        try:
            v = ev.ev(expression(node), env)
            if v == '' and isinstance(v, str) and optional and want.blank:
                return None
            if isinstance(v, ev.Absent):
                raise Refuse('MISSING', absent=True)
        except Refuse as e:
            if optional and e.absent:
                return None
            raise with_path(e, at)
        return ev.copied(v, want, at), ev.type_of(v)


def with_path(e, path):
    e.path = e.path or path
    return e


def plain_of(node):
    """A table as the evaluator takes it: words are words."""
    if isinstance(node, yaml.MappingNode):
        return {k.value: plain_of(v) for k, v in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain_of(v) for v in node.value]
    return node.value
