"""The expressions of the mapping language once more, in Python: written from the
language's description alone, to be held against the engine.

It reads text by the grammar, knows no static checks, and takes events as JSON
whose numbers keep their digits (jload). What refuses an event is a Refuse with
the class the engine should give. Where the description leaves something open,
the reading chosen here says so in a comment that begins with "Reading:".
"""
import datetime
import decimal
import hashlib
import json
import re
import unicodedata
import zoneinfo
from decimal import Decimal
from fractions import Fraction

import msgpack

decimal.getcontext().prec = 200
decimal.getcontext().traps[decimal.Inexact] = True
DIGITS = 10 ** 38
INT64 = 2 ** 63
NS = 10 ** 9


class Refuse(Exception):
    def __init__(self, code, text='', absent=False, ask=None):
        super().__init__(text)
        self.code, self.absent, self.ask, self.path = code, absent, ask, None


# ---- JSON with every digit ----

class JNum(str):
    """A number of an event, as its digits."""


def jload(text):
    return json.loads(text, parse_int=JNum, parse_float=JNum)


def jdump(j):
    if isinstance(j, JNum):
        return str(j)
    if isinstance(j, dict):
        return '{' + ','.join(f'{json.dumps(k, ensure_ascii=False)}:{jdump(v)}' for k, v in j.items()) + '}'
    if isinstance(j, list):
        return '[' + ','.join(map(jdump, j)) + ']'
    return json.dumps(j, ensure_ascii=False)


# ---- types, as a source's schema gives them ----

class T:
    def __init__(self, kind, opt=False, item=None, fields=None, blank=False, zone=None, enum=None):
        self.kind, self.opt, self.item, self.fields = kind, opt, item, fields or {}
        self.blank, self.zone, self.enum = blank, zone, enum

    def known(self):
        """Must it be there, as far as the schema says?"""
        return not self.opt and self.kind != 'any'


ANY = T('any')
TEXT = T('text')
BLANK = T('any', blank=True)


def inside(t):
    """What is within a value that no schema describes; "" is what it is around it."""
    return BLANK if t.blank else ANY


def schema_type(doc):
    """A schema file's content as a type."""
    blank, zone = doc.get('blank') == 'absent', doc.get('zone')

    def fields(of, blank, zone):
        return {name.rstrip('?'): one(f, name.endswith('?'), blank, zone) for name, f in of.items()}

    def one(f, opt, blank, zone):
        if isinstance(f, str):
            f = {'type': f}
        if f.get('many'):
            return T('list', opt, item=one({k: v for k, v in f.items() if k != 'many'}, False, blank, zone), blank=blank)
        opt = opt or f.get('optional', False)
        blank = f['blank'] == 'absent' if 'blank' in f else blank
        zone = f.get('zone', zone)
        if 'fields' in f:
            return T('map', opt, fields=fields(f['fields'], blank, zone), blank=blank)
        if 'items' in f:
            return T('list', opt, item=T('map', fields=fields(f['items'], blank, zone), blank=blank), blank=blank)
        if 'list' in f:
            return T('list', opt, item=one(f['list'], False, blank, zone), blank=blank)
        return T(f['type'], opt, blank=blank, zone=zone, enum=f.get('enum'))
    return T('map', fields=fields(doc['fields'], blank, zone))


# ---- values ----
# bool, Decimal, str, Time, Day, Raw (a map or list of the event, with its type),
# list (what a function made), dict (a record that a function made), Absent

class Absent:
    def __init__(self, required=False):
        self.required = required  # by the schema: an absent list of these is refused


class Time(int):
    """Nanoseconds since 1970."""


class Day(int):
    """Days since 1970."""


class Raw:
    def __init__(self, j, t):
        self.j, self.t = j, t


def number(text):
    """A JSON number's value; 38 digits are held."""
    d = Decimal(text)
    scale = max(-d.as_tuple().exponent, 0)
    if scale > 38:
        raise Refuse('RANGE', text)
    return checked(d.quantize(Decimal(1).scaleb(-scale)) if d.as_tuple().exponent > 0 else d)


def coefficient(d):
    """d as an integer and its scale."""
    sign, digits, exp = d.as_tuple()
    c = int(''.join(map(str, digits)) or '0')
    return (-c if sign else c), -exp


def made(c, scale):
    return Decimal((0 if c >= 0 else 1, tuple(map(int, str(abs(c)))), -scale))


def checked(d):
    c, scale = coefficient(d)
    if abs(c) >= DIGITS:
        raise Refuse('RANGE', 'over 38 digits')
    return made(c, scale)


NUMBER = re.compile(r'-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z', re.A)


def text_number(s):
    """The number a text holds, or None. Reading: written as JSON writes them, and
    such as can be stored."""
    if not NUMBER.match(s):
        return None
    try:
        d = number(s)
    except Refuse:
        return None
    return d if -INT64 <= coefficient(d)[0] < INT64 else None


def plain(d):
    return format(d, 'f')


