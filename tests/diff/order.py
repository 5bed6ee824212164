"""WooCommerce's order in Python: what mappings/woocommerce/order.map.yaml says, said
once more by hand, and orders at random to hold the two against each other."""
import json
import re
from decimal import Decimal

import evaluator as ev
from evaluator import Refuse
from generate import Number, dump

ABSENT = Refuse('MISSING', absent=True)
PAY = {'bacs': 'bank_transfer', 'cheque': 'other', 'cod': 'cash_on_delivery', 'paypal': 'wallet', 'ppcp-gateway': 'wallet',
       'stripe': 'card', 'stripe_cc': 'card', 'woocommerce_payments': 'card', 'paytrail': 'online',
       'checkout_finland': 'online', 'klarna_payments': 'invoice', 'kco': 'invoice', 'vipps': 'wallet',
       'mobilepay': 'wallet', 'svea_checkout': 'online', 'gift_card': 'gift_card'}
CLASS = {'standard': 'S', 'reduced-rate': 'R', 'reduced-rate-2': 'R', 'zero-rate': 'Z', 'untaxed': 'Z'}
RATE = {'25.5': 'S', '24': 'S', '22': 'S', '14': 'R', '13.5': 'R', '10': 'R', '0': 'Z'}


# ---- reading: None is absent, and "" is sent for it ----

def at(j, name):
    """A map's field; nothing of nothing. PHP writes an empty map as []."""
    if j is None or j == '' and not isinstance(j, ev.JNum) or j == []:
        return None
    if not isinstance(j, dict):
        raise Refuse('TYPE', f'.{name} of no map')
    return j.get(name)


def text(j, name):
    j = at(j, name)
    if isinstance(j, (dict, list, bool)):
        raise Refuse('TYPE', name)
    return None if j is None or j == '' else str(j)


def number(j, name):
    j = at(j, name)
    if j is None or j == '':
        return None
    if isinstance(j, ev.JNum):
        return ev.number(j)
    n = ev.text_number(j) if isinstance(j, str) else None
    if n is None:
        raise Refuse('TYPE', name)
    return n


def time(j, name):
    j = at(j, name)
    if j is None or j == '':
        return None
    if not isinstance(j, str) or isinstance(j, ev.JNum):
        raise Refuse('TYPE', name)
    return ev.time_text(j, 'UTC')


def many(j, name, must=False):
    j = at(j, name)
    if j is None or j == '':
        if must:
            raise ABSENT
        return
    if not isinstance(j, list):
        raise Refuse('TYPE', name)
    for one in j:
        if isinstance(one, (bool, ev.JNum)) or isinstance(one, (str, list)) and one:
            raise Refuse('TYPE', 'a map is wanted')
        yield one


def need(v):
    if v is None:
        raise ABSENT
    return v


def add(*terms):
    total = terms[0]
    for t in terms[1:]:
        total = ev.arith('+', total, t)
    return total


def total(values):
    values = list(values)
    return add(*values) if values else Decimal(0)


def html(s):
    return ev.html(ev.Env({}, {}), (('const', s), []))


def lookup(table, name, key):
    if key not in table:
        raise Refuse('ASK', ask=(name, key))
    return table[key]


# ---- the order ----

class Out:
    """What is built, and where we are in it."""

    def __init__(self, path):
        self.path, self.data = path, {}

    def where(self, name):
        return f'{self.path}{"." if self.path[-1] not in " " else ""}{name}'

    def put(self, name, make, optional=False):
        try:
            v = make()
            if v is None:
                raise ABSENT
            if isinstance(v, Out):
                v = v.data
                if optional and not v:
                    return
            elif not isinstance(v, list):
                v = ev.written(v)
                if optional and v == '':
                    return  # the vocabulary's "" is absent
            self.data[name] = v
        except Refuse as e:
            if optional and e.absent and e.path is None:
                return
            raise Refused(e, e.path or self.where(name))

    def maybe(self, name, make):
        self.put(name, make, True)

    def inner(self, name):
        return Out(self.where(name))


