"""Expressions and events at random, for the differential tests: typed, so that
they load, and reaching every operator, function and rule of absence. The same
seed gives the same mappings and events."""
import json
import random

OR, AND, NOT, CMP, ADD, MUL, UN, ALT, PRIM = range(1, 10)
SCALARS = ('dec', 'int', 'text', 'bool', 'time', 'date')
DEFAULTS = {'dec': ('0', '1.50', '-0.005', '100'), 'int': ('0', '7', '-3'), 'text': ("'x'", "''", '"d-{i1}"'),
            'bool': ('true', 'false'), 'time': ("time('2026-03-29T00:59:59Z')",), 'date': ('date(t1, \'UTC\')',)}
ZONES = ('UTC', 'Europe/Helsinki', 'Europe/London', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe',
         'Pacific/Auckland', 'America/St_Johns', 'Africa/Casablanca')
PATTERNS = ('yyyy-MM-dd', 'dd.MM.yyyy HH:mm', 'yyyyMMddHHmmss', "yyyy/MM/dd HH:mm:ss.SSS", 'HHmm', 'MM/yyyy')
CURRENCIES = ('EUR', 'sek', 'JPY', 'KWD', 'CLF', 'usd', 'XOF', 'EURO', '')

LINE = {'sku': ('text', True), 'name': ('text', False), 'qty': ('int', False), 'net': ('dec', False),
        'cls': ('text', True), 'tags': ('list text', True), 'sub': ('rows SUB', True)}
SUB = {'n': ('dec', False), 'c': ('text', True)}
META = {'key': ('text', False), 'value': ('any', True)}
ENTRY = {'key': ('text', False), 'value': ('any', False)}
ROWS = {'LINE': LINE, 'SUB': SUB, 'META': META, 'ENTRY': ENTRY}

FIELDS = {
    'i1': ('int', False), 'i2': ('int', False), 'oi': ('int', True), 'd1': ('dec', False), 'd2': ('dec', False),
    'd3': ('dec', False), 'od': ('dec', True), 's1': ('text', False), 's2': ('text', False), 'os': ('text', True),
    'b1': ('bool', False), 'ob': ('bool', True), 't1': ('time', False), 't2': ('time', False), 'ot': ('time', True),
    'day1': ('date', False), 'oday': ('date', True), 'words': ('list text', False), 'nums': ('list dec', False),
    'onums': ('list dec', True), 'lines': ('rows LINE', False), 'more': ('rows LINE', True),
    'meta': ('rows META', False), 'addr.city': ('text', True), 'addr.zip': ('text', True),
    'addr.geo.lat': ('dec', True), 'addr.geo.lon': ('dec', True), 'home.city': ('text', False),
    'home.zip': ('text', True), 'bs': ('text', False), 'xb': ('any', False), 'xb.a': ('any', False), 'xb.b.c': ('any', False), 'x1': ('any', False), 'x2': ('any', True), 'map.a': ('any', False),
    'map.b.c': ('any', False), "$in.'odd-name'": ('text', False), '$in."s1"': ('text', False),
    '$event.id': ('text', False), '$event.subject': ('text', False), '$event.time': ('time', False),
    '$settings.rate': ('dec', False), '$settings.name': ('text', False), 'lines[1].net': ('dec', False),
    'lines[2].sku': ('text', True), 'nums[1]': ('dec', False), 'words[2]': ('text', False),
}

TABLES = {
    'keep': {'unmatched': 'keep', 'rows': {'a': 'A', 'b': 'B', 'open': 'O', '1.5': 'one and a half', 'true': 'yes'}},
    'row': {'unmatched': {'row': 'other'}, 'rows': {'a': 'A', 'x': 'X', '25.5': 'S', '7': 'seven'}},
    'strict': {'unmatched': 'error', 'rows': {'open': 'O', 'paid': 'P', 'done': 'D', 'a': 'A', 'x': 'X'}},
    'ask': {'unmatched': 'ask', 'rows': {'a': 'A', 'Tea': 'T', '0': 'zero'}},
    'report': {'unmatched': 'report', 'default': 'r', 'rows': {'a': 'A'}},
    'part': {'unmatched': {'row': '-'}, 'by': 'contains', 'rows': {'te': 'tea', 'E': 'e', 'Ä': 'ä', '1': 'one'}},
    'wide': {'unmatched': {'row': ['0', '1.50', '3', 'false']},
             'columns': {'t': 'text', 'd': 'decimal', 'i': 'integer', 'b': 'bool'},
             'rows': {'a': ['A', '0.10', '1', 'true'], 'x': ['X', '-2', '-7', 'false']}},
    'many': {'unmatched': 'keep', 'rows': {f'k{i}': f'v{i * 7 % 31}' for i in range(40)}},
}


