"""sign - signatures of webhooks, written apart from our C: from the vendors'
descriptions alone, with Python's hmac. Used to check what `vayla sim` signs, and
to sign what the receiver must take."""
import base64
import hashlib
import hmac


def body_base64(secret, body, how='sha256'):
    """HMAC over the raw body, as base64."""
    return base64.b64encode(hmac.new(secret.encode(), body, how).digest()).decode()


def sorted_params(secret, params, body=b'', prefix='checkout-'):
    """Every parameter with the prefix as name:value lines in order, then the body."""
    lines = [f'{k}:{params[k]}' for k in sorted(params) if k.startswith(prefix)]
    how = params[prefix + 'algorithm']
    assert how in ('sha256', 'sha512'), how
    return hmac.new(secret.encode(), '\n'.join(lines).encode() + b'\n' + body, how).hexdigest()


def time_and_body(secret, seconds, body):
    """t=..,v1=.. over "t.body"."""
    mac = hmac.new(secret.encode(), f'{seconds}.'.encode() + body, hashlib.sha256).hexdigest()
    return f't={seconds},v1={mac}'


def form_values(secret, fields, but='hash'):
    """The values alone, in the order of their names, joined by &."""
    text = '&'.join(fields[k] for k in sorted(fields) if k != but)
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
