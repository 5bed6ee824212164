"""seeds.py FOLDER [N] - seeds for fuzzing, a folder for each target: cases of the
differential tests for fuzz_map (a mapping of one case, a zero byte, an event for
it), small documents for fuzz_source."""
import pathlib
import random
import sys

import generate

SOURCES = (
    '<?xml version="1.0" encoding="UTF-8"?><Doc><Id>7</Id><Amt Ccy="EUR">3.10</Amt><Amt Ccy="SEK">1</Amt>'
    '<Row><Id>1</Id><Sum>2.50</Sum><On>2026-03-01</On></Row><!-- x --><Note><![CDATA[a<b]]></Note><Note>&#228;&amp;</Note></Doc>',
    '<a:Doc xmlns:a="urn:x" a:k="v"><a:Id/>text<a:Id> b </a:Id></a:Doc>',
    '<?xml version="1.0" encoding="ISO-8859-1"?><!DOCTYPE Doc SYSTEM "Doc.dtd"><Doc Id="1"><Id>x</Id></Doc>',
    "UNA:+.? 'UNB+UNOC:3+A:14+B:14+260301:1000+1'UNH+1+IFTSTA:D:10B:UN'BGM+77+5+9'CNI+1+JJFI1'STS+1+Z1'DTM+334:202603011000:203'"
    "STS+1+Z2'CNI+2+JJFI2'STS+1+?+?''UNT+8+1'UNZ+1+1'",
    "UNB+UNOA:1+A+B+260301:1000+1'\nUNH+1+ORDERS:D:96A:UN'\nBGM+220+1'\nUNT+3+1'\nUNH+2+ORDERS:D:96A:UN'\nBGM+220+2'\nUNT+3+2'\nUNZ+2+1'",
    '{"Doc": {"Id": 7}, "more": "{\\"a\\": [1, 2.50]}"}',
)

folder, n = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1500
(folder / 'fuzz_map').mkdir(parents=True, exist_ok=True)
for seed in range(n):
    rng = random.Random(seed)
    text = generate.mapping([generate.Case(rng)])
    event = {'k': generate.Number(0), **generate.an_event(rng)}
    (folder / f'fuzz_map/seed-{seed}').write_bytes(text.encode() + b'\0' + generate.dump(event).encode())
(folder / 'fuzz_source').mkdir(exist_ok=True)
for i, text in enumerate(SOURCES):
    (folder / f'fuzz_source/seed-{i}').write_bytes(text.encode('latin-1' if '8859' in text else 'utf-8'))