def Refused(e, path):
    r = Refuse(e.code, str(e), False, e.ask)
    r.path = path
    return r


class Order:
    def __init__(self, o, now):
        self.o, self.now, self.events = o, now, []

    def text(self, name):
        return text(self.o, name)

    def time(self, name):
        return time(self.o, name)

    def part(self, part, make):
        """A part of an emit that is no field: its refusal names it."""
        try:
            return make()
        except Refuse as e:
            raise Refused(e, part)

    def part_each(self, part, source):
        items = iter(many(self.o, source))
        while True:
            try:
                one = next(items, self)
            except Refuse as e:
                raise Refused(e, part)
            if one is self:
                return
            yield one

    def subject(self, kind):
        return self.part(f'{kind}: subject', lambda: 'order:woocommerce/' + need(self.text('number')))

    def run(self):
        status = self.part('when', lambda: need(self.text('status')))
        if status in ('checkout-draft', 'auto-draft', 'draft'):
            return None
        self.placed()
        if status in ('cancelled', 'trash'):
            self.cancelled()
        self.cards(status)
        self.refunds()
        return self.events

    def emit(self, kind, fact, subject, refs, data):
        if refs:
            self.events.append({'type': kind, 'fact': fact, 'subject': subject, 'refs': refs, 'data': data})
        else:
            self.events.append({'type': kind, 'fact': fact, 'subject': subject, 'data': data})

    def placed(self):
        subject = self.subject('order.placed')
        refs = []
        for kind, name in (('woo', 'id'), ('orderkey', 'order_key'), ('payment', 'transaction_id')):
            v = self.part('order.placed: refs', lambda: self.text(name) if name != 'id' else need(self.text('id')))
            if v is not None:
                refs.append(f'{kind}:woocommerce/{v}')
        self.part('order.placed: again', lambda: need(self.time('date_modified_gmt')))
        out = Out('order.placed: ')
        out.put('number', lambda: self.text('number'))
        out.put('placed_at', lambda: self.time('date_created_gmt'))
        out.put('changed_at', lambda: self.time('date_modified_gmt'))
        out.put('currency', lambda: need(self.text('currency')).upper())
        out.put('source_status', lambda: self.text('status'))
        out.put('buyer', lambda: self.buyer(out.inner('buyer')))
        out.maybe('billing', lambda: self.address(out.inner('billing'), 'billing'))
        out.maybe('delivery', lambda: self.address(out.inner('delivery'), 'shipping'))
        for name, source, one in (('lines', 'line_items', self.line), ('shipping', 'shipping_lines', self.ship),
                                  ('fees', 'fee_lines', self.fee), ('discounts', 'coupon_lines', self.coupon)):
            out.put(name, lambda: self.each(out.where(name), source, one, name == 'lines'))
        d = out.data
        rows = d['lines'] + d['shipping'] + d['fees']
        out.put('vat_summary', lambda: self.summary(out.where('vat_summary'), rows))
        out.put('totals', lambda: self.totals(out.inner('totals'), d['vat_summary']))
        out.put('payment', lambda: self.payment(out.inner('payment')))
        out.maybe('note', lambda: self.text('customer_note'))
        parts = len(rows)
        if abs(Decimal(d['totals']['rounding'])) > Decimal('0.01') + Decimal('0.005') * parts:
            raise Refused(Refuse('CHECK'), 'order.placed: check')
        self.emit('order.placed', 'placed', subject, refs, d)

    def name(self, where):
        first, last = text(where, 'first_name'), text(where, 'last_name')
        return None if first is None and last is None else ev.trimmed(f'{first or ""} {last or ""}')

    def buyer(self, out):
        billing = at(self.o, 'billing')
        out.maybe('customer_id', lambda: None if self.text('customer_id') == '0' else self.text('customer_id'))
        out.maybe('email', lambda: text(billing, 'email'))
        out.maybe('name', lambda: self.name(billing))
        out.maybe('company', lambda: text(billing, 'company'))
        out.maybe('phone', lambda: text(billing, 'phone'))
        out.maybe('vat_id', self.vat_id)
        return out

    def vat_id(self):
        for m in many(self.o, 'meta_data'):
            if need(text(m, 'key')) in ('_vat_number', 'vat_number', '_billing_vat_number'):
                v = at(m, 'value')
                if v is None or v == '' and not isinstance(v, ev.JNum):
                    return None
                if isinstance(v, ev.JNum):
                    ev.number(v)
                if not isinstance(v, str) or isinstance(v, ev.JNum):
                    raise Refuse('TYPE', 'a text is wanted')
                return v
        return None

    def address(self, out, source):
        a = at(self.o, source)
        if not any(text(a, n) is not None for n in ('address_1', 'city', 'country')):
            return out
        out.maybe('name', lambda: self.name(a))
        for name, field in (('company', 'company'), ('street', 'address_1'), ('street2', 'address_2'), ('postcode', 'postcode'),
                            ('city', 'city'), ('region', 'state'), ('country', 'country')):
            out.maybe(name, lambda: text(a, field))
        if source == 'shipping':
            out.maybe('phone', lambda: text(a, 'phone'))
        return out

    def each(self, path, source, one, must):
        out = []
        for j in many(self.o, source, must):
            item = Out(f'{path}[{len(out) + 1}]')
            one(item, j)
            out.append(item.data)
        return out

    @staticmethod
    def taxed(j):
        """Did the shop put a tax on it, be it of nothing?"""
        return need(number(j, 'total_tax')) != 0 or any(number(t, 'total') is not None for t in many(j, 'taxes'))

    def rate(self, j):
        """That of the first tax line that it points at."""
        for r in many(self.o, 'tax_lines'):
            for t in many(j, 'taxes'):
                if (text(r, 'rate_id') or '') == need(text(t, 'id')) and number(t, 'total') is not None:
                    return number(r, 'rate_percent')
        return None

    def code(self, j):
        return lookup(CLASS, 'vat_code', text(j, 'tax_class') or 'standard' if self.taxed(j) else 'untaxed')

    def line(self, out, l):
        def thing():
            v = text(l, 'variation_id')
            v = text(l, 'product_id') if (v or '0') == '0' else v
            return v if v is not None else need(text(l, 'id'))

        def unit():
            n = need(number(l, 'quantity'))
            return None if n == 0 else ev.rounded(ev.fraction(need(number(l, 'total'))) / ev.fraction(n), 4, 'half_up')
        out.put('id', lambda: text(l, 'id'))
        out.put('sku', lambda: text(l, 'sku') or f'WOO-{thing()}')
        out.put('name', lambda: html(text(l, 'name') or f'WOO-{thing()}'))
        out.put('quantity', lambda: number(l, 'quantity'))
        out.maybe('unit_net', unit)
        out.put('net', lambda: number(l, 'total'))
        out.put('vat', lambda: number(l, 'total_tax'))
        out.put('vat_code', lambda: self.code(l))
        out.maybe('vat_rate', lambda: self.rate(l))
        out.put('discounts', lambda: self.discount(out.where('discounts'), l))

    def discount(self, path, l):
        try:
            net, before = number(l, 'total'), number(l, 'subtotal')
            if before is None or before <= net:
                return []
        except Refuse as e:
            raise Refused(e, f'{path}[1]')
        item = Out(f'{path}[1]')
        item.put('amount', lambda: ev.arith('-', before, net))
        return [item.data]

    def class_of(self, s):
        """That of the first line taxed at a rate of this shipping."""
        for l in many(self.o, 'line_items'):
            for t in many(l, 'taxes'):
                for u in many(s, 'taxes'):
                    if need(text(t, 'id')) == need(text(u, 'id')) and number(u, 'total') is not None:
                        return text(l, 'tax_class') or 'standard'
        return None

    def ship(self, out, s):
        def code():
            if self.taxed(s) and self.rate(s) is not None and self.class_of(s) is None:
                return lookup(RATE, 'rate_code', ev.plain(self.rate(s)))
            return lookup(CLASS, 'vat_code', self.class_of(s) or 'standard' if self.taxed(s) else 'untaxed')
        out.put('id', lambda: text(s, 'id'))
        out.put('name', lambda: html(text(s, 'method_title') or text(s, 'method_id') or 'shipping'))
        out.put('net', lambda: number(s, 'total'))
        out.put('vat', lambda: number(s, 'total_tax'))
        out.put('vat_code', code)
        out.maybe('vat_rate', lambda: self.rate(s))

    def fee(self, out, f):
        out.put('id', lambda: text(f, 'id'))
        out.put('name', lambda: html(text(f, 'name') or 'fee'))
        out.put('net', lambda: number(f, 'total'))
        out.put('vat', lambda: number(f, 'total_tax'))
        out.put('vat_code', lambda: self.code(f))
        out.maybe('vat_rate', lambda: self.rate(f))

    @staticmethod
    def coupon(out, c):
        out.maybe('code', lambda: text(c, 'code'))
        out.put('net', lambda: number(c, 'discount'))
        out.maybe('vat', lambda: number(c, 'discount_tax'))

    @staticmethod
    def summary(path, rows):
        out = []
        for code in dict.fromkeys(r['vat_code'] for r in rows):
            item = Out(f'{path}[{len(out) + 1}]')
            item.put('code', lambda: code)
            for name in ('net', 'vat'):
                item.put(name, lambda: total(Decimal(r[name]) for r in rows if r['vat_code'] == code))
            out.append(item.data)
        return out

    def totals(self, out, summary):
        def gross():
            return add(need(number(self.o, 'total')), total(need(number(g, 'amount')) for g in many(self.o, 'gift_cards')))
        out.put('net', lambda: total(Decimal(v['net']) for v in summary))
        out.put('vat', lambda: total(Decimal(v['vat']) for v in summary))
        out.put('gross', gross)
        out.put('rounding', lambda: ev.arith('-', gross(), total(add(Decimal(v['net']), Decimal(v['vat'])) for v in summary)))
        return out

    def payment(self, out):
        method = self.text
        out.maybe('method', lambda: lookup(PAY, 'pay_method', need(method('payment_method'))))
        out.maybe('source_method', lambda: method('payment_method'))
        out.maybe('title', lambda: html(need(method('payment_method_title'))))
        out.maybe('transaction_id', lambda: method('transaction_id'))
        out.maybe('paid_at', lambda: self.time('date_paid_gmt'))
        return out

    def cancelled(self):
        subject = self.subject('order.cancelled')
        out = Out('order.cancelled: ')
        out.put('number', lambda: self.text('number'))
        out.put('cancelled_at', lambda: self.time('date_modified_gmt'))
        out.put('source_status', lambda: self.text('status'))
        self.emit('order.cancelled', 'cancelled', subject, [], out.data)

    def cards(self, status):
        kind = 'payment.captured'
        for n, g in enumerate(self.part_each(f'{kind}: each', 'gift_cards'), 1):
            if not self.part(f'{kind}: when', lambda: self.time('date_paid_gmt')) and \
                    status not in ('processing', 'completed', 'refunded'):
                continue
            subject = self.subject(kind)
            card = self.part(f'{kind}: id', lambda: text(g, 'id') or str(n))
            out = Out(f'{kind}: ')
            out.put('payment_id', lambda: f'giftcard-{need(self.text("id"))}-{card}')
            out.put('order_number', lambda: self.text('number'))
            out.put('method', lambda: 'gift_card')
            out.put('amount', lambda: number(g, 'amount'))
            out.put('currency', lambda: need(self.text('currency')).upper())
            out.put('captured_at', lambda: self.time('date_paid_gmt') or self.time('date_created_gmt'))
            out.put('source_status', lambda: status)
            self.once(kind, f'giftcard:{card}', subject, [], out.data)

    def once(self, kind, fact, subject, refs, data):
        """One id twice is one event if it says the same."""
        for e in self.events:
            if (e['type'], e['fact']) == (kind, fact):
                if e['data'] != data:
                    raise Refused(Refuse('EXISTS'), f'{kind}: id')
                return
        self.emit(kind, fact, subject, refs, data)

    def refunds(self):
        kind = 'refund.requested'
        for r in self.part_each(f'{kind}: each', 'refunds'):
            subject = self.subject(kind)
            number_of = self.part(f'{kind}: id', lambda: need(text(r, 'id')))
            out = Out(f'{kind}: ')
            out.put('refund_id', lambda: number_of)
            out.put('order_number', lambda: self.text('number'))
            out.put('amount', lambda: abs(need(number(r, 'total'))))
            out.put('currency', lambda: need(self.text('currency')).upper())
            out.maybe('reason', lambda: text(r, 'reason'))
            self.once(kind, f'refund:{number_of}', subject, [f'woorefund:woocommerce/{number_of}'], out.data)