class Gen:
    """One expression; `soft`: in an optional field, where absence is no mistake."""

    def __init__(self, rng, soft, scope):
        self.r, self.soft, self.names = rng, soft, 0
        self.scope = [(text, kind, opt) for text, (kind, opt) in scope.items()]

    # ---- leaves ----

    def leaves(self, kind):
        return [(t, o) for t, k, o in self.scope if k == kind]

    def leaf(self, kind):
        found = self.leaves(kind)
        if self.r.random() < 0.06 and kind in SCALARS:
            found = self.leaves('any') or found
        if found and self.r.random() < 0.7:
            text, opt = self.r.choice(found)
            return text, opt, PRIM
        return self.literal(kind)

    def literal(self, kind):
        r = self.r
        if kind == 'int':
            return str(r.choice((0, 1, 2, 3, 7, 10, 100, r.randrange(10 ** 9), r.randrange(10 ** 18)))), False, PRIM
        if kind == 'dec':
            n = r.choice((1, 2, 3, 5, 9, 17, 18))
            scale = r.randint(0, min(n, 9))
            c = str(r.randrange(10 ** n)).rjust(scale + 1, '0')
            return (c[:-scale] + '.' + c[-scale:] if scale else c), False, PRIM
        if kind == 'text':
            return self.quoted(r.choice(('', 'a', 'x', 'Tea', 'ÄÖ-é', 'open', "it's", '3.10', '-0.50', '1e2', '  a b ', 'κόσμε',
                                         'ŁÓDŹ', 'ẞß', 'a,b,,c', '{', 'a}b', 'k7', '007', 'жЁ', '🍵x', 'țȘ', 'ậẾ', 'ώΆ'))), False, PRIM
        if kind == 'bool':
            return r.choice(('true', 'false')), False, PRIM
        if kind == 'time':
            return self.a_time(0), False, PRIM
        if kind == 'date':
            return f"date({self.a_time(0)}, {self.zone()})", False, PRIM
        return '[]', False, PRIM

    def quoted(self, s):
        q = self.r.choice('\'"')
        return q + s.replace('{', '{{').replace('}', '}}').replace(q, q + q) + q

    def zone(self):
        if self.r.random() < 0.15:
            return '$settings.zone'
        return self.quoted(self.r.choice(ZONES))

    # ---- what may be absent ----

    def sure(self, kind, depth, prec=OR):
        """A value that is there, as far as loading can tell."""
        text, opt, p = self.gen(kind, depth)
        if opt and not (self.soft and self.r.random() < 0.7):
            if self.r.random() < 0.85:
                d, _, dp = self.leaf_default(kind)
                text, p = f'{self.par(text, p, PRIM)} ?? {d}', ALT
            else:
                text, p = f'need({text})', PRIM
        return self.par(text, p, prec)

    def leaf_default(self, kind):
        return self.r.choice(DEFAULTS.get(kind, ('[]',))), False, PRIM

    def par(self, text, p, want):
        if p < want or self.r.random() < 0.03:
            return f'({text})'
        return text

    # ---- lists ----

    def name(self):
        self.names += 1
        return f'q{self.names}'

    def fields_of(self, var, row):
        return [(f'{var}.{f}', kind, opt) for f, (kind, opt) in row.items()]

    def element(self, var, kind, row):
        if row is not None:
            return self.fields_of(var, row)
        return [(var, kind, False)]

    def rows(self, depth):
        """A list of rows: its text (at least ALT), the row, may it be absent."""
        r = self.r
        if depth <= 0 or r.random() < 0.5:
            found = [(t, k, o) for t, k, o in self.scope if k.startswith('rows ')]
            text, kind, opt = r.choice(found)
            row = ROWS[kind[5:]]
            if opt and r.random() < 0.3:
                return f'{text} ?? []', row
            return text, row
        c = r.randrange(8)
        inner, row = self.rows(depth - 1)
        v = self.name()
        if c == 0:
            return f'reverse({inner if self.plain_list(inner) else f"{v} for {v} in {inner}"})', row
        if c == 1:
            return f'sort({self.inside(v, row, "key", depth)} for {v} in {inner}{self.cond(v, row, depth)})', row
        if c == 2:
            return f'list({v} for {v} in {inner}{self.cond(v, row, depth)})', row
        if c == 3 and row is LINE:
            other, w = r.choice(('lines', 'more')), self.name()
            return f'concat({v} for {v} in {inner}, {w} for {w} in {other})', row
        if c == 4:
            key = r.choice(('text', 'dec', 'int', 'bool', 'date'))
            text = f'group({self.inside(v, row, key, depth)} for {v} in {inner}{self.cond(v, row, depth)})'
            return text, {'key': (key, False), 'rows': ('ROWS', row)}
        if c == 5:
            weight = self.inside(v, row, r.choice(('dec', 'int')), 1) if r.random() < 0.5 else \
                f'abs({self.inside(v, row, "dec", 0)}) + 0.01'
            total = self.sure('dec', 0) if r.random() < 0.3 else f'round({self.sure("dec", depth - 1)}, 2)'
            return f'allocate({total}, {r.choice((0, 2, 2, 2, 4, 9))}, {weight} for {v} in {inner})', \
                {'part': ('dec', False), 'row': ('ROW', row)}
        if c == 6:
            return f'entries({r.choice(("map", "map.b", "home", "x1"))})', ENTRY
        return inner, row

    @staticmethod
    def plain_list(text):
        return '??' not in text and 'more' not in text and '.sub' not in text

    def with_var(self, var, row, kind=None):
        """The scope within a loop over rows (or over scalars of a kind)."""
        if row is None:
            return [(var, kind, False)]
        out = []
        for f, (k, opt) in row.items():
            if k == 'ROWS':  # a group's rows
                for name, known in ROWS.items():
                    if known is opt:
                        out.append((f'{var}.{f}', f'rows {name}', False))
            elif k == 'ROW':
                out += self.with_var(f'{var}.{f}', opt)
            else:
                out.append((f'{var}.{f}', k, opt))
        return out

    def inside(self, var, row, kind, depth, scalar=None):
        """An expression that sees the loop's variable, and is there."""
        had = self.scope
        mine = self.with_var(var, row, scalar)
        self.scope = had + mine * 3
        if kind == 'key':
            kind = self.r.choice(('text', 'dec', 'int', 'date', 'time', 'bool'))
        text = self.sure(kind, depth - 1)
        self.scope = had
        return text

    def cond(self, var, row, depth, scalar=None):
        if self.r.random() < 0.6:
            return ''
        return f' if {self.inside(var, row, "bool", depth, scalar)}'

    def loop(self, kind, depth, may_be_absent=False):
        """`x for v in list`, x of this kind."""
        r, v = self.r, self.name()
        if r.random() < 0.25:
            over, scalar = r.choice((('words', 'text'), ('nums', 'dec'), ('onums', 'dec'), ('onums ?? []', 'dec')))
            row = None
        else:
            (over, row), scalar = self.rows(depth - 1), None
        had = self.scope
        count = ''
        mine = self.with_var(v, row, scalar)
        if r.random() < 0.2:
            n = self.name()
            count, mine = f', {n}', mine + [(n, 'int', False)]
        self.scope = had + mine * 3
        cond = f' if {self.sure("bool", depth - 2)}' if r.random() < 0.35 else ''
        nested = ''
        if depth > 1 and r.random() < 0.15:
            lists = [(t, k) for t, k, _ in mine if k == 'list text' or k.startswith('rows ')]
            if lists:
                t, k = r.choice(lists)
                w = self.name()
                nested = f' for {w} in {t}'
                self.scope = self.scope + self.with_var(w, *((None, 'text') if k == 'list text' else (ROWS[k[5:]],))) * 3
        if may_be_absent:
            x, opt, _ = self.gen(kind, depth - 1)
        else:
            x, opt = self.sure(kind, depth - 1), False
        self.scope = had
        return f'{x} for {v}{count} in {over}{cond}{nested}', opt

    # ---- expressions ----

    def gen(self, kind, depth):
        """Text, may it be absent, how tightly it binds."""
        if kind == 'any':
            kind = self.r.choice(SCALARS)
        if kind.startswith('list '):
            return self.a_list(kind[5:], depth)
        r = self.r
        if depth <= 0 or r.random() < 0.12:
            return self.leaf(kind)
        c = r.random()
        if c < 0.08:
            a, _, p = self.gen(kind, depth - 1)
            b, opt, bp = self.gen(kind, depth - 1)
            return f'{self.par(a, p, ALT)} ?? {self.par(b, bp, PRIM)}', opt, ALT
        if c < 0.15:
            cond = self.sure('bool', depth - 1)
            a, o1, _ = self.gen(kind, depth - 1)
            b, o2, _ = self.gen(kind, depth - 1) if r.random() < 0.85 else ('null', True, PRIM)
            return f'if({cond}, {a}, {b})', o1 or o2, PRIM
        if c < 0.20 and depth > 1:
            f = r.choice(('first', 'last'))
            x, opt = self.loop(kind, depth, True)
            return f'{f}({x})', opt, PRIM
        if c < 0.22 and depth > 1:
            x, opt = self.loop(kind, depth, True)
            return f'at({x}, {self.sure("int", 0)})', opt, PRIM
        if c < 0.23 and self.bare(kind):
            call = r.choice((f'first({self.bare(kind)})', f'last({self.bare(kind)})', f'at({self.bare(kind)}, {r.randint(0, 3)})'))
            return call, False, PRIM
        if c < 0.24 and depth > 1:
            x, _ = self.loop(kind, depth)
            return f'list({x})[{r.randint(1, 3)}]', False, PRIM
        if c < 0.27:
            return f'need({self.gen(kind, depth - 1)[0]})', False, PRIM
        return getattr(self, 'a_' + kind)(depth), False, self.bound

    def bare(self, kind):
        """A list of scalars by its name."""
        found = [(t, o) for t, k, o in self.scope if k == f'list {kind}']
        if not found:
            return None
        text, opt = self.r.choice(found)
        return f'{text} ?? []' if opt and not self.soft else text

    def a_list(self, kind, depth):
        c = self.r.randrange(6)
        bare = self.bare(kind)
        if c > 3 and bare:
            if c == 4:
                return f'{self.r.choice(("reverse", "list"))}({bare})', False, PRIM
            if kind == 'text' and self.r.random() < 0.5:
                v = self.name()
                return f'concat({v}.tags ?? [] for {v} in lines, {bare})', False, PRIM
            return f'concat({bare}, {self.bare(kind)})', False, PRIM
        if c == 0 and kind == 'text':
            return f'split({self.sure("text", depth - 1)}, {self.quoted(self.r.choice(",- aé"))})', False, PRIM
        if c == 1:
            return f'reverse({self.loop(kind, depth)[0]})', False, PRIM
        return f'list({self.loop(kind, depth)[0]})', False, PRIM

    def number(self, depth, kind):
        """dec or int, by the operators that keep it."""
        r, c = self.r, self.r.random()
        self.bound = PRIM
        if c < 0.30:
            op, p = r.choice((('+', ADD), ('-', ADD), ('*', MUL)))
            a, b = self.sure(kind, depth - 1, p), self.sure(kind, depth - 1, p + 1)
            self.bound = p
            return f'{a} {op} {b}'
        if c < 0.38:
            a = self.sure(kind, depth - 1, ALT)
            self.bound = UN
            return f'-{a}'
        if c < 0.48:
            x = self.loop(kind, depth)[0]
            self.bound = PRIM
            return f'sum({x})'
        if c < 0.53:
            x = f'abs({self.sure(kind, depth - 1)})'
            self.bound = PRIM
            return x
        return None

    def a_dec(self, depth):
        r = self.r
        x = self.number(depth, 'dec')
        if x is not None:
            return x
        c = r.randrange(8)
        d = depth - 1
        if c < 3:
            how = r.choice(('', '', ', half_up', ', half_even', ", 'half_even'"))
            x = f'round({self.sure("dec", d, MUL)} / {self.sure("dec", d, UN)}, {r.choice((0, 2, 2, 2, 4, 9, 10))}{how})'
        elif c == 3:
            x = f'round({self.sure("dec", d)}, {r.choice((0, 1, 2, 3, 9))}{r.choice(("", ", half_even"))})'
        elif c == 4:
            x = f'minor({self.sure("int", d)}, {self.quoted(r.choice(CURRENCIES))})'
        elif c == 5:
            x = f'decimal({self.sure(r.choice(("text", "dec", "int")), d)})'
        elif c == 6:
            x = f"lookup(wide, {self.sure('text', d)}).d"
        else:
            x = f'{r.choice(("first", "last"))}({self.rows_with("part", d)}).part'
        self.bound = PRIM
        return x

    def rows_with(self, field, depth):
        v = self.name()
        inner, row = self.rows(0)
        w = self.inside(v, row, 'dec', 0)
        return f'allocate(round({self.sure("dec", depth)}, 2), 2, abs({w}) + 1 for {v} in {inner})'

    def a_int(self, depth):
        x = self.number(depth, 'int')
        if x is not None:
            return x
        d, c = depth - 1, self.r.randrange(5)
        if c == 0:
            x = f'count({self.rows(d)[0]})' if self.r.random() < 0.5 else \
                f'count({self.loop(self.r.choice(SCALARS), d + 1, True)[0]})'
        elif c == 1:
            x = f'int({self.sure(self.r.choice(("text", "dec", "int")), d)})'
        elif c == 2:
            x = f'to_minor({self.sure("dec", d)}, {self.quoted(self.r.choice(CURRENCIES))})'
        elif c == 3:
            x = f"lookup(wide, {self.sure('text', d)}).i"
        else:
            x = f'int(round({self.sure("dec", d)}, 0))'
        self.bound = PRIM
        return x

    def a_text(self, depth):
        r, d = self.r, depth - 1
        c = r.randrange(17)
        if c < 2:
            x = self.holes(depth)
        elif c < 5:
            x = f'{r.choice(("upper", "lower", "trim"))}({self.sure("text", d)})'
        elif c == 5:
            x = f'replace({self.sure("text", d)}, {self.sure("text", 0)}, {self.sure("text", 0)})'
        elif c == 6:
            x = f'join({self.quoted(r.choice((", ", "", "-")))}, {self.loop(r.choice(SCALARS), depth)[0]})'
        elif c == 7:
            x = f'html({self.markup()})'
        elif c == 8:
            x = f'text({self.sure(r.choice(SCALARS), d)})'
        elif c == 9:
            x = f'text({self.sure("dec", d)}, {r.choice((0, 2, 3, 9))}{r.choice(("", ", " + self.quoted(",")))})'
        elif c == 10:
            x = f'hash({self.sure(r.choice(SCALARS), d)})'
        elif c == 11:
            x = f'fi_reference({self.sure(r.choice(("int", "text")), d)})'
        elif c == 12:
            x = f'rf({self.sure(r.choice(("int", "text")), d)})'
        elif c == 13:
            x = f'format({self.sure("time", d)}, {self.quoted(r.choice(PATTERNS))}, {self.zone()})'
        elif c == 14:
            day = r.choice(('day1', f'date({self.sure("time", d)}, {self.zone()})', f'add(day1, {self.small()}, days)'))
            x = f'format({day}, {self.quoted(r.choice(PATTERNS))})'
        elif c == 15:
            t = r.choice(list(TABLES))
            col = '.t' if t == 'wide' else ''
            x = f'lookup({t}, {self.sure(r.choice(("text", "text", "dec", "int", "bool")), d)}){col}'
        else:
            x = f'at(split({self.sure("text", d)}, {self.quoted(r.choice((",", "a", "é", " ")))}), {r.randint(0, 4)})'
        self.bound = PRIM
        return x

    def holes(self, depth):
        r, q = self.r, self.r.choice('\'"')
        parts = ''
        for _ in range(r.randint(1, 3)):
            parts += r.choice(('', 'a ', 'Ä-', '{{', ' it' + q + q + 's ', '}}'))
            parts += '{' + self.sure(r.choice(SCALARS), depth - 2) + '}'
        return q + parts + r.choice(('', '.', ' ')) + q

    def markup(self):
        r = self.r
        bits = ('Tea', ' ', '<b>', '</b>', '<br/>', '<p class=x>', '</p>', '&amp;', '&auml;', '&#8364;', '&#x41;', '&nope;', '&',
                '<li>', '&nbsp;', '&eacute;', 'x', '  ', '&#xA0;', '&hellip;', '<span>', '&lt;', '&quot;', 'ä')
        return self.quoted(''.join(r.choice(bits) for _ in range(r.randint(0, 8))))

    def a_bool(self, depth):
        r, d, c = self.r, depth - 1, self.r.random()
        self.bound = PRIM
        if c < 0.35:
            kind = r.choice(('dec', 'int', 'text', 'time', 'date'))
            a, b = self.sure(kind, d, ADD), self.sure(kind, d, ADD)
            self.bound = CMP
            return f'{a} {r.choice(("=", "!=", "<", "<=", ">", ">="))} {b}'
        if c < 0.50:
            op, p = r.choice((('and', AND), ('or', OR)))
            a, b = self.sure('bool', d, p), self.sure('bool', d, p + 1)
            self.bound = p
            return f'{a} {op} {b}'
        if c < 0.57:
            a = self.sure('bool', d, CMP)
            self.bound = NOT
            return f'not {a}'
        if c < 0.70:
            kind = r.choice(('dec', 'int', 'text', 'date'))
            a = self.sure(kind, d, ADD)
            of = ', '.join(self.sure(kind, 0) for _ in range(r.randint(1, 4)))
            self.bound = CMP
            return f'{a} {r.choice(("in", "not in"))} ({of})'
        if c < 0.76:
            self.bound = CMP
            return r.choice(("st = 'paid'", "st in ('open', 'done')", "st != 'open'", "b1 = true", 'b1 != false'))
        if c < 0.86:
            x = f'{r.choice(("any", "all"))}({self.loop("bool", depth)[0]})'
        elif c < 0.97:
            x = f'has({self.gen(r.choice(SCALARS), d)[0]})'
        else:
            x = f"lookup(wide, {self.sure('text', d)}).b"
        self.bound = PRIM
        return x

    def a_time(self, depth):
        r, d = self.r, depth - 1
        c = r.randrange(9)
        if depth <= 0:
            c = min(c, 3)
        if c < 2:
            x = f"time({self.quoted(self.stamp())}, {self.zone()})"
        elif c == 2:
            x = f"time('{self.stamp_sure()}{r.choice(('Z', '+02:00', '-0330', '+05'))}')"
        elif c == 3:
            x = r.choice(("time(t3, 'Europe/Helsinki')", f'time(local, {self.zone()})'))
        elif c == 4:
            x = f'time({self.sure(r.choice(("int", "dec")), 0)}, {r.choice(("s", "ms"))})' if r.random() < 0.4 else \
                f'time({r.randrange(-10 ** 9, 4 * 10 ** 9)}, {r.choice(("s", "ms"))})'
        elif c == 5:
            y, mo, day, h, m = self.moment()
            x = f"time('{day:02}.{mo:02}.{y} {h:02}:{m:02}', 'dd.MM.yyyy HH:mm', {self.zone()})"
        elif c == 6:
            x = f'time({self.sure("date", d)}, {self.zone()})'
        else:
            x = f'add({self.sure("time", d)}, {self.small()}, {r.choice(("days", "months"))})'
        self.bound = PRIM
        return x

    def small(self):
        return self.r.choice(('1', '-1', '0', '31', 'i2', '-12', str(self.r.randint(-500, 500)), '99999'))

    def a_date(self, depth):
        d = depth - 1
        if self.r.random() < 0.5:
            x = f'date({self.sure("time", d)}, {self.zone()})'
        else:
            x = f'add({self.sure("date", d)}, {self.small()}, {self.r.choice(("days", "months", chr(39) + "days" + chr(39)))})'
        self.bound = PRIM
        return x

    def moment(self):
        """Often within the hour of a daylight saving edge, sometimes no time at all."""
        r = self.r
        c = r.random()
        if c < 0.2:
            return r.choice(((2026, 3, 29), (2026, 10, 25), (2025, 3, 30), (2024, 2, 29), (2026, 3, 8), (2026, 11, 1),
                             (2026, 4, 5), (2026, 10, 4))) + (r.randint(0, 4), r.choice((0, 29, 30, 59)))
        if c < 0.23:
            return r.choice(((2026, 2, 29), (2026, 13, 1), (2026, 4, 31), (1, 1, 1), (9999, 12, 31))) + (1, 0)
        return r.choice((1700, 1890, 1969, 1999, 2026, 2026, 2050, 2250)), r.randint(1, 12), r.randint(1, 28), \
            r.randint(0, 23), r.randint(0, 59)

    def stamp(self):
        y, mo, d, h, m = self.moment()
        s = f'{y:04}-{mo:02}-{d:02}'
        if self.r.random() < 0.05:
            return s
        s += f'{self.r.choice("T ")}{h:02}:{m:02}'
        if self.r.random() < 0.6:
            s += f':{self.r.randint(0, 59):02}' + self.r.choice(('', '', '.5', '.123', ',000001', '.123456789'))
        return s

    def stamp_sure(self):
        while True:
            s = self.stamp()
            if not s.startswith(('2026-02-29', '2026-13', '2026-04-31', '0001', '9999')):
                return s


