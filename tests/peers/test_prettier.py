"""YAML that prettier has reformatted means the same: every mapping, schema and pack
of the project, in all the ways it can be asked to write them."""
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
VAYLA = ROOT / os.environ.get('VAYLA_BUILD', 'build') / 'vayla'
sys.path.insert(0, str(ROOT / 'tests/diff'))
import generate  # noqa: E402
import order  # noqa: E402

# Not tried: widths so small that what prettier writes no YAML reader takes, its own
# neither: it folds a key that is too long (proseWrap always), and makes [] into [,].
WAYS = [
    {},
    {'singleQuote': True},
    {'singleQuote': False, 'quoteProps': 'consistent'},
    {'proseWrap': 'always'},
    {'proseWrap': 'never', 'printWidth': 200, 'singleQuote': True},
    {'printWidth': 66, 'bracketSpacing': False},
    {'printWidth': 66, 'tabWidth': 4, 'singleQuote': True, 'proseWrap': 'always'},
]


def vayla(*words, packs=None, stdin=None):
    env = {**os.environ, **({'VAYLA_PACKS': str(packs)} if packs else {})}
    return subprocess.run([str(VAYLA), *map(str, words)], input=stdin, capture_output=True, text=True, timeout=120, env=env, cwd=ROOT)


def outcome(packs):
    """What checking and testing all of it says, without places in files."""
    check, test = vayla('map', 'check', packs=packs), vayla('map', 'test', '-v', packs=packs)
    said = re.sub(r'(?m)^(\s*(?:ok|FAIL)\s+)\S+?([\w.-]+\.map\.yaml):\d+:', r'\1\2:', test.stdout)
    said = re.sub(r'\S*/([\w.-]+\.yaml)(:\d+)*', r'\1', said)
    return check.returncode, test.returncode, check.stdout, sorted(said.splitlines())


def emitted(packs):
    rng = random.Random(7)
    events = []
    for _ in range(60):
        o = order.some_order(rng)
        events += [generate.dump(o), generate.dump(order.spoil(rng, o))]
    out = vayla('map', 'run', packs / 'woocommerce/order.map.yaml', '--lines', stdin='\n'.join(events))
    assert out.returncode == 0, out.stderr
    # what is refused names places in the file, which have moved
    return [{k: v for k, v in json.loads(line).items() if k not in ('where', 'text')} for line in out.stdout.splitlines()]


@pytest.fixture(scope='module')
def packs(tmp_path_factory):
    to = tmp_path_factory.mktemp('as-they-are') / 'packs'
    shutil.copytree(ROOT / 'mappings', to, ignore=shutil.ignore_patterns('engine'))
    return to


@pytest.fixture(scope='module')
def before(packs):
    found = outcome(packs)
    assert found[:2] == (0, 0)
    return found, emitted(packs)


@pytest.mark.parametrize('way', WAYS, ids=json.dumps)
def test_reformatted_it_means_the_same(prettier, packs, before, tmp_path, way):
    to = tmp_path / 'packs'
    shutil.copytree(packs, to)
    out = subprocess.run(['node', str(pathlib.Path(__file__).with_name('prettier.mjs')), str(prettier), str(to), json.dumps(way)],
                         capture_output=True, text=True, timeout=300)
    assert out.returncode == 0, out.stderr
    assert int(out.stdout) > 50  # it did reformat them
    assert outcome(to) == before[0]
    assert emitted(to) == before[1]
