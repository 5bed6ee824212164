"""session_seeds.py HOME SEEDS - what fuzz_session stands on: vayla.yaml and packs in HOME, and messages of every
kind as seeds, as the fuzz target takes them."""
import itertools
import pathlib
import random
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests' / 'e2e'))
import msgpack                                                          # noqa: E402
import toypacks                                                         # noqa: E402
from toybroker import order, payment                                    # noqa: E402
from vyclient import ACTION, SETTLE, event, pack                        # noqa: E402

HELLO, PUB, SUB, ASK, PING, BYE = range(6)
home, seeds = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
toypacks.write(home / 'packs')
(home / 'vayla.yaml').write_text(
    'broker:\n  data: "${VAYLA_FUZZ_DIR}/data"\n  bus: "ipc://${VAYLA_FUZZ_DIR}/bus"\n  packs: "' + str((home / 'packs').resolve())
    + '"\nsystems:\n  shop: {use: toyshop}\n  books: {use: toybooks, of: shop, mode: live, folder: "${VAYLA_FUZZ_DIR}/books"}\n')
seeds.mkdir(parents=True, exist_ok=True)


def say(verb, header, blob=b''):
    header = pack(header)
    return struct.pack('<BHH', verb, len(header), len(blob)) + header + blob


def pubs(*blobs):
    return b''.join(say(PUB, {'n': n, 'count': 1}, pack(b)) for n, b in enumerate(blobs, 1))


SETTLEMENTS = [[SETTLE, {'sub': 'books', 'seq': seq, 'verdict': verdict, 'attempt': 1, 'after_ms': 5, 'text': 'x',
                         'effect': {'digest': b'd' * 32, 'status': 200, 'remote': 'r', 'ms': 1, 'excerpt': b'x'}}]
               for verdict in ('ok', 'retry', 'defer', 'reject', 'ask') for seq in (1, 3)]
ACTS = [[ACTION, {'act': act, 'by': 'cli', 'reason': 'x', 'sub': sub, 'seq': 2, 'system': 'books', 'map': 'toybooks.posting',
                  'table': 'clearing', 'key': 'swish', 'row': '1399', **more}]
        for act, sub, more in (('retry', 'books', {}), ('skip', 'map:shop/toyshop.order', {}), ('replay', 'map:shop/toyshop.order', {}),
                               ('edit', 'books', {'data': {'a': 1}}), ('snooze', 'books', {'until': msgpack.Timestamp(4102444800)}),
                               ('answer', '', {}), ('live', '', {'since': '2026-01-01'}), ('pause', '', {}), ('resume', '', {}),
                               ('deploy', '', {'row': [['toyshop/order.map.yaml', b'map: toyshop.order/1\n']]}),
                               ('rollback', '', {'hash': b'h' * 32}))]
QUERIES = [{'query': q, 'sub': 'map:shop/toyshop.order', 'subject': 'order:shop/1', 'word': '1', 'seq': 1, 'n': 5, 'after': 0, 'max': 10,
            'people': True, 'unseal': True} for q in ('status', 'find', 'timeline', 'event', 'open', 'plan', 'recent', 'versions')]
INPUTS = [
    b'\4' + say(HELLO, {'v': 1, 'name': 'shop', 'role': 'connector'}) + pubs(order(1)),
    b'\1' + pubs(order(1), payment('p', 1), order(1, total='2.00', email='a@example.fi')),
    b'\2' + say(PUB, {'n': 1, 'count': 3}, pack(order(1)) + pack(payment('p', 1, method='swish')) + pack(order(2))),
    b'\0' + say(SUB, {'name': 'books', 'window': 8, 'bytes': 4096, 'patience': 1000}) + pubs(*SETTLEMENTS),
    b'\0' + say(PING, {'extend': [1, 2, 3], 'report': {'a': 1, 'b': 2}}) + say(BYE, {}) + say(PING, {}),
    b'\0' + pubs(event(id='v', source='books', type='toybooks.note', subject='note:1', data={}, answerto=3)),
    b'\3' + say(SUB, {'name': 'tap', 'lossy': True, 'filter': {'type': 'order.', 'subject': 'order:'}}) + pubs(*ACTS),
    *[b'\3' + say(ASK, {'id': i}, pack(q)) for i, q in enumerate(QUERIES, 1)],
    *[b'\3' + pubs(a) for a in ACTS],
    *[b'\0' + pubs(s) for s in SETTLEMENTS],
]
rng = random.Random(1)
for i, (one, two) in enumerate(itertools.chain(((x, b'') for x in INPUTS), itertools.product(INPUTS[:7], repeat=2))):
    (seeds / f'seed-{i}').write_bytes(one + two[1:])
