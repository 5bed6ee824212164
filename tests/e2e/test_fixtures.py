"""Every payload of other people's that we have, against a committed table.

Each row of expected_fixtures.tsv is sent over HTTP to a system of its own in a
running Vayla, so no row can lean on another; the outcome is then read from the
journal over the bus. Signatures are made here, with Python's hmac, and not by
the code under test. Where the fixtures are not there, all rows are skipped, and
that is said; a fixture without a row fails.
"""
import base64
import hashlib
import hmac
import json
import pathlib
import re
import urllib.parse

import pytest

import sign
from harness import FIXTURES, until
from shop import request
from vyclient import Client, No, Silence, event

TABLE = pathlib.Path(__file__).with_name("expected_fixtures.tsv")
FOLDERS = ("woocommerce", "paytrail", "live/woocommerce/webhooks",
           "pakettikauppa", "posti", "matkahuolto")
SHOP_SECRET = "a secret of the tests"
CAPTURE_SECRET = "whsec-1"          # the live captures were signed with it
PARCEL_SECRET = "a1b2c3d4e5f6"
PAYTRAIL_SECRET = "SAIPPUAKAUPPIAS"  # published with the vectors

pytestmark = pytest.mark.skipif(
    not FIXTURES.is_dir(),
    reason=f"NO FIXTURES: there is no folder {FIXTURES}; set VAYLA_FIXTURES. "
           "Nothing of expected_fixtures.tsv was tested")


def rows():
    out = []
    for line in TABLE.read_text().splitlines():
        if line.startswith("#") or line.startswith("file\t") or not line:
            continue
        file, send, outcome = line.split("\t")[:3]
        out.append((file, send, outcome))
    return out


ROWS = rows()


def system_of(i, send):
    """Each row has its own system; the captures share one, as they did."""
    return "live" if send == "capture" else f"s{i:03d}"


def config_systems():
    out = {}
    for i, (_, send, _) in enumerate(ROWS):
        name = system_of(i, send)
        if send in ("query", "headers", "post"):
            out[name] = {"use": "paytrail", "secret": PAYTRAIL_SECRET}
        elif send == "push":
            out[name] = {"use": "pakettikauppa", "secret": PARCEL_SECRET}
        elif send == "posti.tracking" or send == "posti.shipment":
            out[name] = {"use": "posti"}
        elif send == "matkahuolto.tracking":
            out[name] = {"use": "matkahuolto"}
        else:
            secret = CAPTURE_SECRET if send == "capture" else SHOP_SECRET
            out[name] = {"use": "woocommerce", "webhook_secret": secret}
    return out


