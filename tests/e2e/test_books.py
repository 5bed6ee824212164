"""The ledger connector: each posting once, whatever happens, in books that three
programs accept. First against a broker of the test's own, then in a whole Vayla
that is killed and killed again."""
import json
import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from fakebroker import FakeBroker, posting
from harness import PROGRAM, ROOT, books, check_books, until
from shop import send_callback, send_order, shop_order, total_cents

SALE = (('Assets:Clearing:Cards', 12550), ('Income:Sales:Standard', -10000), ('Liabilities:VAT:Standard', -2550))


class Connector:
    """`vayla connector books` on a folder, and the broker it speaks to."""

    def __init__(self, folder):
        self.folder, self.books = folder, folder / 'books'
        bus = f'ipc://{folder}/bus'
        self.file, self.log = folder / 'vayla.yaml', folder / 'log'
        self.file.write_text(json.dumps({
            'broker': {'data': str(folder / 'data'), 'bus': bus, 'console': 'http://127.0.0.1:1'},
            'systems': {'books': {'use': 'ledger', 'mode': 'live', 'folder': str(self.books)}}}))
        self.broker = FakeBroker(bus, 'books')
        self.process = None

    def start(self, **kw):
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen([str(PROGRAM), 'connector', 'books', str(self.file)], cwd=ROOT,
                                            stdout=log, stderr=log, **kw)
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(20) == 0, self.log.read_text()
        self.broker.stop()


@pytest.fixture
def c(tmp_path):
    made = Connector(tmp_path)
    yield made
    made.stop()


def of_event(found, id):
    return [t for t in found if t['tags'].get('event') == id]


def balances(found):
    sums = {}
    for t in found:
        assert sum(cents for _, cents in t['postings']) == 0, t
        for account, cents in t['postings']:
            sums[account] = sums.get(account, 0) + cents
    return sums


def test_postings_and_their_settlements(c):
    c.start()
    seqs = [c.broker.deliver(f'e{i}', posting(text=f'Order {i}', entries=SALE, order=str(i))) for i in range(200)]
    done = c.broker.wait(seqs)
    assert all(s['verdict'] == 'ok' and s['attempt'] == 1 for s in done.values())
    effect = done[seqs[0]]['effect']
    assert effect['remote'] == str(seqs[0]) and len(effect['digest']) == 32 and b'Order 0' in effect['excerpt']
    found = books(c.books)
    assert len(found) == 200 and balances(found) == {k: v * 200 for k, v in SALE}
    check_books(c.books)


def test_revisions_are_reversals(c):
    c.start()
    more = (('Assets:Clearing:Cards', 20000), ('Income:Sales:Zero', -20000))
    a = c.broker.deliver('e1', posting(text='first', entries=SALE))
    b = c.broker.deliver('e1', posting(text='second', date='2026-04-02', entries=more), revision=2)
    c.broker.wait([a, b])
    assert balances(books(c.books)) == {**{k: 0 for k, _ in SALE}, **dict(more)}
    first, back, second = of_event(books(c.books), 'e1')
    assert (first['tags']['revision'], back['tags']['revision'], second['tags']['revision']) == ('1', '2', '2')
    assert back['tags']['reverses'] == '1' and back['date'] == first['date'] == '2026-03-01'
    assert second['date'] == '2026-04-02'
    w = c.broker.deliver('e1', revision=3, withdrawn=True)
    # the same ones again, as after a lost confirmation
    again = [c.broker.deliver('e1', posting(text='first', entries=SALE)),
             c.broker.deliver('e1', posting(text='second', entries=more), revision=2)]
    done = c.broker.wait([w, *again])
    assert all(s['verdict'] == 'ok' for s in done.values())
    assert all('already' in done[s]['text'] for s in again)
    found = books(c.books)
    assert len(of_event(found, 'e1')) == 4 and not any(balances(found).values())
    check_books(c.books)


def test_what_is_refused_is_refused_with_its_reason(c):
    c.start()
    bad = {
        'not zero': posting(entries=(('Assets:A', 100), ('Assets:B', -99))),
        'no account': posting(entries=(('1320', 0),)),
        'three capitals': posting(currency='euro', entries=SALE),
        'not a day': posting(date='yesterday', entries=SALE),
    }
    seqs = {c.broker.deliver(f'bad{i}', data): why for i, (why, data) in enumerate(bad.items())}
    good = c.broker.deliver('good', posting(entries=SALE))
    done = c.broker.wait([*seqs, good])
    for seq, why in seqs.items():
        assert done[seq]['verdict'] == 'reject' and why in done[seq]['text'], (why, done[seq])
    assert done[good]['verdict'] == 'ok' and len(books(c.books)) == 1
    check_books(c.books)