# ---- events ----

class Number(str):
    """Digits that go into the JSON as they are."""


def dump(j):
    if isinstance(j, Number):
        return str(j)
    if isinstance(j, dict):
        return '{' + ','.join(f'{json.dumps(k)}:{dump(v)}' for k, v in j.items()) + '}'
    if isinstance(j, list):
        return '[' + ','.join(map(dump, j)) + ']'
    return json.dumps(j, ensure_ascii=False)


def a_number(r):
    n = r.choice((1, 2, 3, 4, 6, 9, 17, 18, 19, 25, 38) if r.random() < 0.15 else (1, 2, 3, 4, 5, 6))
    scale = r.choice((0, 0, 1, 2, 2, 2, 4, 9, 12))
    c = str(r.randrange(10 ** n)).rjust(scale + 1, '0')
    s = r.choice(('', '', '', '-')) + (c[:-scale] + '.' + c[-scale:] if scale else c)
    if r.random() < 0.03:
        s += r.choice(('e2', 'E-3', 'e+0', 'e10'))
    return Number(s)


def a_word(r):
    return r.choice(('a', 'x', 'Tea', 'Mug', 'ÄÄ', 'b c', ' a,b ', 'open', 'k3', '12', '3.50', "o'neil", '<b>x</b> &amp;', 'ß', '',
                     'ñandú', 'ТЕСТ', 'a' * 40))


