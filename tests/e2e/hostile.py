"""hostile - peers that mean no good, each with a good key, and what must hold beside them: others are
served, the broker's memory is bounded, and afterwards a fresh event flows from end to end.

    attack(broker, reuse_n, seconds=2)
"""
import os
import random
import threading
import time

import msgpack
import zmq
from toybroker import order, payment
from vyclient import SETTLE, Client, No, Silence, event, pack, show

# the address sanitizer keeps what was freed: its memory says nothing
RSS_LIMIT = 128 * (16 if 'address' in os.environ.get('VAYLA_BUILD', '') else 1)      # MiB


def rss(b):
    with open(f'/proc/{b.process.pid}/status') as f:
        return int(next(x for x in f if x.startswith('VmRSS')).split()[1]) // 1024


class Peer:
    """A DEALER of its own, with the key of a user, that sends what it likes."""

    def __init__(self, b, user, role):
        self.b, self.user, self.role = b, user, role
        self.open()

    def open(self):
        s = self.socket = zmq.Context.instance().socket(zmq.DEALER)
        s.linger, s.sndhwm = 0, 20
        show(s, self.b.folder / 'data' / 'access', self.user)
        s.connect(self.b.bus)
        self.send(b'VY1HELLO', {'v': 1, 'name': self.user, 'role': self.role})

    def send(self, verb, header, *rest):
        """False: the broker does not read that fast."""
        try:
            self.socket.send_multipart([verb, header if isinstance(header, bytes) else pack(header), *rest], zmq.DONTWAIT)
            return True
        except zmq.Again:
            time.sleep(0.002)
            return False

    def read(self, ms=20):
        got = []
        while self.socket.poll(ms) and len(got) < 500:
            got.append(self.socket.recv_multipart())
            ms = 0
        return got

    def again(self):
        self.socket.close()
        self.open()


def deliveries(frames):
    return [msgpack.unpackb(f[1])['seq'] for f in frames if f[0] == b'VY1EVT']


# ---- consumers ----

def hangs(b, stop, rng):
    """Takes all it can get and reads nothing; only its heart beats."""
    p = Peer(b, 'books', 'connector')
    p.socket.rcvhwm = 1
    p.send(b'VY1SUB', {'name': 'books', 'window': 1024, 'bytes': 16 * 2 ** 20, 'patience': 3600000})
    while not stop.wait(0.1):
        p.send(b'VY1PING', {})
    p.socket.close()


def crashes(b, stop, rng):
    """Ends without a word with deliveries in hand, again and again."""
    p = Peer(b, 'books', 'connector')
    while not stop.is_set():
        p.send(b'VY1SUB', {'name': 'books', 'window': rng.choice((1, 3, 100))})
        p.read(rng.randrange(1, 60))
        p.again()
    p.socket.close()


def answers_garbage(b, stop, rng):
    """Settles what it has not, in words nobody knows, with bytes that are nothing."""
    p = Peer(b, 'books', 'connector')
    p.send(b'VY1SUB', {'name': 'books', 'window': 50})
    n = 0
    while not stop.is_set():
        frames = p.read()
        seqs = deliveries(frames) or [rng.randrange(2 ** 63)]
        if any(f[0] == b'VY1ERR' for f in frames):
            n = 0
            p.again()
            p.send(b'VY1SUB', {'name': 'books', 'window': 50})
        for seq in seqs[:20]:
            n += 1
            what = rng.choice((
                pack([SETTLE, {'sub': 'books', 'seq': seq, 'verdict': rng.choice(('OK', 'done', '', 'skip', 'wait'))}]),
                pack([SETTLE, {'sub': 'shop', 'seq': seq, 'verdict': 'ok'}]),
                pack([SETTLE, {'sub': 'books', 'seq': rng.randrange(2 ** 63), 'verdict': 'ok'}]),
                pack([SETTLE, {'sub': 'books', 'seq': -seq, 'verdict': 'ok'}]),
                pack([SETTLE, {'sub': 'books', 'seq': seq, 'verdict': 'retry', 'after_ms': 2 ** 62, 'attempt': 2 ** 31}]),
                pack([SETTLE, {'sub': 'books', 'seq': seq, 'verdict': 'ok', 'effect': {'excerpt': b'x' * 60000}}]),
                pack([SETTLE, {'sub': 'books', 'seq': seq, 'verdict': 'reject', 'text': 'x' * 100000}]),
                pack([4, {'sub': 'books', 'seq': seq, 'what': 'wait'}]), pack([SETTLE]), pack(SETTLE), pack({}),
                rng.randbytes(rng.randrange(200))))
            p.send(b'VY1PUB', {'n': n, 'count': 1}, what)
        p.send(b'VY1PING', {'extend': [rng.randrange(2 ** 63) for _ in range(64)]})
    p.socket.close()


def never_settles(b, stop, rng):
    """Says for ever that it is still at it."""
    p = Peer(b, 'books', 'connector')
    p.send(b'VY1SUB', {'name': 'books', 'window': 1024, 'patience': 1000})
    hand = set()
    while not stop.is_set():
        hand |= set(deliveries(p.read()))
        for i in range(0, len(hand), 64):
            p.send(b'VY1PING', {'extend': sorted(hand)[i:i + 64]})
    p.socket.close()


# ---- producers ----

def floods(b, stop, rng):
    """Sends as fast as it goes, and reads nothing."""
    p = Peer(b, 'shop', 'connector')
    n = 0
    while not stop.is_set():
        n += p.send(b'VY1PUB', {'n': n + 1, 'count': 1}, pack(order(10 ** 6 + n % 50, ref='x' * 200_000)))
    p.socket.close()