def read(j, t, required=False, zone=None):
    """What stands in the event, taken as its type says."""
    if j is None:
        return Absent(required)
    if j == '' and t.blank and not isinstance(j, JNum):
        return Absent(required)
    is_text, is_num = isinstance(j, str) and not isinstance(j, JNum), isinstance(j, JNum)
    k = t.kind
    if k == 'any':
        if is_num:
            return number(j)
        return Raw(j, t) if isinstance(j, (dict, list)) else j
    if k == 'text' and (is_text or is_num):
        if t.enum and str(j) not in t.enum:
            raise Refuse('TYPE', f'{j} was never seen')
        return str(j)
    if k == 'decimal' and is_num:
        return number(j)
    if k == 'decimal' and is_text and text_number(j) is not None:
        return text_number(j)
    if k == 'integer' and (is_num or is_text):
        d = number(j) if is_num else text_number(j)
        if d is not None and d == d.to_integral_value() and -INT64 <= d < INT64:
            return Decimal(int(d))
    if k == 'bool' and isinstance(j, bool):
        return j
    if k == 'time' and is_text:
        return time_text(j, zone or t.zone)
    if k == 'date' and is_text and re.match(r'\d{4}-\d\d-\d\d\Z', j, re.A):
        return Day(civil_days(*map(int, j.split('-'))))
    # Reading: [] where a map should be is PHP's empty map.
    if k == 'map' and (isinstance(j, dict) or j == []):
        return Raw(j, t)
    if k == 'list' and isinstance(j, list):
        return Raw(j, t)
    raise Refuse('TYPE', f'{k} is wanted')


def stored(d):
    """As a number is written: int64 and at most 9 decimals."""
    c, scale = coefficient(d)
    while scale > 9 and c % 10 == 0:
        c, scale = c // 10, scale - 1
    if scale > 9 or not -INT64 <= c < INT64:
        raise Refuse('RANGE', 'more digits than can be kept')
    return JNum(plain(made(c, scale)))


def written(v):
    """A value as JSON."""
    if isinstance(v, Absent):
        raise Refuse('MISSING', absent=True)
    if isinstance(v, Raw):
        return v.j
    if isinstance(v, (Time, Day)):
        return as_text(v)
    if isinstance(v, Decimal):
        return stored(v)
    if isinstance(v, list):
        return [written(x) for x in v]
    if isinstance(v, dict):
        return {k: written(x) for k, x in v.items() if not isinstance(x, Absent)}
    return v


def copied(v, want, path=''):
    """A value in a field of a known type: of a map the fields that the target has, each
    as if it stood there alone."""
    def refuse(e):
        e.path = e.path or path
        raise e
    try:
        if isinstance(v, Absent):
            raise Refuse('MISSING')
        if want.kind == 'map' and want.fields:
            if isinstance(v, Raw) and v.j != [] and not isinstance(v.j, dict) or not isinstance(v, (Raw, dict)):
                raise Refuse('TYPE')
            out = {}
            for name, t in want.fields.items():
                at = f'{path}.{name}'
                try:
                    one = walk(v, [name], False) if isinstance(v, dict) or v.j != [] else Absent()
                except Refuse as e:
                    e.path = at
                    raise
                if not isinstance(one, Absent) or not t.opt:
                    out[name] = copied(one, t, at)
            return out
        if want.kind == 'list' and want.item:
            if isinstance(v, Raw) and not isinstance(v.j, list) or not isinstance(v, (Raw, list)):
                raise Refuse('TYPE')
            out, n = [], 0
            rest = iter(items(v))
            while True:
                n += 1
                try:
                    one = next(rest, copied)
                except Refuse as e:
                    e.path = f'{path}[{n}]'
                    raise
                if one is copied:
                    return out
                out.append(copied(one, want.item, f'{path}[{n}]'))
        kinds = {'text': str, 'decimal': Decimal, 'integer': Decimal, 'bool': bool, 'time': Time, 'date': Day}
        if want.kind in kinds and not isinstance(v, kinds[want.kind]):
            raise Refuse('TYPE')
        return written(v)
    except Refuse as e:
        refuse(e)


def type_of(v):
    """How $out reads what was written."""
    for kind, of in (('bool', bool), ('decimal', Decimal), ('text', str), ('time', Time), ('date', Day)):
        if isinstance(v, of):
            return T(kind)
    return v.t if isinstance(v, Raw) else ANY


# ---- time ----

EPOCH = datetime.date(1970, 1, 1).toordinal()


def civil_days(y, m, d):
    try:
        return datetime.date(y, m, d).toordinal() - EPOCH
    except ValueError:
        raise Refuse('TYPE', 'no such day')


def in_range(ns):
    if not -INT64 <= ns < INT64:
        raise Refuse('RANGE', 'beyond 1677..2262')
    return Time(ns)


def zone_named(name):
    if not re.match(r'[A-Za-z0-9_+/-]+\Z', name):
        raise Refuse('NOTFOUND', name)
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise Refuse('NOTFOUND', name)


def local_instant(y, mo, d, h, mi, s, ns, zone):
    """Doubled: the earlier. Missing: later by the gap (both are fold=0)."""
    try:
        # a leap second is the second after it
        at = datetime.datetime(y, mo, d, h, mi, min(s, 59), tzinfo=zone_named(zone))
    except ValueError:
        raise Refuse('TYPE', 'no such time')
    secs = (at.toordinal() - EPOCH) * 86400 + h * 3600 + mi * 60 + s
    ns += (secs - int(at.utcoffset().total_seconds())) * NS
    if not -INT64 <= ns < INT64:
        raise Refuse('TYPE', 'beyond 1677..2262')
    return Time(ns)


ISO = re.compile(r'(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?'
                 r'(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)?\Z', re.A)