def a_line(r):
    line = {'name': a_word(r), 'qty': Number(r.randint(-1, 9)), 'net': a_number(r)}
    if r.random() < 0.3:
        line['net'] = str(line['net'])
    if r.random() < 0.6:
        line['sku'] = a_word(r)
    if r.random() < 0.7:
        line['cls'] = r.choice(('r', 's', 'z', None))
    if r.random() < 0.5:
        line['tags'] = [a_word(r) for _ in range(r.randint(0, 3))]
    if r.random() < 0.4:
        line['sub'] = [{'n': a_number(r), **({'c': a_word(r)} if r.random() < 0.5 else {})} for _ in range(r.randint(0, 3))]
    return line


def an_event(r):
    g = Gen(r, False, {})
    e = {'i1': Number(r.choice((0, 1, 7, -12, 10 ** 15, r.randrange(10 ** 6)))), 'i2': Number(r.randint(-40, 40)),
         'd1': a_number(r), 'd2': str(a_number(r)) if r.random() < 0.5 else a_number(r), 'd3': a_number(r),
         's1': a_word(r), 's2': a_word(r) if r.random() < 0.8 else a_number(r), 'b1': r.random() < 0.5,
         't1': g.stamp_sure() + r.choice(('Z', '+02:00')), 't2': g.stamp_sure(), 't3': g.stamp_sure(),
         'local': g.stamp_sure(), 'day1': g.stamp_sure()[:10], 'st': r.choice(('open', 'paid', 'done')),
         'words': [a_word(r) for _ in range(r.randint(0, 4))], 'nums': [a_number(r) for _ in range(r.randint(0, 4))],
         'lines': [a_line(r) for _ in range(r.choice((0, 1, 2, 3, 5)))], 'home': {'city': a_word(r)},
         'meta': [{'key': a_word(r), 'value': any_value(r, 1)} for _ in range(r.randint(0, 3))], 'x1': any_value(r, 2),
         'map': {'a': any_value(r, 0), 'b': {'c': any_value(r, 0), 'd': None}, 'z': a_number(r)},
         'odd-name': a_word(r), 'bs': a_word(r) if r.random() < 0.7 else '', 'xb': r.choice(
             ('', 'x', {'a': '', 'b': {'c': a_word(r)}}, {'a': 'x', 'b': ''}))}
    for name, value in (('oi', Number(r.randint(-5, 99))), ('od', a_number(r)), ('os', a_word(r)), ('ob', True),
                        ('ot', g.stamp_sure() + 'Z'), ('oday', '2026-03-31'), ('onums', [a_number(r), a_number(r)]),
                        ('more', [a_line(r) for _ in range(r.randint(0, 3))]), ('x2', any_value(r, 1)),
                        ('addr', {'city': 'Turku', **({'zip': '20100'} if r.random() < 0.5 else {}),
                                  **({'geo': {'lat': a_number(r)}} if r.random() < 0.5 else {})})):
        if r.random() < 0.55:
            e[name] = value
        elif r.random() < 0.3:
            e[name] = None
    return e


