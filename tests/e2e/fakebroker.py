"""fakebroker - the broker's side of broker/wire/PROTOCOL.md, for connectors.

A test decides what is delivered and what is confirmed; a thread keeps the
session. It holds the broker's promises: one delivery of a subject at a time,
the next when the last one's settlement was confirmed, what was not settled
comes again.
"""
import pathlib
import threading
import time

import msgpack
import zmq

DECIMAL = 68


def decimal(text):
    return msgpack.ExtType(DECIMAL, str(text).encode())


def posting(date='2026-03-01', currency='EUR', text='Order', entries=(), **tags):
    """entries: (account, cents), debits positive."""
    rows = []
    for account, cents in entries:
        side = 'debit' if cents >= 0 else 'credit'
        rows.append({'account': account, side: decimal(f'{abs(cents) // 100}.{abs(cents) % 100:02d}')})
    return {'date': date, 'currency': currency, 'text': text, 'entries': rows, **tags}


class FakeBroker:
    def __init__(self, address, sub):
        self.sub, self.epoch = sub, 1
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.curve_secretkey = self.keys(pathlib.Path(address[len('ipc://'):]).parent / 'data' / 'access')
        self.socket.curve_server = True
        self.socket.bind(address)
        self.lock = threading.Lock()
        self.queue = []       # (seq, subject, event) not out yet
        self.out = {}         # seq -> (subject, event, attempt)
        self.settled = {}     # seq -> list of settlements, as confirmed
        self.sessions = 0
        self.window = 0
        self.refuse = 0       # so many PUBs get PUBNO RETRY
        self.events = []      # published, in order; doubles stand twice
        self.denied = set()   # ids of events that are refused for good
        self.pubs = []        # the kinds of records of each PUB taken
        self.peer = None
        self.seq = 0
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def keys(self, access):
        """Keys for itself and its connector, as `vayla broker` makes them; its secret."""
        access.mkdir(parents=True, exist_ok=True)
        (ours, secret), (_, theirs) = zmq.curve_keypair(), zmq.curve_keypair()
        (access / 'broker.pub').write_text(f'user: "broker"\nkey: "{ours.decode()}"\nrole: receiver\n')
        key = access / f'{self.sub}.key'
        key.touch(mode=0o600)
        key.write_text(f'user: "{self.sub}"\nsecret: "{theirs.decode()}"\n')
        return secret

    def deliver(self, id, data=None, revision=1, withdrawn=False, subject=None, type='ledger.posting', **more):
        """Queue an event; its sequence."""
        with self.lock:
            self.seq += 1
            event = {'id': id, 'source': self.sub, 'type': type, 'subject': subject or f'order:{id}',
                     'sequence': self.seq, 'revision': revision, 'target': self.sub, **more}
            if withdrawn:
                event['withdrawn'] = True
            if data is not None:
                event['data'] = data
            self.queue.append((self.seq, event['subject'], event, 1, False))
            return self.seq

    def wait(self, seqs, seconds=30):
        """Until all of these are settled ok or reject; {seq: last settlement}."""
        end = time.monotonic() + seconds
        while True:
            with self.lock:
                done = {s: self.settled[s][-1] for s in seqs
                        if s in self.settled and self.settled[s][-1]['verdict'] in ('ok', 'reject')}
                if len(done) == len(list(seqs)):
                    return done
            assert time.monotonic() < end, f'{len(done)} of {len(list(seqs))} settled'
            time.sleep(0.01)

    def stop(self):
        self.stopping = True
        self.thread.join(5)
        self.socket.close()
        self.context.term()

    # ---- the thread ----

    def send(self, verb, header, blob=b''):
        self.socket.send_multipart([self.peer, b'VY1' + verb, msgpack.packb(header), blob])

    def run(self):
        poller = zmq.Poller()
        poller.register(self.socket, zmq.POLLIN)
        while not self.stopping:
            if poller.poll(5):
                parts = self.socket.recv_multipart()
                with self.lock:
                    self.hear(parts[0], parts[1], msgpack.unpackb(parts[2]), parts[3] if len(parts) > 3 else b'')
            with self.lock:
                self.push()

    def hear(self, peer, verb, header, blob):
        if verb == b'VY1HELLO':
            assert header['v'] == 1 and header['name'] == self.sub
            self.peer, self.n, self.window = peer, 0, 0
            self.sessions += 1
            for seq, (subject, event, attempt) in sorted(self.out.items(), reverse=True):
                self.queue.insert(0, (seq, subject, event, attempt, True))
            self.out = {}
            self.send(b'WELCOME', {'epoch': self.epoch, 'window': 64, 'bytes': 1 << 20, 'silent_ms': 30000})
        elif peer != self.peer:
            self.socket.send_multipart([peer, b'VY1ERR', msgpack.packb(
                {'code': 'NOSESSION', 'class': 'RETRY', 'text': 'say HELLO'}), b''])
        elif verb == b'VY1SUB':
            assert header['name'] == self.sub
            self.window = header['window']
        elif verb == b'VY1PUB':
            self.publish(header, blob)
        elif verb == b'VY1PING':
            self.send(b'PONG', {'epoch': self.epoch})

    def publish(self, header, blob):
        assert header['n'] == self.n + 1
        self.n = header['n']
        unpacker = msgpack.Unpacker(timestamp=0)
        unpacker.feed(blob)
        records = list(unpacker)
        assert len(records) == header['count'] and all(kind in (1, 2) for kind, _ in records)
        if self.refuse > 0:
            self.refuse -= 1
            self.send(b'PUBNO', {'n': self.n, 'class': 'RETRY', 'code': 'BUSY', 'text': 'not now', 'retry_ms': 20})
        elif any(kind == 1 and body['id'] in self.denied for kind, body in records):
            self.send(b'PUBNO', {'n': self.n, 'class': 'REJECT', 'code': 'DENIED', 'text': 'no such type'})
        else:
            self.pubs.append([kind for kind, _ in records])
            for kind, body in records:
                if kind == 1:
                    self.events.append(body)
                else:
                    self.settle(body)
        self.send(b'PUBOK', {'upto': self.n})

    def settle(self, s):
        assert s['sub'] == self.sub
        if s['seq'] not in self.out:
            return
        subject, event, attempt = self.out.pop(s['seq'])
        self.settled.setdefault(s['seq'], []).append(s)
        if s['verdict'] in ('retry', 'defer'):
            self.queue.insert(0, (s['seq'], subject, event, attempt + 1, False))

    def push(self):
        if self.peer is None or self.window == 0:
            return
        busy = {subject for subject, _, _ in self.out.values()}
        left = []
        for item in self.queue:
            seq, subject, event, attempt, again = item
            if len(self.out) >= self.window or subject in busy:
                busy.add(subject)
                left.append(item)
                continue
            busy.add(subject)
            self.out[seq] = (subject, event, attempt)
            self.send(b'EVT', {'sub': self.sub, 'seq': seq, 'attempt': attempt, 'again': again},
                      msgpack.packb([1, event]))
        self.queue = left