def time_text(s, zone):
    m = ISO.match(s)
    if not m:
        raise Refuse('TYPE', f'{s} is no time')
    y, mo, d, h, mi, sec = (int(x or 0) for x in m.groups()[:6])
    ns = int((m[7] or '').ljust(9, '0') or 0)
    if h > 23 or mi > 59 or sec > 60:
        raise Refuse('TYPE', s)
    civil_days(y, mo, d)
    if m[8] or m[9]:
        if int(m[10] or 0) > 23 or int(m[11] or 0) > 59:
            raise Refuse('TYPE', s)
        off = (int(m[10] or 0) * 3600 + int(m[11] or 0) * 60) * (-1 if m[9] == '-' else 1)
        at = (civil_days(y, mo, d) * 86400 + h * 3600 + mi * 60 + sec - off) * NS + ns
        if not -INT64 <= at < INT64:
            raise Refuse('TYPE', 'beyond 1677..2262')
        return Time(at)
    if zone is None:
        raise Refuse('TYPE', f'{s} names no zone')
    return local_instant(y, mo, d, h, mi, sec, ns, zone)


PATTERN = re.compile(r'yyyy|MM|dd|HH|mm|ssS?|SSS|.', re.S)
LENGTH = {'yyyy': 4, 'MM': 2, 'dd': 2, 'HH': 2, 'mm': 2, 'ss': 2, 'SSS': 3}


def pattern_parts(p):
    return re.findall(r'yyyy|MM|dd|HH|mm|SSS|ss|.', p, re.S)


def time_pattern(s, pattern, zone):
    got, at = {'MM': 1, 'dd': 1}, 0
    for part in pattern_parts(pattern):
        n = LENGTH.get(part)
        piece = s[at:at + (n or 1)]
        if n and not re.match(r'\d{%d}\Z' % n, piece, re.A) or not n and piece != part:
            raise Refuse('TYPE', 'it does not follow the pattern')
        if n:
            got[part] = int(piece)
        at += n or 1
    if at != len(s) or 'yyyy' not in got or got.get('HH', 0) > 23 or got.get('mm', 0) > 59 or got.get('ss', 0) > 60:
        raise Refuse('TYPE', 'it does not follow the pattern')
    civil_days(got['yyyy'], got['MM'], got['dd'])
    return local_instant(got['yyyy'], got['MM'], got['dd'], got.get('HH', 0), got.get('mm', 0), got.get('ss', 0),
                         got.get('SSS', 0) * 10 ** 6, zone)


def civil(ns, zone):
    """A moment's year, month, day, hour, minute, second, ns in a zone."""
    secs, rest = divmod(ns, NS)
    at = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(seconds=secs)
    at = at.astimezone(zone_named(zone))
    return at.year, at.month, at.day, at.hour, at.minute, at.second, rest


def iso(ns):
    y, mo, d, h, mi, s, rest = civil(ns, 'UTC')
    out = f'{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}'
    if rest % 1000:
        out += f'.{rest:09}'
    elif rest % 10 ** 6:
        out += f'.{rest // 1000:06}'
    elif rest:
        out += f'.{rest // 10 ** 6:03}'
    return out + 'Z'


def as_text(v):
    if isinstance(v, bool):
        return 'true' if v else 'false'
    if isinstance(v, str):
        return v
    if isinstance(v, Decimal):
        return plain(v)
    if isinstance(v, Time):
        return iso(v)
    if isinstance(v, Day):
        return datetime.date.fromordinal(EPOCH + v).isoformat()
    if isinstance(v, Absent):
        raise Refuse('MISSING', absent=True)
    raise Refuse('TYPE', 'text is wanted')


# ---- grammar ----

TOKEN = re.compile(r'\s*(?:(?P<num>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9\x80-\U0010ffff]*)'
                   r'|(?P<root>\$[A-Za-z_0-9]*)|(?P<op>\?\?|!=|<=|>=|[()\[\],.+\-*/<>=])|(?P<quote>["\'])|(?P<end>\Z))',
                   re.A)