def any_value(r, depth):
    c = r.randrange(7 if depth > 0 else 5)
    if c < 2:
        return a_word(r)
    if c == 2:
        return a_number(r)
    if c == 3:
        return r.choice((True, False, None))
    if c == 4:
        return Number(r.randint(-9, 99))
    if c == 5:
        return [any_value(r, depth - 1) for _ in range(r.randint(0, 3))]
    return {k: any_value(r, depth - 1) for k in r.sample(('key', 'n', 'a', 'é'), r.randint(0, 3))}


def spoil(r, e):
    """The event with something wrong somewhere: gone, null, blank or of another type."""
    e = json.loads(json.dumps(e))  # numbers become texts, which many fields take
    for _ in range(r.randint(1, 3)):
        at = e
        while True:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            if not keys:
                break
            k = r.choice(keys)
            if isinstance(at[k], (dict, list)) and at[k] and r.random() < 0.7:
                at = at[k]
                continue
            c = r.randrange(8)
            if c == 0 and isinstance(at, dict):
                del at[k]
            else:
                at[k] = (None, '', any_value(r, 2), a_number(r), 'nope', True, [], {})[c]
            break
    return e


# ---- mappings ----

def plain(text):
    """An expression as a plain scalar."""
    return f'({text})' if text[0] in '"\'[' else text


