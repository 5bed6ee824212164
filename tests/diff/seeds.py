"""seeds.py FOLDER [N] - cases of the differential tests as seeds of fuzz_map: a
mapping of one case, a zero byte, an event for it."""
import pathlib
import random
import sys

import generate

folder, n = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1500
folder.mkdir(parents=True, exist_ok=True)
for seed in range(n):
    rng = random.Random(seed)
    text = generate.mapping([generate.Case(rng)])
    event = {'k': generate.Number(0), **generate.an_event(rng)}
    (folder / f'seed-{seed}').write_bytes(text.encode() + b'\0' + generate.dump(event).encode())