class Parser:
    def __init__(self, s, at=0):
        self.s, self.at = s, at
        self.next()

    def next(self):
        m = TOKEN.match(self.s, self.at)
        if not m:  # a hole's end, or nothing of ours
            self.kind, self.tok, self.start = 'stop', '', self.at
            return
        self.kind, self.tok, self.start, self.at = m.lastgroup, m[m.lastgroup], m.start(m.lastgroup), m.end()

    def word(self, w):
        if self.kind in ('name', 'op') and self.tok == w:
            self.next()
            return True
        return False

    def want(self, w):
        if not self.word(w):
            raise SyntaxError(f'{w} is missing at {self.start} of {self.s}')

    def expr(self):
        x = self.conj()
        while self.word('or'):
            x = ('or', x, self.conj())
        return x

    def conj(self):
        x = self.negation()
        while self.word('and'):
            x = ('and', x, self.negation())
        return x

    def negation(self):
        return ('not', self.comparison()) if self.word('not') else self.comparison()

    def comparison(self):
        x = self.addition()
        if self.kind == 'op' and self.tok in ('=', '!=', '<', '<=', '>', '>='):
            op = self.tok
            self.next()
            return ('cmp', op, x, self.addition())
        negated = self.kind == 'name' and self.tok == 'not'
        if negated:
            self.next()
        if self.word('in'):
            self.want('(')
            items = [self.expr()]
            while self.word(','):
                items.append(self.expr())
            self.want(')')
            return ('in', negated, x, items)
        if negated:
            raise SyntaxError('not without in')
        return x

    def addition(self):
        x = self.product()
        while self.kind == 'op' and self.tok in '+-':
            op = self.tok
            self.next()
            x = (op, x, self.product())
        return x

    def product(self):
        x = self.unary()
        while self.kind == 'op' and self.tok in '*/':
            op = self.tok
            self.next()
            x = (op, x, self.unary())
        return x

    def unary(self):
        return ('neg', self.alternative()) if self.word('-') else self.alternative()

    def alternative(self):
        x = self.primary()
        while self.word('??'):
            x = ('??', x, ('neg', self.primary()) if self.word('-') else self.primary())
        return x

    def text(self, quote):
        """Behind the opening quote; a doubled quote is one, {} are holes."""
        parts, lit, s = [], '', self.s
        while True:
            c = s[self.at]
            if c == quote:
                if s[self.at + 1:self.at + 2] == quote:
                    lit, self.at = lit + quote, self.at + 2
                    continue
                self.at += 1
                break
            if c in '{}' and s[self.at + 1:self.at + 2] == c:
                lit, self.at = lit + c, self.at + 2
                continue
            if c == '{':
                x, self.at = hole(s, self.at)
                parts += ([lit] if lit else []) + [x]
                lit = ''
                continue
            lit, self.at = lit + c, self.at + 1
        if lit or not parts:
            parts.append(lit)
        return ('const', parts[0]) if len(parts) == 1 and isinstance(parts[0], str) else ('holes', parts)

    def steps(self):
        out = []
        while self.kind == 'op' and self.tok in ('.', '['):
            if self.tok == '[':
                self.next()
                out.append(int(self.tok))
                self.next()
                self.want(']')
                continue
            if self.s[self.at] in '"\'':
                q = self.s[self.at]
                self.at += 1
                out.append(self.text(q)[1])
            else:
                m = re.compile(r'\$?[A-Za-z_0-9\x80-\U0010ffff]*').match(self.s, self.at)
                out.append(m[0])
                self.at = m.end()
            self.next()
        return out

    def primary(self):
        kind, tok = self.kind, self.tok
        if kind == 'num':
            self.next()
            return ('const', Decimal(tok))
        if kind == 'quote':
            x = self.text(tok)
            self.next()
        elif kind == 'op' and tok == '[':
            self.next()
            self.want(']')
            return ('const', [])
        elif kind == 'op' and tok == '(':
            self.next()
            x = self.expr()
            self.want(')')
        elif kind == 'root':
            self.next()
            x = ('path', tok, [])
        elif kind == 'name':
            self.next()
            if tok in ('true', 'false', 'null'):
                return ('const', {'true': True, 'false': False, 'null': None}[tok])
            x = self.call(tok) if self.kind == 'op' and self.tok == '(' else ('path', tok, [])
        else:
            raise SyntaxError(f'a value is missing at {self.start} of {self.s}')
        steps = self.steps()
        if not steps:
            return x
        return ('path', x[1], x[2] + steps) if x[0] == 'path' else ('steps', x, steps)

    def call(self, name):
        self.next()
        args = []
        if not self.word(')'):
            args.append(self.arg())
            while self.word(','):
                args.append(self.arg())
            self.want(')')
        return ('call', name, args)

    def arg(self):
        x, loops = self.expr(), []
        while self.word('for'):
            loops.append(self.names() + (self.alternative(), self.expr() if self.word('if') else None))
        return x, loops

    def names(self):
        name, count = self.tok, None
        self.next()
        if self.word(','):
            count = self.tok
            self.next()
        self.want('in')
        return name, count


def hole(s, at):
    """{expression} at s[at]; the expression and what is behind it."""
    p = Parser(s, at + 1)
    x = p.expr()
    if s[p.start] != '}':
        raise SyntaxError(f'a hole of {s} does not end')
    return x, p.start + 1


def parse(s):
    p = Parser(s)
    x = p.expr()
    if p.kind != 'end':
        raise SyntaxError(f'{s[p.start:]} is left over of {s}')
    return x


def parse_text(s):
    """A quoted scalar's text with its holes."""
    p = Parser('')
    p.s, p.at = s + '\0', 0
    return p.text('\0')


# ---- evaluation ----

class Table:
    def __init__(self, name, doc):
        self.name, self.unmatched = name, doc['unmatched']
        self.contains = doc.get('by') == 'contains'
        self.columns, self.default = doc.get('columns'), doc.get('default')
        self.rows = {str(k): v for k, v in doc.get('rows', {}).items()}

    def row(self, cells):
        if not self.columns:
            return str(cells)
        cells = cells if isinstance(cells, list) else [cells]
        kinds = {'text': str, 'decimal': Decimal, 'integer': Decimal, 'bool': lambda b: b == 'true'}
        return {name: kinds[kind](c) for (name, kind), c in zip(self.columns.items(), cells)}

    def lookup(self, v):
        key = as_text(v)
        keys = [key]
        if isinstance(v, Decimal) and '.' in key:  # 25.50 and 25.5 are one rate
            keys.append(key.rstrip('0').rstrip('.'))
        for key in dict.fromkeys(keys):
            if self.contains:
                for part, cells in self.rows.items():
                    if ascii_lower(part) in ascii_lower(key):
                        return self.row(cells)
            elif key in self.rows:
                return self.row(self.rows[key])
        u = self.unmatched
        if u == 'keep':
            return key
        if isinstance(u, dict):
            return self.row(u['row'])
        if u == 'report':
            return self.row(self.default) if self.default is not None else key
        if u == 'ask':
            raise Refuse('ASK', ask=(self.name, key))
        raise Refuse('NOTFOUND', f'no row {key}')


def ascii_lower(s):
    return re.sub('[A-Z]', lambda m: m[0].lower(), s)


