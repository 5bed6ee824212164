"""shop - a shop and a payment provider as small as they can be: orders in the
shop's shape, callbacks in the provider's, signed here and not by our C."""
import base64
import hashlib
import hmac
import json
import urllib.error
import urllib.parse
import urllib.request


def euro(cents):
    return f'{cents // 100}.{cents % 100:02d}'


def shop_order(number, lines=((2, 1950, 2550),), shipping=590, status='processing', modified='2026-03-02T09:21:10', **more):
    """lines: (quantity, unit net in cents, VAT in hundredths of a percent)."""
    classes = {2550: '', 1350: 'reduced-rate', 0: 'zero-rate'}
    items, net, vat = [], 0, 0
    for n, (quantity, unit, rate) in enumerate(lines, 1):
        line = quantity * unit
        tax = (line * rate + 5000) // 10000
        net, vat = net + line, vat + tax
        items.append({'id': n, 'name': f'Tuote {n}', 'product_id': 30 + n, 'variation_id': 0, 'quantity': quantity,
                      'tax_class': classes[rate], 'subtotal': euro(line), 'subtotal_tax': euro(tax), 'total': euro(line),
                      'total_tax': euro(tax), 'taxes': [], 'meta_data': [], 'sku': f'SKU-{n}', 'price': unit / 100})
    ship_tax = (shipping * 2550 + 5000) // 10000
    person = {'first_name': 'Aino', 'last_name': 'Korhonen', 'company': '', 'address_1': 'Satamakatu 4', 'address_2': '',
              'city': 'Tampere', 'state': '', 'postcode': '33100', 'country': 'FI'}
    order = {
        'id': 5000000 + number, 'parent_id': 0, 'number': str(number), 'order_key': f'wc_order_t{number}', 'created_via': 'checkout',
        'version': '9.4.2', 'status': status, 'currency': 'EUR', 'date_created': '2026-03-02T11:20:05',
        'date_created_gmt': '2026-03-02T09:20:05', 'date_modified': modified, 'date_modified_gmt': modified,
        'discount_total': '0.00', 'discount_tax': '0.00', 'shipping_total': euro(shipping), 'shipping_tax': euro(ship_tax),
        'cart_tax': euro(vat), 'total': euro(net + vat + shipping + ship_tax), 'total_tax': euro(vat + ship_tax),
        'prices_include_tax': False, 'customer_id': 7, 'customer_note': '',
        'billing': {**person, 'email': f'aino.{number}@example.fi', 'phone': '+358401234567'}, 'shipping': person,
        'payment_method': 'paytrail', 'payment_method_title': 'Verkkopankki', 'transaction_id': '', 'date_paid': None,
        'date_paid_gmt': None, 'date_completed': None, 'date_completed_gmt': None, 'meta_data': [], 'line_items': items,
        'tax_lines': [], 'fee_lines': [], 'coupon_lines': [], 'refunds': [],
        'shipping_lines': [{'id': 90, 'method_title': 'Postipaketti', 'method_id': 'flat_rate', 'total': euro(shipping),
                            'total_tax': euro(ship_tax), 'taxes': [], 'meta_data': []}] if shipping else []}
    order.update(more)
    return order


def total_cents(order):
    return int(order['total'].replace('.', ''))


def request(url, method='GET', body=None, headers=None, timeout=15):
    """(status, body); a refusal is an answer too."""
    r = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(r, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


def send_order(v, secret, order, topic='order.created', system='shop'):
    body = order if isinstance(order, bytes) else json.dumps(order).encode()
    mac = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return request(f'{v.url}/in/{system}', 'POST', body, {
        'Content-Type': 'application/json', 'X-WC-Webhook-Topic': topic, 'X-WC-Webhook-Signature': mac})


def send_callback(v, secret, number, cents, transaction, status='ok', provider='osuuspankki', system='payments', alg='sha256'):
    q = {'checkout-account': '375917', 'checkout-algorithm': alg, 'checkout-amount': str(cents), 'checkout-stamp': f's{number}',
         'checkout-reference': str(number), 'checkout-transaction-id': transaction, 'checkout-status': status,
         'checkout-provider': provider}
    text = ''.join(f'{k}:{q[k]}\n' for k in sorted(q))
    q['signature'] = hmac.new(secret.encode(), text.encode(), alg).hexdigest()
    return request(f'{v.url}/in/{system}?{urllib.parse.urlencode(q)}')
