"""Who may speak on the bus: keys, rights, and what becomes of those without."""
import os
import re
import stat
import subprocess
import time

import pytest
import toybroker
import zmq
from harness import PROGRAM, ROOT, free_port, until
from toybroker import order
from vyclient import ACTION, SETTLE, Client, No, Silence, key_of, pack


@pytest.fixture
def broker(tmp_path):
    b = toybroker.Broker(tmp_path).start()
    yield b
    b.close()


def key(b, *words, check=True, env=None):
    r = subprocess.run([str(PROGRAM), 'key', *words, '--config', str(b.file)], cwd=ROOT, text=True, timeout=30,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(env or {})})
    if check:
        assert r.returncode == 0, r.stdout + r.stderr
    return r


def cli(b, *words, user=None):
    env = {**os.environ, **({'VAYLA_KEY': str(b.folder / f'data/access/{user}.key')} if user else {})}
    return subprocess.run([str(PROGRAM), *words, '--config', str(b.file)], cwd=ROOT, text=True, timeout=30, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def person(b, user, name=None):
    """A session of somebody whose key was just made."""
    def up():
        c = Client(b.bus, name or user, 'operator', user=user)
        b.clients.append(c)
        try:
            c.hello(seconds=1)
            return c
        except Silence:
            return None
    return until(up, 20)


def records(op):
    j = op.ask('status')['journal']
    return j['next'] - j['first']


def speak(socket, frames):
    """Without waiting: a connection that was refused takes nothing more."""
    try:
        socket.send_multipart(frames, zmq.DONTWAIT)
    except zmq.Again:
        pass


def denied(call):
    with pytest.raises(No) as no:
        call()
    assert (no.value.code, no.value.cls) == ('DENIED', 'REJECT') and no.value.text
    return no.value.text


def test_keys_are_made_by_themselves_for_their_owner_alone(broker):
    folder = broker.folder / 'data' / 'access'
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    names = {p.name for p in folder.iterdir()}
    assert names == {f'{u}.{e}' for u in ('broker', 'operator', 'receiver', 'shop', 'books') for e in ('key', 'pub')}
    for p in folder.glob('*.key'):
        assert stat.S_IMODE(p.stat().st_mode) == 0o600
    secrets = {key_of(p, 'secret') for p in folder.glob('*.key')}
    assert len(secrets) == 5
    broker.client('shop', 'connector').publish(order(1))
    assert cli(broker, 'status').returncode == 0
    said = broker.text() + key(broker, 'list').stdout + key(broker, 'list', '-o', 'json').stdout
    assert not [s for s in secrets if s in said]
    # once more from the start: the same keys
    broker.stop()
    broker.start()
    assert {key_of(p, 'secret') for p in folder.glob('*.key')} == secrets


def test_half_a_key_is_made_whole(broker):
    """A crash came between its two files: who has the private one is known again."""
    secret = (broker.folder / 'data/access/shop.key').read_text()
    assert broker.stop() == 0
    (broker.folder / 'data/access/shop.pub').unlink()
    broker.start()
    assert (broker.folder / 'data/access/shop.key').read_text() == secret
    broker.client('shop', 'connector').publish(order(1))


def test_nobody_comes_in_without_a_key_that_is_known(broker):
    op = broker.client('cli', 'operator')
    before = records(op)
    server = key_of(broker.folder / 'data/access/broker.pub', 'key').encode()
    stranger, secret = zmq.curve_keypair()

    def plain(s):
        pass

    def unknown(s):
        s.curve_publickey, s.curve_secretkey, s.curve_serverkey = stranger, secret, server

    def password(s):
        s.plain_username, s.plain_password = b'operator', b'x'

    def wrong_server(s):
        s.curve_publickey, s.curve_secretkey, s.curve_serverkey = stranger, secret, stranger
    for how in (plain, unknown, password, wrong_server):
        s = zmq.Context.instance().socket(zmq.DEALER)
        s.linger = 0
        how(s)
        s.connect(broker.bus)
        speak(s, [b'VY1HELLO', pack({'v': 1, 'name': 'shop', 'role': 'connector'})])
        speak(s, [b'VY1PUB', pack({'n': 1, 'count': 1}), pack(order(1))])
        assert not s.poll(700), how
        s.close()
    assert records(op) == before and 'unknown or revoked key' in broker.text()


def test_a_key_is_good_for_its_own_name_and_role(broker):
    shop = Client(broker.bus, 'books', 'connector', user='shop')
    assert 'shop' in denied(shop.hello)
    shop.name, shop.role = 'cli', 'operator'
    denied(shop.hello)
    shop.name, shop.role = 'receiver', 'receiver'
    denied(shop.hello)
    shop.name, shop.role = 'shop', 'connector'
    shop.hello()
    shop.publish(order(1))


def test_rights_are_by_verb_and_type(broker):
    op = broker.client('cli', 'operator')
    shop = broker.client('shop', 'connector')
    shop.publish(order(1, email='a@example.fi'))
    key(broker, 'new', 'anna', '--role', 'operator', '--may', 'ask,tap:order.,act:retry')
    anna = person(broker, 'anna')
    open_, = op.ask('open', sub='books')['items']
    before = records(op)
    assert anna.ask('status')['epoch']
    assert 'unseal' in denied(lambda: anna.ask('event', seq=1, unseal=True))
    assert 'a@example.fi' not in str(anna.ask('event', seq=1))
    assert 'act skip' in denied(lambda: anna.act('skip', sub='books', seq=open_['seq']))
    assert 'act pause' in denied(lambda: anna.act('pause', system='books'))
    denied(lambda: anna.publish([ACTION, {'act': 'retry', 'by': 'bertil', 'sub': 'books', 'seq': open_['seq']}]))
    for type in ('', 'toyshop.'):
        anna.tap(type=type)
        denied(lambda: anna.expect('EVT', seconds=2))
    anna.tap(type='order.')
    anna.ping()
    assert records(op) == before                    # what is denied leaves no record
    anna.act('retry', sub='books', seq=open_['seq'])
    acts = until(lambda: [r for r in op.ask('timeline', subject=open_['subject'])['records'] if r['kind'] == 'action'])
    assert [a['by'] for a in acts] == ['anna']
    # a connector that may publish, some of it, and take nothing
    key(broker, 'new', 'shop', '--role', 'connector', '--may', 'publish:toyshop.order')
    del shop

    def renewed():
        try:
            c = Client(broker.bus, 'shop', 'connector')
            c.hello(seconds=1)
            return c
        except Silence:
            return None
    shop = until(renewed, 20)
    shop.publish(order(2))
    before = records(op)
    assert 'toyshop.payment' in denied(lambda: shop.publish(toybroker.payment('p1', 2)))
    shop.subscribe()
    assert 'take' in denied(lambda: shop.expect('EVT', seconds=2))
    denied(lambda: shop.publish([SETTLE, {'sub': 'shop', 'seq': 1, 'verdict': 'ok'}]))
    assert records(op) == before
    shop.close()


def test_a_revoked_key_ends_its_session(broker):
    op = broker.client('cli', 'operator')
    key(broker, 'new', 'anna', '--role', 'operator')
    anna, other = person(broker, 'anna'), broker.client('books', 'connector')
    anna.act('pause', system='books')
    before = records(op)
    key(broker, 'revoke', 'anna')
    assert 'revoked' in denied(lambda: anna.expect('EVT', seconds=10))
    with pytest.raises(No) as no:
        anna.act('resume', system='books')
    assert no.value.code == 'NOSESSION'
    denied(anna.hello)                              # on the connection that is still there
    late = Client(broker.bus, 'anna', 'operator', user='anna')
    with pytest.raises(Silence):                    # and on none that is new
        late.hello(seconds=1)
    late.close()
    assert records(op) == before and other.ping()
    r = cli(broker, 'system', 'resume', 'books', user='anna')
    assert r.returncode == 77 and 'revoked' in r.stderr, r.stderr
    assert re.search(r'^anna +operator +revoked', key(broker, 'list').stdout, re.M)
    # a revoked one is not made again by a start; a new one is another key
    broker.stop()
    key(broker, 'revoke', 'shop')
    broker.start()
    late = Client(broker.bus, 'shop', 'connector')
    with pytest.raises(Silence):
        late.hello(seconds=1)
    late.close()
    key(broker, 'new', 'shop', '--role', 'connector')
    until(lambda: hello_of(broker, 'shop', 'connector'), 20)


def hello_of(b, name, role):
    c = Client(b.bus, name, role)
    try:
        c.hello(seconds=1)
        return True
    except Silence:
        return False
    finally:
        c.close()


def test_another_connection_does_not_inherit_a_session(broker):
    """A routing id that is free again is anybody's; a session is not."""
    server = key_of(broker.folder / 'data/access/broker.pub', 'key').encode()

    def connect(user):
        s = zmq.Context.instance().socket(zmq.DEALER)
        s.linger = 0
        secret = key_of(broker.folder / f'data/access/{user}.key', 'secret').encode()
        s.curve_secretkey, s.curve_publickey, s.curve_serverkey = secret, zmq.curve_public(secret), server
        s.routing_id = b'the same'
        s.connect(broker.bus)
        return s
    shop = connect('shop')
    shop.send_multipart([b'VY1HELLO', pack({'v': 1, 'name': 'shop', 'role': 'connector'})])
    assert shop.poll(5000) and shop.recv_multipart()[0] == b'VY1WELCOME'
    shop.close()
    time.sleep(0.2)
    books = connect('books')
    books.send_multipart([b'VY1PUB', pack({'n': 1, 'count': 1}), pack(order(1))])
    assert books.poll(5000)
    assert b'NOSESSION' in books.recv_multipart()[1]
    books.close()
    assert broker.client('cli', 'operator').ask('status')['counts']['events'] == 0


def test_over_tcp_from_a_folder_of_its_own(broker, tmp_path):
    """As another machine would: with the two files it was given, and nothing else."""
    port = free_port()
    broker.stop()
    broker.config['broker']['bus'] = [broker.bus, f'tcp://127.0.0.1:{port}']
    broker.start()
    away = tmp_path / 'away'
    key(broker, 'new', 'shop', '--role', 'connector', '--out', str(away))
    assert {p.name for p in away.iterdir()} == {'shop.key', 'broker.pub'}
    assert not (broker.folder / 'data/access/shop.key').exists()

    def over_tcp():
        c = Client(f'tcp://127.0.0.1:{port}', 'shop', 'connector', access=away)
        broker.clients.append(c)
        try:
            c.hello(seconds=1)
            return c
        except Silence:
            return None
    until(over_tcp, 20).publish(order(1))
    plain = zmq.Context.instance().socket(zmq.DEALER)
    plain.linger = 0
    plain.connect(f'tcp://127.0.0.1:{port}')
    speak(plain, [b'VY1HELLO', pack({'v': 1, 'name': 'shop', 'role': 'connector'})])
    assert not plain.poll(700)
    plain.close()


def test_a_key_that_others_can_read_is_not_used(broker):
    path = broker.folder / 'data/access/operator.key'
    path.chmod(0o644)
    r = cli(broker, 'status')
    assert r.returncode == 77 and 'chmod 600' in r.stderr
    path.chmod(0o600)
    assert cli(broker, 'status').returncode == 0


def test_what_key_cannot_do_it_says(broker):
    for words, status in ((['new', 'nobody', '--role', 'connector'], 4), (['new', 'x"', '--role', 'operator'], 2),
                          (['new', 'anna'], 2), (['new', 'anna', '--role', 'king'], 2), (['new', 'broker', '--role', 'operator'], 2),
                          (['new', 'anna', '--role', 'operator', '--may', 'fly'], 1),
                          (['new', 'anna', '--role', 'operator', '--may', 'take:x'], 1),
                          (['revoke', 'nobody'], 4), (['revoke', 'broker'], 2), (['lose', 'x'], 2)):
        r = key(broker, *words, check=False)
        assert r.returncode == status and r.stderr, (words, r)
    assert 'nobody' not in key(broker, 'list').stdout
