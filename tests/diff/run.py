"""run.py - the long form of test_diff.py: `make diff`."""
import argparse
import sys
import tempfile
import time

import compare


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--expressions', type=int, default=100_000)
    p.add_argument('--orders', type=int, default=10_000)
    p.add_argument('--spoiled', type=int, default=40, help='of each input of the tests of every mapping')
    p.add_argument('--show', type=int, default=10, help='how many differences to print')
    a = p.parse_args()
    print(f'seed {a.seed} (again with: make diff DIFF_SEED={a.seed})', flush=True)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        expressions = compare.Expressions(folder)
        for name, n, size, batch in (('expressions', a.expressions, 250, expressions.batch),
                                     ('orders', a.orders, 500, compare.orders),
                                     ('spoiled inputs of every test', a.spoiled, 10, compare.mappings)):
            began, done, seen, differ = time.time(), 0, {}, []
            while done < n:
                one, counts = batch(f'{a.seed}.{done}', min(size, n - done))
                differ += one
                done += min(size, n - done)
                for k, v in counts.items():
                    seen[k] = seen.get(k, 0) + v
            for text in differ[:a.show]:
                print('-----\n' + text)
            said = ', '.join(f'{v} {k}' for k, v in sorted(seen.items(), key=lambda kv: -kv[1]))
            print(f'{done} {name}, {sum(seen.values())} answers in {time.time() - began:.0f} s ({said}): '
                  f'{len(differ)} differences', flush=True)
            bad += len(differ)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