class Let:
    """Computed when first read."""
    def __init__(self, expr, env):
        self.expr, self.env, self.done, self.value = expr, env, False, None

    def get(self):
        if not self.done:
            self.value = ev(self.expr, self.env)
            self.done = True
        return self.value


class Env:
    def __init__(self, roots, tables, names=None):
        self.roots, self.tables, self.names = roots, tables, names or {}

    def bind(self, **names):
        return Env(self.roots, self.tables, {**self.names, **names})


def need(v):
    if isinstance(v, Absent):
        raise Refuse('MISSING', absent=True)
    return v


def truth(v):
    if not isinstance(need(v), bool):
        raise Refuse('TYPE', 'a condition is wanted')
    return v


def num(v):
    if not isinstance(need(v), Decimal):
        raise Refuse('TYPE', 'a number is wanted')
    return v


def whole(v):
    d = num(v)
    if d != d.to_integral_value() or not -INT64 <= d < INT64:
        raise Refuse('RANGE', 'a whole number is wanted')
    return int(d)


def compare(a, b):
    for kinds in ((bool,), (Decimal,), (str,), (Time,), (Day,)):
        if isinstance(a, kinds) and isinstance(b, kinds) and isinstance(a, bool) == isinstance(b, bool):
            return (a > b) - (a < b)
    raise Refuse('TYPE', 'they do not compare')


def walk(v, steps, required, zone=None):
    """Down a path from a value."""
    for i, s in enumerate(steps):
        if isinstance(v, Absent):
            return Absent(required)
        if isinstance(v, list) and isinstance(s, int):
            v = v[s - 1] if 0 < s <= len(v) else Absent()
            required = False
            continue
        if isinstance(v, dict) and isinstance(s, str):
            v = v.get(s, Absent())
            required = not isinstance(v, Absent)
            continue
        if not isinstance(v, Raw):
            # Reading: an empty text where a map or a list should be is nothing.
            if v == '':
                return Absent()
            raise Refuse('TYPE', f'{s} of a scalar')
        j, t = v.j, v.t
        if isinstance(s, int):
            if not isinstance(j, list):
                raise Refuse('TYPE', f'[{s}] of a map')
            to = t.item or inside(t) if t.kind == 'list' else inside(t)
            required = False
            if s > len(j):
                return Absent()
            j = j[s - 1]
        else:
            to = t.fields.get(s) or inside(t) if t.kind == 'map' else inside(t)
            required = required and to.known()
            if j == []:
                return Absent(required)
            if not isinstance(j, dict):
                raise Refuse('TYPE', f'.{s} of a list')
            if s not in j:
                return Absent(required)
            j = j[s]
        last = i == len(steps) - 1
        if j is None:
            v = Absent(required)
        elif last:
            v = read(j, to, required, zone)
        elif isinstance(j, (dict, list)):
            v = Raw(j, to)
        else:
            v = '' if j == '' and not isinstance(j, JNum) else j
            if v != '':
                raise Refuse('TYPE', 'a scalar within a path')
    return v


def path(x, env, zone=None):
    root, steps = x[1], x[2]
    if root in env.names:
        v = env.names[root]
        v = v.get() if isinstance(v, Let) else v
        return walk(v, steps, not isinstance(v, Absent) or v.required, zone)
    if root[0] == '$':
        return walk(env.roots[root], steps, True, zone)
    return walk(env.roots['$in'], [root] + steps, True, zone)


def ev(x, env):
    op = x[0]
    if op == 'const':
        return Absent() if x[1] is None else x[1]
    if op == 'path':
        return path(x, env)
    if op == 'steps':
        return walk(ev(x[1], env), x[2], False)
    if op == 'holes':
        return ''.join(p if isinstance(p, str) else as_text(ev(p, env)) for p in x[1])
    if op in ('or', 'and'):
        if truth(ev(x[1], env)) == (op == 'or'):
            return op == 'or'
        return truth(ev(x[2], env))
    if op == 'not':
        return not truth(ev(x[1], env))
    if op == 'cmp':
        a = need(ev(x[2], env))
        c = compare(a, need(ev(x[3], env)))
        return {'=': c == 0, '!=': c != 0, '<': c < 0, '<=': c <= 0, '>': c > 0, '>=': c >= 0}[x[1]]
    if op == 'in':
        a = need(ev(x[2], env))
        for item in x[3]:
            if compare(a, need(ev(item, env))) == 0:
                return not x[1]
        return x[1]
    if op == '??':
        v = ev(x[1], env)
        return ev(x[2], env) if isinstance(v, Absent) else v
    if op == 'neg':
        c, scale = coefficient(num(ev(x[1], env)))
        return made(-c, scale)
    if op in ('+', '-', '*'):
        a = num(ev(x[1], env))
        return arith(op, a, num(ev(x[2], env)))
    if op == 'call':
        return FUNCTIONS[x[1]](env, *x[2])
    raise AssertionError(op)


def arith(op, a, b):
    (ca, sa), (cb, sb) = coefficient(a), coefficient(b)
    if op == '*':
        c, scale = ca * cb, sa + sb
        if abs(c) >= 2 ** 128:
            raise Refuse('RANGE')
        while scale > 38 and c % 10 == 0:
            c, scale = c // 10, scale - 1
        if scale > 38:
            raise Refuse('RANGE')
        return checked(made(c, scale))
    scale = max(sa, sb)
    ca, cb = ca * 10 ** (scale - sa), cb * 10 ** (scale - sb)
    if abs(ca) >= DIGITS or abs(cb) >= DIGITS:
        raise Refuse('RANGE')
    return checked(made(ca + cb if op == '+' else ca - cb, scale))