def yaml_quoted(text):
    return json.dumps(text, ensure_ascii=False)


class Case:
    """One emit: up to two lets, then fields in their order; each is (name, optional,
    quoted, text)."""

    def __init__(self, rng, depth=4):
        scope = dict(FIELDS)
        self.lets, self.fields = [], []
        for name in ('la', 'lb')[:rng.choice((0, 0, 0, 1, 2))]:
            kind = rng.choice(SCALARS)
            text, opt, _ = Gen(rng, False, scope).gen(kind, rng.randint(1, depth - 1))
            scope[name] = (kind, opt)
            self.lets.append((name, text))
            self.fields.append(('l1' if name == 'la' else 'l2', True, False, name))
        optional = rng.random() < 0.5
        kind = rng.choice(SCALARS + ('list text', 'list dec', 'rows'))
        g = Gen(rng, optional, scope)
        v = 'v' if rng.random() < 0.4 else {
            'text': 'vtext', 'dec': 'vdec', 'bool': 'vbool', 'time': 'vtime', 'date': 'vdate', 'list text': 'vtexts', 'list dec': 'vdecs'}.get(kind, 'v')
        if rng.random() < 0.05:
            v = 'v'
            text = '~ {' + g.sure(kind if kind in SCALARS else 'text', depth - 1) + '} ~'
            self.fields.append((v, optional, True, text))
            kind = 'text'
        elif kind == 'rows':
            self.fields.append((v, optional, False, g.rows(depth)[0] if optional else f'list(z for z in {g.rows(depth - 1)[0]})'))
        else:
            text, opt, p = g.gen(kind, depth)
            self.fields.append((v, optional or opt, False, text))
            optional = optional or opt
        # a date that may be anything else is read back as the text that it became
        mixed = kind == 'date' and any(a in text for a in ('x1', 'x2', 'map', '.value'))
        if rng.random() < 0.1:
            g = Gen(rng, True, scope)
            name, text = rng.choice((('c', rng.choice(('addr', 'home', 'addr ?? home', 'if(b1, home, addr)'))), ('n', rng.choice((
                'nums', 'onums', 'onums ?? []', 'reverse(nums)', f'list({g.loop("dec", 2)[0]})'))), ('r', rng.choice((
                    'lines', 'more', 'reverse(lines)', 'list(z for z in more if z.qty > 1)', 'concat(z for z in lines, y for y in more)',
                    'sort(z.net for z in lines)')))))
            self.fields.append((name, True, False, text))
        if kind in SCALARS and not mixed and rng.random() < 0.15:
            scope[f'$out.{v}'] = (kind, optional)
            self.fields.append(('w', True, False, Gen(rng, True, scope).gen(rng.choice(SCALARS), 2)[0]))

    def yaml(self, k):
        out = f'  - type: diff.out\n    when: $in.k = {k}\n    id: "case {k}"\n    subject: "thing:1"\n'
        if self.lets:
            out += '    let:\n' + ''.join(f'      {n}: {plain(t)}\n' for n, t in self.lets)
        out += '    data:\n'
        for name, opt, quoted, text in self.fields:
            out += f'      {name}{"?" if opt else ""}: {yaml_quoted(text) if quoted else plain(text)}\n'
        return out


def mapping(cases):
    """The file of a batch: case n runs for events whose k is n."""
    out = 'map: diff.batch/1\nfrom: diff.in\ntables:\n'
    for name, t in TABLES.items():
        out += f'  {name}: {json.dumps(t, ensure_ascii=False)}\n'
    out += 'emit:\n  - type: diff.out\n    when: $in.k = -1\n    id: "tables"\n    subject: "thing:1"\n    data:\n      v: "'
    out += ' '.join(f'{{lookup({n}, s1){".t" if "columns" in t else ""}}}' for n, t in TABLES.items()) + '"\n'
    return out + ''.join(c.yaml(k) for k, c in enumerate(cases))


def batch(seed, cases=250):
    """A mapping, its cases, and its events: two for each case, one of them spoiled."""
    rng = random.Random(seed)
    made = [Case(rng) for _ in range(cases)]
    events = []
    for k in range(cases):
        good = an_event(rng)
        events.append({'k': Number(k), **good})
        bad = spoil(rng, good)
        bad['k'] = Number(k)
        events.append(bad)
    return mapping(made), made, [dump(e) for e in events]