def test_hostile_texts(c):
    texts = ['a\nb\n2026-01-01 * x\n  Assets:A  1 EUR', '"', '\\', '"\n  x: "', ';', '(', '[2026-99-99]', '\u2028',
             '\x00\x1b[2J', '\u202eabc', '', ' ', '*', '!', '| @ {}', ':a:', 'date:2020-01-01, x:y', '\u00e4\u4e2d\U0001f4b6',
             'x' * 5000, '= 5', 'include x', 'comment', '\r\n']
    c.start()
    seqs = [c.broker.deliver(f'h{i}', posting(text=t, entries=SALE, order=t)) for i, t in enumerate(texts)]
    assert all(s['verdict'] == 'ok' for s in c.broker.wait(seqs).values())
    found = books(c.books)
    assert len(found) == len(texts) and balances(found) == {k: v * len(texts) for k, v in SALE}
    for i in range(len(texts)):
        (t,) = of_event(found, f'h{i}')
        assert t['date'] == '2026-03-01' and dict(t['postings']) == dict(SALE)
    check_books(c.books)


def test_a_settlement_the_broker_cannot_take_now_is_sent_again(c):
    c.broker.refuse = 3
    c.start()
    seq = c.broker.deliver('e1', posting(entries=SALE))
    assert c.broker.wait([seq])[seq]['verdict'] == 'ok'
    assert len(books(c.books)) == 1 and len(c.broker.settled[seq]) == 1


def test_killed_fifty_times(c):
    rnd = random.Random(4711)
    seqs, cents, live = [], {}, {}
    for round in range(50):
        c.start()
        for i in range(20):
            id = f'k{round}-{i}'
            cents[id] = rnd.randrange(1, 10 ** 6)
            seqs.append(c.broker.deliver(id, posting(text=id, entries=(('Assets:Bank', cents[id]), ('Income:Sales', -cents[id])))))
            # a revision of something earlier, now and then
            if rnd.random() < 0.2:
                old = rnd.choice(list(cents))
                live[old] = live.get(old, 1) + 1
                cents[old] = rnd.randrange(1, 10 ** 6)
                seqs.append(c.broker.deliver(old, posting(text=old, entries=(
                    ('Assets:Bank', cents[old]), ('Income:Sales', -cents[old]))), revision=live[old]))
        time.sleep(rnd.random() * 0.06)
        c.kill()
    c.start()
    c.broker.wait(seqs, 60)
    found = books(c.books)
    check_books(c.books)
    for id, amount in cents.items():
        mine = of_event(found, id)
        n = live.get(id, 1)
        assert len(mine) == 2 * n - 1, (id, mine)
        assert sum(dict(t['postings'])['Assets:Bank'] for t in mine) == amount
    assert balances(found) == {'Assets:Bank': sum(cents.values()), 'Income:Sales': -sum(cents.values())}
    # and the other file says the same
    out = subprocess.run(['bean-query', '-q', '-f', 'csv', str(c.books / 'books.beancount'),
                          "SELECT sum(number) WHERE account = 'Assets:Bank'"], stdout=subprocess.PIPE, text=True,
                         env={**os.environ, 'LC_ALL': 'C.UTF-8'}, timeout=120).stdout
    assert out.split()[-1].replace('.', '') == str(sum(cents.values()))