# ---- functions ----

FUNCTIONS = {}


def function(f):
    FUNCTIONS[f.__name__.rstrip('_')] = f
    return f


def value(env, arg):
    return ev(arg[0], env)


def bare(arg):
    """A word, plain or quoted."""
    return arg[0][1] if arg[0][0] in ('path', 'const') else None


def items(v):
    """What for goes through."""
    if isinstance(v, Absent):
        if v.required:
            raise Refuse('MISSING', absent=True)
        return []
    if isinstance(v, list):
        return v
    if not isinstance(v, Raw) or not isinstance(v.j, list):
        raise Refuse('TYPE', 'a list is wanted')
    t = v.t.item or inside(v.t) if v.t.kind == 'list' else inside(v.t)
    return (read(j, t) for j in v.j)


def rounds(env, loops):
    """Each environment of nested loops."""
    if not loops:
        yield env, None
        return
    name, count, over, cond = loops[0]
    for i, v in enumerate(items(ev(over, env)), 1):
        inner = env.bind(**{name: v})
        if count:
            inner.names[count] = Decimal(i)
        if cond is not None and not truth(ev(cond, inner)):
            continue
        for deepest, row in rounds(inner, loops[1:]):
            yield deepest, v if len(loops) == 1 else row


def each(env, arg):
    """Values of `x for ..`, or of a list."""
    x, loops = arg
    if not loops:
        yield from items(ev(x, env))
        return
    for inner, _ in rounds(env, loops):
        yield ev(x, inner)


def keyed(env, arg):
    return [(need(ev(arg[0], inner)), row) for inner, row in rounds(env, arg[1])]


@function
def if_(env, c, x, y):
    return value(env, x if truth(value(env, c)) else y)


@function
def has(env, x):
    return not isinstance(value(env, x), Absent)


@function
def need_(env, x):
    v = value(env, x)
    if isinstance(v, Absent):
        raise Refuse('MISSING', 'need() insists')  # in an optional field too
    return v


@function
def lookup(env, table, key):
    return env.tables[bare(table)].lookup(need(value(env, key)))


def rounded(f, places, how):
    """A fraction to so many decimals; half up is away from zero."""
    n = abs(f) * 10 ** places
    q, rest = divmod(n.numerator, n.denominator)
    twice = rest * 2
    if twice > n.denominator or twice == n.denominator and (how == 'half_up' or q % 2):
        q += 1
    return checked(made(q if f >= 0 else -q, places))


def fraction(d):
    c, scale = coefficient(d)
    return Fraction(c, 10 ** scale)


@function
def round_(env, x, places, how=None):
    places = whole(value(env, places))
    if not 0 <= places <= 9:
        raise Refuse('RANGE')
    how = bare(how) if how else 'half_up'
    if x[0][0] != '/':
        return rounded(fraction(num(value(env, x))), places, how)
    n = num(ev(x[0][1], env))
    d = num(ev(x[0][2], env))
    if d == 0:
        raise Refuse('RANGE', 'division by zero')
    return rounded(fraction(n) / fraction(d), places, how)


@function
def abs_(env, x):
    c, scale = coefficient(num(value(env, x)))
    return made(abs(c), scale)


@function
def sum_(env, arg):
    total = None
    for v in each(env, arg):
        total = num(v) if total is None else arith('+', total, num(v))
    return Decimal(0) if total is None else total


@function
def count(env, arg):
    return Decimal(len(list(each(env, arg))))


@function
def any_(env, arg):
    return any(truth(v) for v in each(env, arg))


@function
def all_(env, arg):
    return all(truth(v) for v in each(env, arg))


@function
def first(env, arg):
    return next(iter(each(env, arg)), Absent())


@function
def last(env, arg):
    v = Absent()
    for v in each(env, arg):
        pass
    return v


@function
def at(env, arg, n):
    n = whole(value(env, n))
    if n < 1:
        return Absent()
    for i, v in enumerate(each(env, arg), 1):
        if i == n:
            return v
    return Absent()


@function
def list_(env, arg):
    return [need(v) for v in each(env, arg)]


@function
def concat(env, *args):
    out = []
    for arg in args:
        for v in each(env, arg):
            if arg[1] and (isinstance(v, list) or isinstance(v, Raw) and isinstance(v.j, list)):
                # Reading: what is in a list that is joined in may be absent until it is used.
                out += items(v)
            else:
                out.append(need(v))
    return out


@function
def reverse(env, arg):
    return [need(v) for v in each(env, arg)][::-1]


@function
def sort(env, arg):
    import functools
    pairs = keyed(env, arg)
    if len(pairs) > 1:
        pairs.sort(key=functools.cmp_to_key(lambda a, b: compare(a[0], b[0])))
    return [row for _, row in pairs]


@function
def group(env, arg):
    groups = []
    for key, row in keyed(env, arg):
        if isinstance(key, (Raw, list, dict)):
            raise Refuse('TYPE', 'no key')
        for g in groups:
            if compare(key, g['key']) == 0:
                g['rows'].append(row)
                break
        else:
            groups.append({'key': key, 'rows': [row]})
    return groups


