"""The engine against the evaluator of this folder, in short: `make diff` is the
long form, with another seed each time."""
import compare


def check(batch, seeds, size):
    counts = {}
    for seed in seeds:
        differ, seen = batch(seed, size)
        assert not differ, f'{len(differ)} differences; the first:\n{differ[0]}'
        for k, v in seen.items():
            counts[k] = counts.get(k, 0) + v
    return counts


def test_expressions(tmp_path):
    counts = check(compare.Expressions(tmp_path).batch, range(12), 250)
    # the generator makes events of every fate
    assert counts['ok'] > 2000 and all(counts[k] > 0 for k in ('TYPE', 'RANGE', 'MISSING', 'NOTFOUND', 'ask'))


def test_orders():
    counts = check(compare.orders, range(3), 200)
    assert counts['ok'] > 200 and all(counts[k] > 0 for k in ('TYPE', 'MISSING', 'CHECK', 'ask', 'skip'))


def test_every_mapping():
    counts = check(compare.mappings, range(1), 2)
    assert counts['ok'] > 200 and all(counts[k] > 0 for k in ('TYPE', 'MISSING', 'CHECK', 'ask', 'wait', 'skip'))