def test_disk_full(c):
    """Nothing of a posting stands when it does not fit; it is retried, and says
    what to do."""
    c.books.mkdir()
    mount = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=256k,nr_inodes=64', 'tmpfs', str(c.books)], stderr=subprocess.PIPE)
    if mount.returncode != 0:
        pytest.skip('needs to mount a tmpfs (root)')
    try:
        c.start()
        fill = c.books / 'fill'
        first = c.broker.deliver('e0', posting(text='before', entries=SALE))
        c.broker.wait([first])
        with open(fill, 'wb', buffering=0) as f:
            try:
                while True:
                    f.write(b'x' * 512)
            except OSError:
                pass
        seqs = [c.broker.deliver(f'f{i}', posting(text='x' * 150, entries=SALE)) for i in range(40)]

        def refused():
            with c.broker.lock:
                return [s[-1] for s in c.broker.settled.values() if s[-1]['verdict'] == 'retry']
        got = until(refused, 20)
        assert 'free some space' in got[0]['text'], got[0]
        full = [(c.books / name).read_text().count('x' * 150) for name in ('books.journal', 'books.beancount')]
        assert full[0] == full[1] < 40
        check_books(c.books)
        fill.unlink()
        c.broker.wait(seqs, 30)
        found = books(c.books)
        assert len(found) == 41 and balances(found) == {k: v * 41 for k, v in SALE}
        check_books(c.books)
    finally:
        c.kill()
        subprocess.run(['umount', '-l', str(c.books)], check=False)


@pytest.mark.parametrize('nth', [1, 2, 3])
def test_a_disk_that_does_not_confirm_ends_the_process(c, nth):
    """fdatasync fails once, of books.commit, the journal or beancount: nothing
    is settled on it; the next process finishes or forgets the batch."""
    if shutil.which('strace') is None:
        pytest.skip('needs strace')
    c.start()
    first = c.broker.deliver('e0', posting(entries=SALE))
    c.broker.wait([first])
    tracer = subprocess.Popen(['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=fdatasync', '-e',
                               f'inject=fdatasync:error=EIO:when={nth}', '-p', str(c.process.pid)], stderr=subprocess.PIPE)
    until(lambda: 'TracerPid:\t0' not in open(f'/proc/{c.process.pid}/status').read(), 10)
    seq = c.broker.deliver('e1', posting(text='lost?', entries=SALE))
    assert c.process.wait(20) != 0
    tracer.wait(10)
    assert 'did not take' in c.log.read_text()
    assert seq not in c.broker.settled
    c.start()
    assert c.broker.wait([seq])[seq]['verdict'] == 'ok'
    assert len(of_event(books(c.books), 'e1')) == 1 and len(books(c.books)) == 2
    check_books(c.books)


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / 'books').write_text('a file')
    c = Connector(tmp_path)
    c.start()
    assert c.process.wait(20) != 0
    assert str(tmp_path / 'books') in c.log.read_text()
    c.stop()


def test_one_process_per_folder(c):
    c.start()
    c.broker.wait([c.broker.deliver('e1', posting(entries=SALE))])
    r = subprocess.run([str(PROGRAM), 'connector', 'books', str(c.file)], cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=20)
    assert r.returncode == 75 and 'another process' in r.stderr


# ---- a whole Vayla ----

SHOP, PAY = 'shop-secret', 'pay-secret'


@pytest.mark.parametrize('whom', ['books', 'broker'])
def test_every_order_once_while_it_is_killed(vayla, tmp_path, whom):
    v = vayla({
        'shop': {'use': 'woocommerce', 'webhook_secret': SHOP},
        'payments': {'use': 'paytrail', 'of': 'shop', 'secret': PAY},
        'books': {'use': 'ledger', 'mode': 'live', 'folder': str(tmp_path / 'books')}})
    v.start()
    rnd = random.Random(1)
    totals = {}
    for number in range(1000, 1060):
        order = shop_order(number, lines=((rnd.randrange(1, 4), rnd.randrange(100, 9999), 2550),), shipping=590)
        totals[number] = total_cents(order)

        def sent(call):
            """Like a real sender: again until it is taken."""
            def once():
                try:
                    return call()[0] == 200
                except OSError:
                    return False
            until(once, 30, 0.05)
        sent(lambda: send_order(v, SHOP, order))
        sent(lambda: send_callback(v, PAY, number, totals[number], f'tx-{number}'))
        if number % 6 == 5:
            v.kill(whom)
    until(lambda: len(books(tmp_path / 'books')) >= len(totals), 120, 0.5)
    v.settled(60)
    found = books(tmp_path / 'books')
    check_books(tmp_path / 'books')
    banks = {t['tags']['order']: dict(t['postings'])['Assets:Clearing:Banks'] for t in found}
    assert len(found) == len(totals)
    assert banks == {str(k): t for k, t in totals.items()}
    assert sum(balances(found).values()) == 0
    assert v.stop() == 0
