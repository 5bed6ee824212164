"""Peers that mean no good, or are broken: what they send costs the broker little, and
others are served."""
import os
import pathlib
import random
import socket
import threading
import time

import pytest
import toybroker
import zmq
from hostile import CONSUMERS, PRODUCERS, RSS_LIMIT, attack, fresh, rss
from harness import until
from toybroker import order
from vyclient import Client, No, pack, show


@pytest.fixture
def broker(tmp_path):
    b = toybroker.Broker(tmp_path).start()
    yield b
    b.close()


def flood(address, frames, stop):
    """Send without ever reading."""
    s = zmq.Context.instance().socket(zmq.DEALER)
    s.setsockopt(zmq.LINGER, 0)
    s.setsockopt(zmq.SNDHWM, 10)
    show(s, pathlib.Path(address[len('ipc://'):]).parent / 'data' / 'access', 'operator')
    s.connect(address)
    s.send_multipart([b'VY1HELLO', pack({'v': 1, 'name': 'flood', 'role': 'operator'})])
    while not stop.is_set():
        try:
            s.send_multipart(frames, zmq.DONTWAIT)
        except zmq.Again:
            time.sleep(0.001)
    s.close()


@pytest.mark.parametrize('frames', [
    [b'VY1PUB', pack({'n': 1, 'count': 1}), os.urandom(250 * 1024)],
    [b'VY1PUB', pack({'n': 1, 'count': 1}), pack([1, {'id': 'x' * 900_000}])],
    [b'VY1ASK', pack({'id': 1}), pack({'query': 'status'})],
    [b'VY1NOPE', b'\x80'],
    [b'VY1PING', pack({'report': {str(i): i for i in range(64)}})],
], ids=['noise', 'large', 'ask', 'verb', 'ping'])
def test_four_that_flood_and_do_not_read(broker, frames):
    stop = threading.Event()
    threads = [threading.Thread(target=flood, args=(broker.bus, frames, stop)) for _ in range(4)]
    for t in threads:
        t.start()
    most = 0
    try:
        c = broker.client('shop', 'connector')
        end = time.monotonic() + 3
        n = 0
        while time.monotonic() < end:
            c.publish(order(n), seconds=20)
            n += 1
            most = max(most, rss(broker))
    finally:
        stop.set()
        for t in threads:
            t.join()
    print(f'{n} orders beside it, at most {most} MiB')
    assert n > 5 and most < RSS_LIMIT


def test_more_sessions_than_there_may_be(broker):
    clients = []
    refused = 0
    for i in range(270):
        c = Client(broker.bus, f'c{i}', 'operator')
        clients.append(c)
        try:
            c.hello()
        except No as no:
            assert no.code == 'BUSY'
            refused += 1
    assert refused == 270 - 256
    for c in clients[:20]:
        c.bye()
    late = broker.client('late', 'operator')
    assert late.ping()
    for c in clients:
        c.close()


def test_half_a_handshake_and_noise_on_the_socket(broker):
    path = broker.bus[len('ipc://'):]
    noise = []
    rng = random.Random(3)
    for i in range(50):
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        s.sendall(rng.randbytes(rng.randrange(1, 300)) if i % 2 else b'\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03')
        noise.append(s)
    c = broker.client('shop', 'connector')
    c.publish(order(1))
    for s in noise:
        s.close()


def test_a_frame_beyond_the_limit_ends_the_connection_only(broker):
    c = broker.client('shop', 'connector')
    c.socket.send_multipart([b'VY1PUB', pack({'n': 1, 'count': 1}), b'\x00' * 3_000_000])
    d = broker.client('shop', 'connector')
    d.publish(order(1))
    # several records together may be 256 KiB; one alone 1 MiB
    with pytest.raises(No) as no:
        d.publish(*[order(i, ref='x' * 100_000) for i in range(2, 6)])
    assert no.value.code == 'LIMIT'
    d.publish(order(9, ref='x' * 1_000_000))
    with pytest.raises(No) as no:
        d.publish(order(10, ref='x' * (1024 * 1024)))
    assert no.value.code == 'LIMIT'


def test_deep_and_wide_data(broker):
    c = broker.client('shop', 'connector')
    deep = value = {}
    for _ in range(80):
        value['a'] = {}
        value = value['a']
    for data in (deep, {str(i): i for i in range(5000)}):
        with pytest.raises(No) as no:
            c.publish([1, {**order(1)[1], 'data': data}])
        assert no.value.cls == 'REJECT'
    c.publish(order(1))


def test_a_peer_that_comes_and_goes(broker):
    for i in range(200):
        c = Client(broker.bus, 'shop', 'connector')
        c.hello()
        c.post(order(i))
        c.close()
    op = broker.client('cli', 'operator')
    until(lambda: op.ask('status')['counts']['events'] > 0)
    until(lambda: len(op.ask('status')['sessions']) <= 2, 40)


def test_one_that_reads_no_answer_loses_its_session(broker):
    """Answers are kept for it up to its queue; then it is told FLOOD, and is over."""
    op = broker.client('cli', 'operator')
    s = zmq.Context.instance().socket(zmq.DEALER)
    s.linger, s.rcvhwm, s.rcvbuf = 0, 1, 4096
    show(s, broker.folder / 'data' / 'access', 'shop')
    s.connect(broker.bus)
    s.send_multipart([b'VY1HELLO', pack({'v': 1, 'name': 'shop', 'role': 'connector'})])
    n, end = 0, time.monotonic() + 30
    while [x for x in op.ask('status')['sessions'] if x['name'] == 'shop'] or n == 0:
        assert time.monotonic() < end, f'{n} PUBs, and no answer read'
        for _ in range(200):
            n += 1
            s.send_multipart([b'VY1PUB', pack({'n': n, 'count': 1}), pack([1, {**order(n)[1], 'source': 'books' * 40}])])
    assert op.ask('status')['counts']['events'] == 0
    s.close()


@pytest.mark.parametrize('how', CONSUMERS + PRODUCERS, ids=lambda f: f.__name__)
def test_others_are_served_beside(broker, how):
    n, most = attack(broker, how, seconds=1.5)
    print(f'{how.__name__}: {n} events beside it, at most {most} MiB')


def silent(broker, n):
    """Connections that say nothing: half of them not even ZeroMQ's greeting, half a handshake and no HELLO."""
    made = []
    for i in range(n // 2):
        s = socket.socket(socket.AF_UNIX)
        s.connect(broker.bus[len('ipc://'):])       # waits while the backlog is full
        made.append(s)
    context = zmq.Context()
    context.set(zmq.MAX_SOCKETS, n)
    for i in range(n // 2):
        s = context.socket(zmq.DEALER)
        s.linger = 0
        show(s, broker.folder / 'data' / 'access', 'operator')
        s.connect(broker.bus)
        made.append(s)
    return made, context


def test_a_thousand_connections_that_say_nothing(broker):
    made, context = silent(broker, 1000)
    try:
        c = broker.client('receiver', 'receiver')
        most = 0
        for i in range(100):
            c.publish(order(i), seconds=20)
            most = max(most, rss(broker))
            time.sleep(0.02)
        # those that did not even greet are ended by then, or soon
        descriptors = until(lambda: (n := len(os.listdir(f'/proc/{broker.process.pid}/fd'))) > 500 and n, 20)
        most = max(most, rss(broker))
        print(f'{descriptors} descriptors, at most {most} MiB')
        assert most < RSS_LIMIT
        fresh(broker, 10 ** 7)
    finally:
        for s in made:
            s.close()
        context.term()
    until(lambda: len(os.listdir(f'/proc/{broker.process.pid}/fd')) < 200, 20)
