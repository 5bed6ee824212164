"""vyclient - a client of the bus, written from broker/wire/PROTOCOL.md alone.

    c = Client(address, 'shop', 'connector')
    c.hello()
    c.publish(event(id='1', source='shop', type='toy.order', subject='order:1', data={}))
    c.subscribe('books'); c.delivery()
"""
import itertools
import pathlib
import re
import time

import msgpack
import zmq

EVENT, SETTLE, ACTION = 1, 2, 3
MAGIC = b'VY1'


class No(Exception):
    """PUBNO or ERR: what the broker refused."""

    def __init__(self, header):
        super().__init__(header)
        self.code, self.cls, self.text = header['code'], header['class'], header['text']


class Silence(Exception):
    """Nothing came in time."""


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


def unpack(data):
    return msgpack.unpackb(data, raw=False, timestamp=1, strict_map_key=False)


def decimal(text):
    """A number whose digits are kept."""
    return msgpack.ExtType(68, text.encode())


def event(**keys):
    """[1, {...}] with what a publisher sets."""
    return [EVENT, keys]


def key_of(path, what):
    """One value of a key file: user, key or secret."""
    return re.search(rf'^{what}: "?([^"\n]+)"?$', pathlib.Path(path).read_text(), re.M)[1]


def show(socket, access, user, alive=lambda: True):
    """CURVE with a user's key out of the folder of keys; they may still be in the making."""
    access = pathlib.Path(access)
    end = time.monotonic() + 20
    while not ((access / f'{user}.key').exists() and (access / 'broker.pub').exists()):
        assert time.monotonic() < end and alive(), f'no {access}/{user}.key'
        time.sleep(0.02)
    secret = key_of(access / f'{user}.key', 'secret').encode()
    socket.curve_secretkey, socket.curve_publickey = secret, zmq.curve_public(secret)
    socket.curve_serverkey = key_of(access / 'broker.pub', 'key').encode()


class Client:
    def __init__(self, address, name, role, context=None, user=None, access=None, alive=lambda: True):
        """`user`: whose key, the local operator's by default; `access`: the folder of keys; `alive`: is the
        broker there? Who knows its process says."""
        self.name, self.role, self.alive = name, role, alive
        self.socket = (context or zmq.Context.instance()).socket(zmq.DEALER)
        for option, value in ((zmq.LINGER, 500), (zmq.HEARTBEAT_IVL, 5000),
                              (zmq.HEARTBEAT_TIMEOUT, 15000), (zmq.HEARTBEAT_TTL, 15000),
                              (zmq.RECONNECT_IVL, 10)):
            self.socket.setsockopt(option, value)
        user = user or ('operator' if role == 'operator' else name)
        show(self.socket, access or pathlib.Path(address[len('ipc://'):]).parent / 'data' / 'access', user,
             alive)
        self.socket.connect(address)
        self.numbers, self.ids = itertools.count(1), itertools.count(1)
        self.waiting = []           # (verb, header, blob) not asked for yet
        self.epoch = None

    def close(self):
        # what waits for a broker that is gone must not reach the next one
        self.socket.close(None if self.alive() else 0)

    # ---- messages ----

    def send(self, verb, header, blob=b''):
        frames = [MAGIC + verb.encode(), pack(header)] + ([blob] if blob else [])
        self.socket.send_multipart(frames)

    def receive(self, seconds=10):
        """The next message, whatever it is. No longer waited for when the broker is gone."""
        end = time.monotonic() + seconds
        while not self.socket.poll(max(0, min(end - time.monotonic(), 0.1) * 1000)):
            if time.monotonic() >= end or not self.alive():
                raise Silence(f'{self.name}: nothing within {seconds} s')
        frames = self.socket.recv_multipart()
        assert frames[0].startswith(MAGIC), frames[0]
        return frames[0][3:].decode(), unpack(frames[1]), frames[2] if len(frames) > 2 else b''

    def expect(self, *verbs, seconds=10, want=lambda header: True):
        """The next message of these verbs; others wait. ERR is raised."""
        end = time.monotonic() + seconds
        for i, m in enumerate(self.waiting):
            if m[0] in verbs and want(m[1]):
                return self.waiting.pop(i)
        while True:
            m = self.receive(end - time.monotonic())
            if m[0] in verbs and want(m[1]):
                return m
            if m[0] == 'ERR':
                raise No(m[1])
            self.waiting.append(m)

    # ---- sessions ----

    def hello(self, seconds=10):
        self.greet()
        return self.welcome(seconds)

    def greet(self):
        self.waiting, self.numbers = [], itertools.count(1)
        self.send('HELLO', {'v': 1, 'name': self.name, 'role': self.role})

    def welcome(self, seconds=10):
        _, header, _ = self.expect('WELCOME', seconds=seconds)
        assert self.epoch is None or header['epoch'] >= self.epoch, 'epochs never fall'
        self.epoch = header['epoch']
        return header

    def ping(self, extend=None, report=None):
        header = {k: v for k, v in (('extend', extend), ('report', report)) if v is not None}
        self.send('PING', header)
        return self.expect('PONG')[1]

    def bye(self):
        self.send('BYE', {})

    # ---- publishing ----

    def post(self, *records):
        """Send without waiting; gives n."""
        n = next(self.numbers)
        self.send('PUB', {'n': n, 'count': len(records)}, b''.join(pack(r) for r in records))
        return n

    def answer(self, n, seconds=10):
        """Wait until n is answered: nothing, or No."""
        verb, header, _ = self.expect(
            'PUBOK', 'PUBNO', seconds=seconds,
            want=lambda h: h['n'] == n if 'n' in h else h['upto'] >= n)
        if verb == 'PUBNO':
            raise No(header)
        return header['upto']

    def publish(self, *records, seconds=10):
        return self.answer(self.post(*records), seconds)

    def settle(self, seq, verdict='ok', **more):
        return self.publish([SETTLE, {'sub': self.name, 'seq': seq, 'verdict': verdict, **more}])

    def act(self, act, **more):
        return self.publish([ACTION, {'act': act, 'by': self.name, **more}])

    # ---- deliveries ----

    def subscribe(self, window=8, **more):
        self.send('SUB', {'name': self.name, 'window': window, **more})

    def tap(self, name='tap', **filter):
        self.send('SUB', {'name': name, 'lossy': True, 'filter': filter})

    def delivery(self, seconds=10):
        """(header, event) of the next EVT."""
        _, header, blob = self.expect('EVT', seconds=seconds)
        kind, body = unpack(blob)
        assert kind == EVENT
        return header, body

    def quiet(self, seconds=0.5):
        """No EVT comes for a while."""
        try:
            got = self.delivery(seconds)
        except Silence:
            return True
        raise AssertionError(f'not quiet: {got}')

    # ---- queries ----

    def ask(self, query, seconds=10, **more):
        n = next(self.ids)
        self.send('ASK', {'id': n}, pack({'query': query, **more}))
        _, _, blob = self.expect('REPLY', seconds=seconds, want=lambda h: h['id'] == n)
        return unpack(blob)