def repeats(b, stop, rng):
    """The same PUB, the same event, with other content under the same id."""
    p = Peer(b, 'shop', 'connector')
    n = 0
    while not stop.is_set():
        for i in range(50):
            n += 1
            p.send(b'VY1PUB', {'n': n, 'count': 2}, pack(order(10 ** 6)) + pack(order(10 ** 6, total=f'{n % 7}.00')))
        if any(f[0] == b'VY1ERR' for f in p.read(1)):
            n = 0
            p.again()
    p.socket.close()


def reuses_n(b, stop, rng):
    """Skips numbers, goes back, begins anywhere."""
    p = Peer(b, 'shop', 'connector')
    while not stop.is_set():
        for n in (1, 2, 2, 1, 5, 2 ** 63 - 1, 2 ** 63, 0, -1, 7):
            p.send(b'VY1PUB', {'n': n, 'count': 1}, pack(order(10 ** 6)))
            if rng.random() < 0.3:
                p.send(b'VY1HELLO', {'v': 1, 'name': 'shop', 'role': 'connector'})
        p.read(5)
    p.socket.close()


def large_frames(b, stop, rng):
    """4 MiB where 1 may be; each costs its connection."""
    p = Peer(b, 'shop', 'connector')
    while not stop.is_set():
        p.send(b'VY1PUB', {'n': 1, 'count': 1}, bytes(4 * 2 ** 20))
        p.send(b'VY1' + bytes(4 * 2 ** 20), {}, b'')
        time.sleep(0.05)
        if rng.random() < 0.2:
            p.again()
    p.socket.close()


def lies_about_counts(b, stop, rng):
    p = Peer(b, 'shop', 'connector')
    n = 0
    while not stop.is_set():
        for count in (0, 2, 1000, 1024, 1025, 2 ** 31, 2 ** 32 - 1, 2 ** 32, -1, 1):
            n += 1
            p.send(b'VY1PUB', {'n': n, 'count': count}, pack(order(10 ** 6)) * rng.choice((0, 1, 3)))
        # heads that promise more than follows
        n += 1
        p.send(b'VY1PUB', {'n': n, 'count': 1}, rng.choice((b'\xdd\xff\xff\xff\xff', b'\x92\x01\xdf\xff\xff\xff\xff', b'\xc6\xff\xff\xff\xff')))
        if any(f[0] == b'VY1ERR' for f in p.read(2)):
            n = 0
            p.again()
    p.socket.close()


def many_parts(b, stop, rng):
    """Messages of hundreds of frames, of none, of verbs that are headers."""
    p = Peer(b, 'operator', 'operator')
    while not stop.is_set():
        p.send(b'VY1ASK', {'id': 1}, *[b'x' * 1000] * rng.choice((1, 5, 300)))
        p.send(b'', b'')
        p.send(rng.randbytes(8), rng.randbytes(rng.randrange(5000)), rng.randbytes(9))
        p.send(b'VY1SUB', {'name': 'x' * 200, 'lossy': True, 'filter': {'type': 'x' * 3000}})
        p.read(1)
    p.socket.close()


def never_reads_a_tap(b, stop, rng):
    """Listens to everything and reads nothing of it."""
    p = Peer(b, 'operator', 'operator')
    for i in range(8):
        p.send(b'VY1SUB', {'name': f't{i}', 'lossy': True, 'filter': {}})
    while not stop.wait(0.1):
        p.send(b'VY1PING', {})
    p.socket.close()


CONSUMERS = [hangs, crashes, answers_garbage, never_settles]
PRODUCERS = [floods, repeats, reuses_n, large_frames, lies_about_counts, many_parts, never_reads_a_tap]


# ---- what must hold ----

def fresh(b, number):
    """A new event goes from a publisher to a consumer, through all that was left behind."""
    shop, books, op = b.client('shop', 'connector'), b.client('books', 'connector'), b.client('cli', 'operator')
    for i in op.ask('open', sub='', max=500, people=True)['items']:     # what the attack had parked is no obstacle
        if i['sub'] == 'books':
            op.act('skip', sub='books', seq=i['seq'], reason='after an attack')
    books.subscribe(window=200)
    shop.publish(order(number), seconds=20)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        header, e = books.delivery(seconds=20)
        books.settle(header['seq'])
        if e['data'].get('number') == str(number):
            return
    raise AssertionError('a fresh event does not flow')


def attack(b, how, seconds, seed=1, peers=2):
    """Run it for a while beside a good peer; gives how many events that one published, and the most memory."""
    stop, rng = threading.Event(), random.Random(seed)
    failed = []

    def run(own):
        try:
            how(b, stop, own)
        except Exception as e:      # noqa: BLE001 - told below: an attack that does not take place proves nothing
            failed.append(e)
    threads = [threading.Thread(target=run, args=(random.Random(rng.random()),), daemon=True) for _ in range(peers)]
    good, op = b.client('receiver', 'receiver'), b.client('cli', 'operator')
    for t in threads:
        t.start()
    n, most, end = 0, 0, time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            good.publish(order(n % 300, changed=n), payment(f'p{n}', n % 300), seconds=20)
            n += 1
            most = max(most, rss(b))
            if n % 10 == 0:
                assert op.ask('status', seconds=20)['epoch'] == op.epoch
    finally:
        stop.set()
        for t in threads:
            t.join(30)
    if failed:
        raise failed[0]
    assert n > seconds * 3, f'only {n} events were taken beside it'
    assert most < RSS_LIMIT, f'{most} MiB'
    fresh(b, 10 ** 7 + seed)
    assert rss(b) < RSS_LIMIT
    return n, most