def woo_signature(secret, body):
    mac = hmac.new(secret.encode(), body, hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


def paytrail_signature(secret, params, body=b""):
    lines = [f"{k}:{v}" for k, v in sorted(params.items())
             if k.startswith("checkout-")]
    text = "\n".join(lines).encode() + b"\n" + body
    how = getattr(hashlib, params.get("checkout-algorithm", "sha256"))
    return hmac.new(secret.encode(), text, how).hexdigest()


def inside(body, pointer):
    """The value at a/0/b of a JSON document, as bytes again."""
    at = json.loads(body)
    for step in pointer.split("/"):
        at = at[int(step)] if isinstance(at, list) else at[step]
    return json.dumps(at).encode()


def request_of(file, send, flip=None):
    """(method, path and query behind /in/SYSTEM, headers, body); flip: a
    function that spoils what is signed."""
    name, _, pointer = file.partition("#")
    headers = {}
    if send == "capture":
        head = (FIXTURES / f"{name}.head").read_text().splitlines()
        body = (FIXTURES / f"{name}.body").read_bytes()
        for line in head[1:]:
            key, colon, value = line.partition(": ")
            if colon and key.lower() not in (
                    "host", "connection", "content-length", "accept-encoding"):
                headers[key] = value
        if flip:
            body = flip(body)
        return "POST", "", headers, body
    body = (FIXTURES / name).read_bytes()
    if send == "query":
        query = body.decode().strip().partition("?")[2]
        return "GET", "?" + (flip(query) if flip else query), headers, b""
    if send == "headers":
        params = dict(line.split(": ", 1)
                      for line in body.decode().splitlines() if line)
        query = urllib.parse.urlencode(params)
        return "GET", "?" + (flip(query) if flip else query), headers, b""
    if send == "push":
        if pointer:
            body = inside(body, pointer)
        fields = {"api_key": "0", "event": "68", "timestamp": "1500000000",
                  "tracking_code": "JJFI64574900000137203",
                  "object": body.decode()}
        fields["hash"] = sign.form_values(PARCEL_SECRET, fields)
        form = urllib.parse.urlencode(fields)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return "POST", "", headers, (flip(form) if flip else form).encode()
    if send == "post":
        headers["Content-Type"] = "application/json"
        return "POST", "", headers, body
    if pointer:
        body = inside(body, pointer)
    headers["Content-Type"] = "application/json"
    headers["X-WC-Webhook-Topic"] = send
    headers["X-WC-Webhook-Signature"] = woo_signature(SHOP_SECRET, body)
    if flip:
        body = flip(body)
    return "POST", "", headers, body


def is_polled(send):
    """What no sender pushes: a poll gets it, and publishes it on the bus."""
    return send.startswith(("posti.", "matkahuolto."))


REFUSED = {400: "broken", 401: "bad_signature", 405: "bad_method",
           413: "too_large", 415: "bad_type", 422: "unfit"}


class Sent:
    """One request: its status, and which records of the journal it made."""

    def __init__(self, v, bus, system, made):
        method, path, headers, body = made
        self.system = system
        self.first = bus.ask("status")["journal"]["next"]
        self.status, self.said = request(
            f"{v.url}/in/{system}{path}", method, body or None, headers)
        self.next = bus.ask("status")["journal"]["next"]

    @classmethod
    def polled(cls, v, bus, system, type, file):
        """As the http connector publishes what it was answered; its own, which
        has no address to ask, comes back to the bus after us."""
        one = cls.__new__(cls)
        data = json.loads((FIXTURES / file).read_bytes())
        one.system, one.status, one.said = system, 200, ""
        one.first = bus.ask("status")["journal"]["next"]
        for tries in range(20):
            connector = Client(v.bus, system, "connector")
            try:
                connector.hello()
                connector.publish(event(
                    id=file, source=system, type=type,
                    subject=f"parcel:{file}", data=data))
                break
            except (No, Silence):
                assert tries < 19
            finally:
                connector.close()
        one.next = bus.ask("status")["journal"]["next"]
        return one

    def outcome(self, bus, held):
        if self.status != 200:
            assert self.first == self.next, "refused, and yet stored"
            return "refused:" + REFUSED.get(self.status, str(self.status))
        if self.first == self.next:
            return "nothing stored"
        for item in held:
            if item["sub"].startswith(f"map:{self.system}/"):
                self.said = item["text"]
                if item.get("table"):
                    return f"parked:ask {item['table']}"
                return f"parked:{item['path'].split(': ')[-1]}"
        made = []
        for seq in range(self.first, self.next):
            record = bus.ask("event", seq=seq)
            if record["kind"] == "event" and "cause" in record:
                made.append(record["type"])
        counted = [t if made.count(t) == 1 else f"{t}*{made.count(t)}"
                   for t in sorted(set(made))]
        return "translated:" + "+".join(counted) if made else "nothing"


def flipped(data):
    """One bit less right, in the middle: of the body or of the query."""
    at = len(data) // 2
    if isinstance(data, bytes):
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
    while not data[at].isdigit():  # a digit stays a digit: 0 <-> 1
        at += 1
    return data[:at] + str(int(data[at]) ^ 1) + data[at + 1:]


def test_every_file_has_a_row():
    named = {file.partition("#")[0] for file, _, _ in ROWS}
    missing = []
    for folder in FOLDERS:
        for path in sorted((FIXTURES / folder).iterdir()):
            name = str(path.relative_to(FIXTURES))
            if path.suffix in (".head", ".body"):
                name = name.rsplit(".", 1)[0]
            if path.is_file() and name not in named:
                missing.append(name)
    assert not missing, f"no row in {TABLE.name} for {missing}"
    assert len(set((f, s) for f, s, _ in ROWS)) == len(ROWS)


def test_every_row_comes_out_as_expected(vayla):
    # Ignored, dropped and duplicate all answer 200 and store nothing; which it
    # was is told by the counters of receiver and broker.
    v = vayla(config_systems())
    v.start()
    bus = Client(v.bus, "fixtures", "operator")
    bus.hello()
    failed, sent, counts = [], [], {"duplicate": 0, "ignored": 0, "dropped": 0}
    for i, (file, send, want) in enumerate(ROWS):
        system = system_of(i, send)
        if is_polled(send):
            sent.append(Sent.polled(v, bus, system, send, file))
            continue
        if want.startswith(("translated", "parked", "nothing", "dup")):
            spoilt = Sent(v, bus, system, request_of(file, send, flipped))
            if (spoilt.status, spoilt.first) != (401, spoilt.next):
                failed.append(f"{file} {send}, one bit flipped: taken")
        sent.append(Sent(v, bus, system, request_of(file, send)))
        if want in counts:
            counts[want] += 1

    def held():
        """All that is held, once the index has heard of it."""
        known = bus.ask("status")["counts"]
        items = bus.ask("open", sub="", after=0, max=1000)["items"]
        return [items] if len(items) == sum(
            known[k] for k in ("ask", "parked", "wait", "behind")) else None
    items = until(held)[0]
    for (file, send, want), one in zip(ROWS, sent):
        got = one.outcome(bus, items)
        if want in counts and got == "nothing stored":
            got = want
        if got != want:
            failed.append(f"{file} {send}: expected {want}, got {got}: {one.said}")
    got = {}

    def counted():
        said = request(f"{v.url}/metrics")[1].decode()
        got["duplicate"] = bus.ask("status")["counts"]["duplicates"]
        for what in ("ignored", "dropped"):
            got[what] = sum(map(int, re.findall(
                rf'requests_total{{.*outcome="{what}"}} (\d+)', said)))
        return got == counts
    try:
        until(counted)
    except AssertionError:
        failed.append(f"counters: expected {counts}, got {got}")
    bus.close()
    print(f"fixtures: {len(ROWS) - len(failed)} passed, {len(failed)} failed, "
          "0 skipped")
    assert not failed, "\n" + "\n".join(failed)
