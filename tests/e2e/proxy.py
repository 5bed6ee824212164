"""proxy - a TCP proxy that behaves badly on demand, between clients and the bus.

    p = Proxy(port_of_the_broker); p.port
    p.delay = 0.2           # each piece of bytes is held so long
    p.hole = True           # connections stay, nothing passes any more
    p.cut()                 # all connections end, in the middle of a frame or not
    p.refuse = True         # and no new ones
"""
import random
import select
import socket
import threading
import time


class Proxy:
    def __init__(self, to, seed=1):
        self.to, self.rng = to, random.Random(seed)
        self.delay, self.hole, self.refuse = 0.0, False, False
        self.passed = self.cuts = 0
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.pairs, self.lock, self.over = [], threading.Lock(), False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def cut(self):
        """End every connection; what is on its way is lost."""
        with self.lock:
            for pair in self.pairs:
                for s in pair:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\x01\0\0\0\0\0\0\0')
                    s.close()
            self.cuts += len(self.pairs)
            self.pairs = []

    def stop(self):
        self.over = True
        self.thread.join(10)
        self.cut()
        self.listener.close()

    # ---- the thread ----

    def run(self):
        waiting = []            # (when, to, bytes)
        while not self.over:
            now = time.monotonic()
            late = [x for x in waiting if x[0] > now]
            for _, to, data in [x for x in waiting if x[0] <= now]:
                self.give(to, data)
            waiting = late
            with self.lock:
                ends = {a: b for pair in self.pairs for a, b in (pair, pair[::-1])}
            try:
                ready, _, _ = select.select([self.listener, *([] if self.hole else ends)], [], [], 0.005)
            except (OSError, ValueError):
                continue        # cut meanwhile
            for s in ready:
                if s is self.listener:
                    self.accept()
                    continue
                try:
                    data = s.recv(self.rng.choice((1, 7, 100, 65536)))
                except OSError:
                    data = b''
                if not data:
                    self.drop(s)
                elif self.delay:
                    waiting.append((time.monotonic() + self.delay, ends[s], data))
                else:
                    self.give(ends[s], data)

    def accept(self):
        a, _ = self.listener.accept()
        if self.refuse:
            a.close()
            return
        try:
            b = socket.create_connection(('127.0.0.1', self.to), 5)
        except OSError:
            a.close()
            return
        with self.lock:
            self.pairs.append((a, b))

    def give(self, to, data):
        try:
            to.sendall(data)
            self.passed += len(data)
        except OSError:
            self.drop(to)

    def drop(self, s):
        with self.lock:
            for pair in [p for p in self.pairs if s in p]:
                for x in pair:
                    x.close()
                self.pairs.remove(pair)
