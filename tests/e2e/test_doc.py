"""vayla map doc: a mapping in words, for people who keep books."""
import html.parser
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
VAYLA = ROOT / os.environ.get('VAYLA_BUILD', 'build') / 'vayla'

FILES = {
    'canonical/payment.captured.yaml': '''\
schema: payment.captured/1
title: Money came in
subject: {kind: order, scope: system}
fields:
  amount: {type: decimal, title: what came in}
  method: {type: text, title: "card | cash"}
  note?: text
  parts?: {items: {net: {type: decimal, title: without VAT}, share?: decimal}}
''',
    'till/pack.yaml': 'pack: till/1\ntitle: A till\nsettings: {zone: {type: zone, default: UTC}}\n',
    'till/schema/till.sale.yaml': '''\
schema: till.sale/1
title: A sale
fields:
  receipt: text
  state: text
  total: decimal
  fee?: decimal
  by: text
  note?: text
  rows: {items: {net: decimal, pieces: integer}}
''',
    'till/sale.map.yaml': '''\
# A sale is money in hand: what the till
# says is <believed>.
map: till.sale/2
from: till.sale
when: state in ('paid', 'closed')
join:
  sold: {last: payment.captured, subject: $event.subject, absent: none}
  before: {all: payment.captured, subject: $event.subject}
tables:
  how:
    unmatched: ask
    rows: {visa: card, 'a|b': cash}
let:
  net: sum(r.net for r in rows if r.pieces > 0)
emit:
  - type: payment.captured
    id: "sale:{receipt}"
    again: revise by count(before)
    subject: "order:{receipt}"
    refs: ["till:{receipt}"]
    data:
      amount: total - fee ?? 0
      method: lookup(how, lower(by))
      note?: note
      parts:
        each: r, i in rows
        when: not r.pieces = 0
        item:
          net: r.net
          share?: if(has(sold.amount), round(r.net / sold.amount, 2), null)
    check:
      - $out.amount <= net * 2
tests:
  - name: a sale by card
    given: {receipt: "7", state: paid, total: "1.50", by: VISA, rows: [{net: "1.20", pieces: 1}]}
    expect: {amount: "1.50", method: card}
  - name: another way asks
    given: {receipt: "7", state: paid, total: "1.50", by: gold, rows: [{net: "1.20", pieces: 1}]}
    asks: how
''',
}

PAGE = '''\
# till.sale, version 2

A sale is money in hand: what the till says is <believed>.

Takes `till.sale` (A sale), when `state` is one of “paid” and “closed”; else nothing comes out.

## What it looks up in the journal

- `sold`: the last `payment.captured` (Money came in) of the same subject; when there is none, it is absent.
- `before`: every `payment.captured` (Money came in) of the same subject; may be none.

## Names for what is worked out first

- `net` is the sum of `net` of `r` for each `r` of `rows` where `pieces` of `r` is more than 0.

## Makes `payment.captured` (Money came in)

- Comes out always.
- It is about “order:[`receipt`]”.
- That is also known as “till:[`receipt`]”.
- As a fact it is named “sale:[`receipt`]”. When another event says it with other content, it becomes the next revision if the number of `before` is later or greater than before; else the first stands.

| Field | Where it comes from | What it is |
|---|---|---|
| `amount` | `total` minus (`fee`, or if that is absent, 0) | what came in |
| `method` | what table `how` says for (`by` in small letters) | card \\| cash |
| `note?` | `note`; left out when absent |  |
| `parts[]` | one for each `r` (number `i`) of `rows`; only when it is not so that `pieces` of `r` is 0 |  |
| `parts[].net` | `net` of `r` | without VAT |
| `parts[].share?` | ((`net` of `r` divided by `amount` of `sold`), rounded to 2 decimals) if `amount` of `sold` is there, else nothing; left out when absent |  |

The event is refused unless

- `amount` as built above is at most (`net` times 2).

## Table `how`

What has no row: the event waits and a person is asked; the answer becomes a row.

| For | it says | Layer |
|---|---|---|
| visa | card | pack |
| a\\|b | cash | pack |

These are the pack's own rows. An installation may lay rows of its own over them (`tables:` in vayla.yaml), and answers to questions lie between the two.

## Examples, tested

- a sale by card; comes out with `amount` 1.50, `method` card.
- another way asks; it asks: table `how`.

'''


def doc(*words, **env):
    return subprocess.run([str(VAYLA), 'map', 'doc', *map(str, words)], text=True, capture_output=True, timeout=60,
                          cwd=ROOT, env={**os.environ, **{k: str(v) for k, v in env.items()}})


@pytest.fixture
def packs(tmp_path):
    for name, text in FILES.items():
        file = tmp_path / 'packs' / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / 'packs'


def test_a_page_in_words(packs):
    r = doc(packs / 'till' / 'sale.map.yaml')
    assert r.returncode == 0, r.stderr
    assert r.stdout == PAGE
    assert doc(packs / 'till').stdout == PAGE
    assert doc('till', VAYLA_PACKS=packs).stdout == PAGE


class Read(html.parser.HTMLParser):
    """Every tag that is opened is closed, and the text is kept."""
    single = {'meta', '!doctype'}

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], set(), ''

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in self.single:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_same_as_html(packs):
    r = doc(packs / 'till', '-o', 'html')
    page = Read()
    page.feed(r.stdout)
    page.close()
    assert page.open == [] and {'h1', 'h2', 'table', 'th', 'td', 'ul', 'li', 'code'} <= page.tags
    assert 'what the till says is <believed>.' in page.text and '`' not in page.text
    assert 'total minus (fee, or if that is absent, 0)' in page.text and 'a|b' in page.text


def test_every_pack_of_the_house(packs):
    """Each mapping has a page, twice the same; nothing is left as a program."""
    calls = [f.group(1) for f in re.finditer(r'ROW\((\w+),', (ROOT / 'mappings/engine/func.c').read_text())] + ['lookup']
    assert len(calls) > 30
    raw = re.compile(r'\b(' + '|'.join(calls) + r')\(|\?\?|!=|\$out|\$settings|\$event|\$in\b')
    folders = sorted(p.parent for p in (ROOT / 'mappings').glob('*/pack.yaml'))
    assert len(folders) > 5
    for folder in folders:
        mappings = list(folder.glob('*.map.yaml'))
        if not mappings:
            continue
        r = doc(folder)
        assert r.returncode == 0, r.stderr
        assert r.stdout == doc(folder).stdout
        assert r.stdout.count('\n# ') + 1 == len(mappings)
        made = r.stdout.split('## ')
        for part in made:
            if part.startswith(('Examples', 'Table')):
                continue
            for line in part.splitlines():
                if line.startswith(('- ', '| ', 'Takes')):
                    # texts stand in quotes and may hold anything
                    assert not raw.search(re.sub(r'“[^”]*”', '', line)), (folder.name, line)


def test_what_is_wrong_is_said(packs, tmp_path):
    file = packs / 'till' / 'sale.map.yaml'
    file.write_text(FILES['till/sale.map.yaml'].replace('amount: total', 'amount: totl'))
    r = doc(file)
    assert r.returncode != 0 and r.stdout == '' and 'sale.map.yaml:' in r.stderr
    assert doc('nosuchpack', VAYLA_PACKS=packs).returncode == 4
    assert doc(file, '-o', 'pdf').returncode == 2
    assert doc().returncode == 2