def wanted(o, now):
    """What becomes of an order, as `vayla map run --lines` answers."""
    try:
        events = Order(o, now).run()
    except Refuse as e:
        if e.ask:
            return {'verdict': 'ask', 'path': e.path, 'table': e.ask[0], 'key': e.ask[1]}
        return {'verdict': 'error', 'path': e.path, 'error': e.code}
    if events is None:
        return {'verdict': 'skip'}
    return {'verdict': 'ok', 'events': [{k: v for k, v in e.items() if k != 'fact'} for e in events]}


def got(answer):
    if answer['verdict'] == 'ok':
        return {'verdict': 'ok', 'events': [{k: v for k, v in e.items() if k != 'id'} for e in answer['events']]}
    return {k: answer[k] for k in ('verdict', 'path', 'table' if answer['verdict'] == 'ask' else 'error', 'key') if k in answer}


# ---- orders at random ----

def cents(c):
    return f'{"-" if c < 0 else ""}{abs(c) // 100}.{abs(c) % 100:02}'


def some_order(r):
    """As shops send them: totals that follow from their parts, most of the time."""
    rates = [{'rate_id': Number(3), 'rate_percent': Number('25.5'), 'class': ''},
             {'rate_id': Number(4), 'rate_percent': Number('13.5'), 'class': 'reduced-rate'},
             {'rate_id': Number(5), 'rate_percent': Number('0'), 'class': 'zero-rate'}]
    total = 0

    def taxes(rate, net):
        nonlocal total
        vat = round(net * Decimal(rate['rate_percent']) / 100)
        total += net + vat
        return vat, [{'id': rate['rate_id'], 'total': cents(vat) + '1', 'subtotal': ''}] if r.random() < 0.9 else []

    def item(k, prefix, most):
        rate = r.choice(rates)
        net = r.choice((0, r.randrange(most), r.randrange(most), -r.randrange(most // 4)))
        vat, tax = taxes(rate, net)
        return {'id': Number(prefix + k), 'total': cents(net), 'total_tax': cents(vat), 'taxes': tax}, rate, net

    o = {'id': Number(r.randrange(10 ** 6)), 'number': str(r.randrange(1, 10 ** 6)), 'status': r.choice(
        ('processing', 'completed', 'on-hold', 'pending', 'cancelled', 'refunded', 'failed', 'trash', 'draft', 'wc-packed')),
        'currency': r.choice(('EUR', 'eur', 'SEK', 'NOK')), 'date_created_gmt': '2026-03-01T09:58:41',
        'date_modified_gmt': f'2026-03-{r.randint(1, 28):02}T10:{r.randint(0, 59):02}:07',
        'customer_id': Number(r.choice((0, 0, 88))), 'customer_note': r.choice(('', '', 'Soita kahdesti', None)),
        'order_key': r.choice(('wc_order_x', '', None)), 'transaction_id': r.choice(('', 'tx-9', None)),
        'payment_method': r.choice(list(PAY) + ['', 'quickpay']), 'payment_method_title': r.choice(('Kortti &amp; pankki', '')),
        'date_paid_gmt': r.choice(('2026-03-01T09:59:05', None, ''))}
    for where in ('billing', 'shipping'):
        o[where] = {n: r.choice((v, v, '', None)) for n, v in (
            ('first_name', 'Aino'), ('last_name', 'Virtanen'), ('company', 'Laine Oy'), ('address_1', 'Satamakatu 7'), ('address_2', '2. krs'),
            ('city', 'Turku'), ('state', 'FI-19'), ('postcode', '20100'), ('country', 'FI'), ('phone', '050'), ('email', 'a@example.test'))}
        if r.random() < 0.1:
            o[where] = r.choice((None, '', [], {}))
    o['meta_data'] = [{'id': Number(k), 'key': r.choice(('_vat_number', 'other', 'vat_number')), 'value': r.choice(
        ('FI01234567', '', None, ['x'], Number(7)))} for k in range(r.choice((0, 0, 1, 2)))]
    o['line_items'] = []
    for k in range(r.choice((0, 1, 1, 2, 3, 6))):
        line, rate, net = item(k, 700, 20000)
        off = r.choice((0, 0, 250))
        o['line_items'].append({**line, 'name': r.choice(('Kahvikuppi &ndash; sininen', 'Tee <b>500 g</b>', 'Mug')), 'sku': r.choice(
            ('MUG', '', None, Number(123))), 'product_id': Number(61), 'variation_id': Number(r.choice((0, 78))), 'tax_class': rate['class'],
            'quantity': r.choice((Number(1), Number(3), Number('1.5'), '2', Number(0))), 'subtotal': cents(net + off), 'price': Number('10.8')})
    o['shipping_lines'] = [{**item(k, 800, 900)[0], 'method_title': r.choice(('Noutopiste', '')), 'method_id': 'flat_rate'}
                           for k in range(r.choice((0, 1, 1, 2)))]
    fees = [item(k, 900, 500) for k in range(r.choice((0, 0, 1)))]
    o['fee_lines'] = [{**f, 'name': r.choice(('Lahjapaketti', '')), 'tax_class': rate['class']} for f, rate, _ in fees]
    o['coupon_lines'] = [{'id': Number(1), 'code': 'kevat10', 'discount': '5.80', 'discount_tax': '1.18'}][:r.choice((0, 0, 1))]
    o['tax_lines'] = [{'id': Number(k), 'rate_id': t['rate_id'], 'rate_percent': t['rate_percent'], 'rate_code': 'x'}
                      for k, t in enumerate(rates) if r.random() < 0.9]
    if r.random() < 0.15:
        cards = [{'id': Number(43 + k // r.choice((1, 2))), 'amount': r.choice(('20.00', Number(2), '5'))} for k in range(r.randint(1, 3))]
        o['gift_cards'] = [{k: v for k, v in c.items() if k != 'id' or r.random() < 0.8} for c in cards]
        total -= round(sum(Decimal(c['amount']) for c in o['gift_cards']) * 100)
    if r.random() < 0.2:
        o['refunds'] = [{'id': Number(5090 + k), 'reason': r.choice(('', 'Rikki')), 'total': r.choice(('-35.79', Number(1)))}
                        for k in range(r.randint(1, 2))]
    o['total'] = cents(total + r.choice((0, 0, 0, 0, 1, -1, 300)))
    return o


def spoil(r, o):
    """Something gone, null, blank or of another type, anywhere."""
    o = json.loads(dump(o), parse_int=Number, parse_float=Number)
    for _ in range(r.randint(1, 2)):
        where = o
        while where:
            k = r.choice(list(where) if isinstance(where, dict) else range(len(where)))
            if isinstance(where[k], (dict, list)) and where[k] and r.random() < 0.85:
                where = where[k]
                continue
            c = r.randrange(11)
            if c == 0 and isinstance(where, dict):
                del where[k]
            elif c < 3 and isinstance(where[k], str):
                # a number for a text, a text for a number
                v = where[k]
                where[k] = str(v) if isinstance(v, Number) else Number(v) if re.match(r'-?(0|[1-9]\d*)(\.\d+)?\Z', v) else v + ' '
            else:
                where[k] = (None, '', Number('12.345678901'), Number(7), 'nope', True, [], {}, '1e3', Number('99999999999999999999'), '-0.00')[c]
            break
    return o