@function
def allocate(env, total, places, arg):
    total = num(value(env, total))
    places = whole(value(env, places))
    if not 0 <= places <= 9:
        raise Refuse('RANGE')
    cents = fraction(total) * 10 ** places
    if cents.denominator != 1:
        raise Refuse('RANGE', 'the total has more decimals')
    cents = cents.numerator
    if abs(cents) >= DIGITS:
        raise Refuse('RANGE')
    rows = keyed(env, arg)
    if not rows:
        if cents:
            raise Refuse('RANGE', 'nothing to allocate to')
        return []
    weights = []
    for w, _ in rows:
        if num(w) <= 0:
            raise Refuse('RANGE', 'a weight that is not above zero')
        weights.append(fraction(w))
    unit = max(coefficient(w)[1] for w, _ in rows)
    parts_of = [int(w * 10 ** unit) for w in weights]
    whole_sum = sum(parts_of)
    if whole_sum >= 2 ** 127 or any(abs(cents) * w >= 2 ** 127 for w in parts_of):
        raise Refuse('RANGE', 'too large to divide')
    shares = [abs(cents) * w // whole_sum for w in parts_of]
    rest = [(-(abs(cents) * w % whole_sum), i) for i, w in enumerate(parts_of)]
    for _, i in sorted(rest)[:abs(cents) - sum(shares)]:
        shares[i] += 1
    return [{'part': made(s if cents >= 0 else -s, places), 'row': row} for s, (_, row) in zip(shares, rows)]


@function
def entries(env, m):
    m = need(value(env, m))
    if isinstance(m, dict):
        return [{'key': k, 'value': v} for k, v in m.items() if not isinstance(v, Absent)]
    if isinstance(m, Raw) and m.j == []:
        return []
    if not isinstance(m, Raw) or not isinstance(m.j, dict):
        raise Refuse('TYPE', 'a map is wanted')
    return [{'key': k, 'value': read(j, ANY)} for k, j in m.j.items()]


@function
def time(env, x, how=None, zone=None):
    if zone is not None:
        s, p, z = as_text(value(env, x)), as_text(value(env, how)), as_text(value(env, zone))
        zone_named(z)
        return time_pattern(s, p, z)
    unit = bare(how) if how else None
    if unit in ('s', 'ms'):
        v = need(value(env, x))
        if isinstance(v, str):
            v = text_number(v)
            if v is None:
                raise Refuse('TYPE')
        ns = arith('*', num(v), Decimal(NS if unit == 's' else 10 ** 6))
        return in_range(int(rounded(fraction(ns), 0, 'half_up')))
    if how is None:
        v, z = need(value(env, x)), None
    else:
        # the zone given here is how a field without one is read
        v = need(path(x[0], env, zone=lazy_zone(env, how, x)) if x[0][0] == 'path' else value(env, x))
        if isinstance(v, Time):
            return v
        z = as_text(value(env, how))
        zone_named(z)
    if isinstance(v, Time):
        return v
    if isinstance(v, Day) and z:
        day = datetime.date.fromordinal(EPOCH + v)
        try:
            return local_instant(day.year, day.month, day.day, 0, 0, 0, 0, z)
        except Refuse:
            raise Refuse('RANGE')
    if not isinstance(v, str):
        raise Refuse('TYPE')
    return time_text(v, z)


def lazy_zone(env, how, x):
    """The zone by which a field of type time is read that has none of its own."""
    return how[0][1] if how[0][0] == 'const' else None


@function
def date(env, t, zone):
    t = need(value(env, t))
    if not isinstance(t, Time):
        raise Refuse('TYPE')
    z = as_text(value(env, zone))
    return Day(civil_days(*civil(t, z)[:3]))


@function
def add(env, t, n, unit):
    t = need(value(env, t))
    n = whole(value(env, n))
    if not isinstance(t, (Time, Day)):
        raise Refuse('TYPE')
    days, rest = divmod(t, 86400 * NS) if isinstance(t, Time) else (int(t), 0)
    try:
        if bare(unit) == 'days':
            days += n
            day = datetime.date.fromordinal(EPOCH + days)
        else:
            day = datetime.date.fromordinal(EPOCH + days)
            y, m = divmod(day.year * 12 + day.month - 1 + n, 12)
            d = day.day
            while True:
                try:
                    day = datetime.date(y, m + 1, d)
                    break
                except ValueError:
                    if not 1 <= y <= 9999:
                        raise
                    d -= 1
            days = day.toordinal() - EPOCH
    except (ValueError, OverflowError):
        raise Refuse('RANGE')
    return in_range(days * 86400 * NS + rest) if isinstance(t, Time) else Day(days)


@function
def format_(env, t, pattern, zone=None):
    t, p = need(value(env, t)), as_text(value(env, pattern))
    if isinstance(t, Day):
        z, t = 'UTC', in_range(t * 86400 * NS)
    else:
        if not isinstance(t, Time) or zone is None:
            raise Refuse('TYPE')
        z = as_text(value(env, zone))
    y, mo, d, h, mi, s, ns = civil(t, z)
    of = {'yyyy': f'{y:04}', 'MM': f'{mo:02}', 'dd': f'{d:02}', 'HH': f'{h:02}', 'mm': f'{mi:02}', 'ss': f'{s:02}',
          'SSS': f'{ns // 10 ** 6:03}'}
    return ''.join(of.get(part, part) for part in pattern_parts(p))


def letter(c, to):
    """Letters of Latin, Greek and Cyrillic that have one letter as their other case."""
    o = to(c)
    if c in 'İ':  # Reading: the one letter whose small form is two marks
        return 'i' if to is str.lower else c
    if len(o) != 1 or not unicodedata.name(c, '').startswith(('LATIN', 'GREEK', 'CYRILLIC')):
        return c
    return o


@function
def upper(env, x):
    return ''.join(letter(c, str.upper) for c in as_text(value(env, x)))


@function
def lower(env, x):
    return ''.join(letter(c, str.lower) for c in as_text(value(env, x)))


def trimmed(s):
    return s.strip(' \t\n\v\f\r\xa0')


@function
def trim(env, x):
    return trimmed(as_text(value(env, x)))


@function
def replace(env, x, what, by):
    s, what, by = (as_text(value(env, a)) for a in (x, what, by))
    if not what:
        raise Refuse('RANGE')
    return s.replace(what, by)


@function
def split(env, x, by):
    s, by = as_text(value(env, x)), as_text(value(env, by))
    if not by:
        raise Refuse('RANGE')
    return s.split(by)


@function
def join(env, by, arg):
    by = as_text(value(env, by))
    return by.join([as_text(v) for v in each(env, arg)])


ENTITY = re.compile(r'&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z0-9]+);')
TAG = re.compile(r'<(/?|!)[A-Za-z/!][^>]*>')
PARTS = re.compile(r'</?(br|p|div|li|td|tr|ul|ol)(?![A-Za-z])', re.I)


@function
def html(env, x):
    import html as lib
    s, out, i = as_text(value(env, x)), '', 0
    while i < len(s):
        m = TAG.match(s, i)
        if m:
            if PARTS.match(m[0]) and out and out[-1] != ' ':
                out += ' '
        else:
            m = ENTITY.match(s, i)
            if m:
                out += lib.unescape(m[0]).replace('\xa0', ' ')
        if not m:
            out += s[i]
        i = m.end() if m else i + 1
    return trimmed(out)


@function
def text(env, x, places=None, mark=None):
    v = need(value(env, x))
    if places is not None:
        places = whole(value(env, places))
        f = fraction(num(v))
        if not 0 <= places <= 9 or (f * 10 ** places).denominator != 1:
            raise Refuse('RANGE')
        v = rounded(f, places, 'half_up')
    s = as_text(v)
    return s.replace('.', as_text(value(env, mark))) if mark is not None else s


def number_in(v):
    if isinstance(need(v), str):
        d = text_number(v)
        if d is None:
            raise Refuse('TYPE')
        return d
    return num(v)


@function
def decimal_(env, x):
    return number_in(value(env, x))


@function
def int_(env, x):
    d = number_in(value(env, x))
    if d != d.to_integral_value() or not -INT64 <= d < INT64:
        raise Refuse('RANGE')
    return Decimal(int(d))


def packed(j):
    """A part of an event as the journal holds it: msgpack, shortest; a number that is
    no whole one of 64 bits is an ext of its digits."""
    if isinstance(j, JNum):
        if re.match(r'(0|-?[1-9][0-9]*)\Z', j) and -INT64 <= int(j) < 2 ** 64:
            return msgpack.packb(int(j))
        return msgpack.packb(msgpack.ExtType(68, j.encode()))
    if isinstance(j, dict):
        head = msgpack.Packer().pack_map_header(len(j))
        return head + b''.join(msgpack.packb(k) + packed(v) for k, v in j.items())
    if isinstance(j, list):
        return msgpack.Packer().pack_array_header(len(j)) + b''.join(map(packed, j))
    return msgpack.packb(j)


@function
def hash_(env, x):
    v = need(value(env, x))
    if isinstance(v, Raw):
        return hashlib.sha256(packed(v.j)).hexdigest()
    return hashlib.sha256(as_text(v).encode()).hexdigest()


PLACES = {**dict.fromkeys('BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'.split(), 0),
          **dict.fromkeys('BHD IQD JOD KWD LYD OMR TND'.split(), 3), **dict.fromkeys('CLF UYW'.split(), 4)}


def places_of(s):
    if not re.match(r'[A-Za-z]{3}\Z', s):
        raise Refuse('RANGE', 'a currency is three letters')
    return PLACES.get(s.upper(), 2)


@function
def minor(env, x, currency):
    d = num(value(env, x))
    places = places_of(as_text(value(env, currency)))
    if d != d.to_integral_value() or not -INT64 <= d < INT64:
        raise Refuse('RANGE')
    return made(int(d), places)


@function
def to_minor(env, x, currency):
    d = num(value(env, x))
    f = fraction(d) * 10 ** places_of(as_text(value(env, currency)))
    if f.denominator != 1 or not -INT64 <= f < INT64:
        raise Refuse('RANGE')
    return Decimal(int(f))


@function
def fi_reference(env, x):
    s = as_text(value(env, x))
    while len(s) > 1 and s[0] == '0':
        s = s[1:]
    if not 3 <= len(s.encode()) <= 19:
        raise Refuse('RANGE')
    if not re.match(r'[0-9]+\Z', s):
        raise Refuse('TYPE')
    total = sum(int(c) * (7, 3, 1)[i % 3] for i, c in enumerate(reversed(s)))
    return s + str(-total % 10)


@function
def rf(env, x):
    s = re.sub('[a-z]', lambda m: m[0].upper(), as_text(value(env, x)).replace(' ', ''))
    if re.search(r'[^0-9A-Z]', s):
        raise Refuse('TYPE')
    if not 1 <= len(s) <= 21:
        raise Refuse('RANGE')
    n = int(''.join(str(int(c, 36)) for c in s + 'RF00'))
    return f'RF{98 - n % 97:02}{s}'
