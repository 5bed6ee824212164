"""vayla map check, test, run and vayla check, as a person at a terminal has them."""

import json
import os
import pathlib
import subprocess

import msgpack
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
VAYLA = ROOT / os.environ.get("VAYLA_BUILD", "build") / "vayla"

SCHEMA_IN = """\
schema: kiosk.sale/1
fields:
  receipt: text
  total: decimal
  by: text
  note?: text
"""
SCHEMA_OUT = """\
schema: payment.captured/1
subject: {kind: order, scope: system}
fields:
  amount: decimal
  method: text
  note?: text
"""
MAPPING = """\
map: kiosk.sale/1
from: kiosk.sale
tables:
  how: {unmatched: ask, rows: {visa: card}}
emit:
  - type: payment.captured
    id: "sale"
    subject: "order:{receipt}"
    data:
      amount: total
      method: lookup(how, by)
      note?: note
tests:
  - name: a sale
    given: {receipt: "7", total: "1.50", by: visa}
    expect: {amount: "1.50", method: card}
"""


@pytest.fixture
def packs(tmp_path):
    folder = tmp_path / "packs"
    (folder / "canonical").mkdir(parents=True)
    (folder / "kiosk" / "schema").mkdir(parents=True)
    (folder / "canonical" / "payment.captured.yaml").write_text(SCHEMA_OUT)
    (folder / "kiosk" / "pack.yaml").write_text("pack: kiosk/1\nsettings: {zone: {type: zone, default: UTC}}\n")
    (folder / "kiosk" / "schema" / "kiosk.sale.yaml").write_text(SCHEMA_IN)
    (folder / "kiosk" / "sale.map.yaml").write_text(MAPPING)
    return folder


def vayla(*words, stdin=b"", cwd=ROOT, **env):
    return subprocess.run(
        [str(VAYLA), *map(str, words)],
        input=stdin,
        capture_output=True,
        timeout=60,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **{k: str(v) for k, v in env.items()}},
    )


def test_the_packs_of_the_house_check_and_pass():
    out = vayla("map", "check")
    assert out.returncode == 0, out.stderr.decode()
    assert b" 0 with faults" in out.stdout
    out = vayla("map", "test")
    assert out.returncode == 0, out.stdout.decode()
    last = out.stdout.decode().splitlines()[-1]
    passed = int(last.split()[0])
    assert last == f"{passed} passed, 0 failed" and passed > 0


def test_check_names_place_and_nearest(packs):
    file = packs / "kiosk" / "sale.map.yaml"
    file.write_text(MAPPING.replace("amount: total", "amount: totl").replace("note?: note", "note: note"))
    out = vayla("map", "check", file)
    said = out.stderr.decode()
    assert out.returncode == 1
    assert f"{file}:10:15: " in said and "total" in said
    assert f"{file}:12:" in said and "note" in said
    assert out.stdout.decode() == "1 mapping, 1 with faults, 0 warnings\n"


def test_test_fails_and_says_what(packs):
    file = packs / "kiosk" / "sale.map.yaml"
    assert vayla("map", "test", file).stdout.endswith(b"\n1 passed, 0 failed\n")
    file.write_text(MAPPING.replace('{amount: "1.50"', '{amount: "1.51"'))
    out = vayla("map", "test", VAYLA_PACKS=packs)
    assert out.returncode == 1
    said = out.stdout.decode()
    assert 'amount: expected "1.51", got 1.50' in said and "sale.map.yaml:10:15" in said
    assert said.endswith("0 passed, 1 failed\n")


def test_run_prints_what_is_emitted(packs, tmp_path):
    file = packs / "kiosk" / "sale.map.yaml"
    sale = b'{"receipt": "7", "total": 79.90, "by": "visa"}'
    out = vayla("map", "run", file, stdin=sale)
    assert out.returncode == 0, out.stderr.decode()
    assert b'"amount":79.90' in out.stdout  # every digit
    event = json.loads(out.stdout)
    assert (event["type"], event["subject"]) == ("payment.captured", "order:kiosk/7")
    assert len(event["id"]) == 32
    named = tmp_path / "sale.json"
    named.write_bytes(sale)
    out = vayla("map", "run", file, named, "-o", "msgpack")
    (packed,) = msgpack.unpackb(out.stdout)
    assert packed["id"] == event["id"] and packed["data"]["method"] == "card"


def test_run_takes_a_whole_event(packs):
    file = packs / "kiosk" / "sale.map.yaml"
    file.write_text(MAPPING.replace('    subject: "order:{receipt}"\n', ""))
    event = {"specversion": "1.0", "type": "kiosk.sale", "id": "x", "subject": "order:99",
             "data": {"receipt": "7", "total": "1", "by": "visa"}}
    out = vayla("map", "run", file, stdin=json.dumps(event).encode())
    assert out.returncode == 0, out.stderr.decode()
    assert json.loads(out.stdout)["subject"] == "order:kiosk/99"


@pytest.mark.parametrize(
    "body, said",
    [
        (b'{"receipt": "7", "total": 1, "by": "gold"}', b"asks: "),
        (b'{"receipt": "7", "by": "visa"}', b"refused: "),
        (b'{"receipt": "7", "total": 1, "by": "visa"', b"line 1"),
        (b"", b"vayla map run: "),
        (b"[]", b"refused: "),
    ],
)
def test_run_refuses_on_stderr(packs, body, said):
    out = vayla("map", "run", packs / "kiosk" / "sale.map.yaml", stdin=body)
    assert out.returncode == 1 and out.stdout == b""
    assert said in out.stderr


def test_run_answers_line_by_line(packs):
    file = packs / "kiosk" / "sale.map.yaml"
    lines = [b'{"receipt": "7", "total": 79.90, "by": "visa"}', b'{"receipt": "8", "total": 1, "by": "gold"}',
             b'{"receipt": "9", "by": "visa"}', b"{", b"[7]"]
    out = vayla("map", "run", file, "--lines", stdin=b"\n".join(lines))
    assert out.returncode == 0, out.stderr.decode()
    sale, gold, none, broken, odd = map(json.loads, out.stdout.splitlines())
    assert sale["verdict"] == "ok" and [e["type"] for e in sale["events"]] == ["payment.captured"]
    assert b'"amount":79.90' in out.stdout
    assert (gold["verdict"], gold["table"], gold["key"]) == ("ask", "how", "gold")
    assert (none["verdict"], none["error"], none["path"]) == ("error", "MISSING", "payment.captured: amount")
    assert none["where"].endswith("sale.map.yaml:10:15") and "total" in none["text"]
    assert (broken["verdict"], broken["error"]) == ("error", "SYNTAX")
    assert (odd["verdict"], odd["error"]) == ("error", "TYPE")


def test_usage():
    assert vayla("map").returncode == 2
    assert vayla("map", "chekc").returncode == 2
    assert vayla("map", "run").returncode == 2
    assert vayla("map", "run", "x", "-o", "xml").returncode == 2
    assert vayla("map", "test", "--verbos").returncode == 2
    for words in (["map", "--help"], ["map", "test", "--help"], ["check", "--help"]):
        out = vayla(*words)
        assert out.returncode == 0 and b"usage" in out.stdout.lower()
    out = vayla("map", "check", "/nonexistent.map.yaml")
    assert out.returncode == 1 and b"/nonexistent.map.yaml" in out.stderr


def test_vayla_check(packs, tmp_path):
    conf = tmp_path / "vayla.yaml"
    conf.write_text("broker: {packs: packs}\nsystems:\n  till: {use: kiosk}\n")
    out = vayla("check", conf)
    assert out.returncode == 0, out.stderr.decode()
    assert b"1 systems, 1 mappings in use, ruleset " in out.stdout
    conf.write_text("broker: {packs: packs, dta: x}\nsystems:\n  till: {use: kiosk, zne: UTC, of: tilll}\n  b: {use: kisk}\n")
    (packs / "kiosk" / "sale.map.yaml").write_text(MAPPING.replace("amount: total", "amount: totl"))
    (packs / "kiosk" / "pack.yaml").write_text("pack: kiosk/1\nsettings: {zone: {type: zone}}\nreceive: [{verfy: x}]\n")
    out = vayla("check", conf)
    said = out.stderr.decode()
    assert out.returncode == 2
    for part in ('"dta"', '"zne"', '"tilll"', '"kisk"', "totl", "verfy"):
        assert part in said, (part, said)
    out = vayla("check", tmp_path / "none.yaml")
    assert out.returncode != 0 and b"none.yaml" in out.stderr
