"""harness - one running Vayla for a test: a folder and ports of its own.

    def test_it(vayla):                 # the fixture of conftest.py
        v = vayla({'shop': {...}, ...})
        v.start()
        v.ask({'query': 'status'})
        v.kill('broker'); v.stop()

Only what a test started is ever ended; every wait is bounded. VAYLA_BUILD names
the build folder, VAYLA_FIXTURES the fixtures.
"""
import collections
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get('VAYLA_BUILD', 'build')
PROGRAM = BUILD / 'vayla'
FIXTURES = pathlib.Path(os.environ.get('VAYLA_FIXTURES', ROOT.parent / 'shared' / 'fixtures'))


def free_port():
    """A loopback port nobody has now; held by nobody until it is used."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def until(what, seconds=30, every=0.05):
    """Call until it gives something true, or fail."""
    end = time.monotonic() + seconds
    while True:
        got = what()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f'not within {seconds} s: {what}')
        time.sleep(every)


class Vayla:
    """A vayla.yaml in a folder, and the processes of `vayla run` on it."""

    def __init__(self, folder, systems, broker=None):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / 'data'
        self.books = self.folder / 'books'
        self.console_port, self.port = free_port(), free_port()
        self.url = f'http://127.0.0.1:{self.port}'
        self.console_url = f'http://127.0.0.1:{self.console_port}'
        self.bus = f'ipc://{self.folder}/bus.sock'
        self.config = {
            'broker': {'data': str(self.data), 'bus': self.bus, 'console': self.console_url, **(broker or {})},
            'receiver': {'listen': self.url},
            'systems': systems}
        self.file = self.folder / 'vayla.yaml'
        self.log = self.folder / 'run.log'
        self.process = None
        self.within = ()    # words before those of a command

    def write(self):
        # JSON is YAML; every key and text is quoted, which config accepts.
        self.file.write_text(json.dumps(self.config, indent=1))

    def command(self, *words, check=True, timeout=60, **kw):
        """Run a verb on this configuration; its CompletedProcess."""
        env = {**os.environ, 'VAYLA_CONFIG': str(self.file)}
        r = subprocess.run([*self.within, str(PROGRAM), *map(str, words)], env=env, cwd=ROOT, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, **kw)
        if check and r.returncode != 0:
            raise AssertionError(f'{words}: exit {r.returncode}\n{r.stdout}{r.stderr}')
        return r

    def start(self, seconds=30, wrap=()):
        """`wrap`: words before the program's, that end in it (exec)."""
        self.write()
        log = open(self.log, 'ab')
        at = self.log.stat().st_size
        self.process = subprocess.Popen([*wrap, str(PROGRAM), 'run', str(self.file)], cwd=ROOT, stdout=log, stderr=log)
        log.close()

        def ready():
            said = self.log.read_bytes()[at:]
            if self.process.poll() is not None:
                raise AssertionError('vayla run ended:\n' + said.decode(errors='replace'))
            return b'ready: ' in said
        try:
            until(ready, seconds)
        except AssertionError:
            self.stop()
            raise AssertionError(self.log.read_text(errors='replace')[-4000:])
        return self

    def pids(self):
        """{name: pid} of the children: 'broker', 'receiver', 'books' ..."""
        found = {}
        if self.process is None:
            return found
        for stat in pathlib.Path('/proc').glob('[0-9]*/stat'):
            try:
                rest = stat.read_text().rsplit(')', 1)[1].split()
                if int(rest[1]) != self.process.pid or rest[0] == 'Z':
                    continue
                words = (stat.parent / 'cmdline').read_bytes().split(b'\0')
            except (OSError, IndexError):
                continue
            name = words[1].decode() if len(words) > 1 else '?'
            found[words[2].decode() if name == 'connector' else name] = int(stat.parent.name)
        return found

    def kill(self, name, sig=signal.SIGKILL):
        pid = self.pids().get(name)
        if pid:
            os.kill(pid, sig)
        return pid

    def stop(self, seconds=30):
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError('vayla run did not end:\n' + self.log.read_text(errors='replace')[-4000:])
        status, self.process = self.process.returncode, None
        return status

    def status(self):
        return json.loads(self.command('status', '-o', 'json').stdout)

    def settled(self, seconds=60):
        """Wait until nothing is to be delivered or comes again."""
        def quiet():
            c = self.status()['counts']
            return c['ready'] == 0 and c['retry'] == 0 and c['deferred'] == 0
        until(quiet, seconds, 0.2)

    def sign_in_link(self):
        return until(lambda: (self.data / 'console.link').read_text().strip(), 10)


def books(folder):
    """What stands in books.journal, read by hledger: a list of transactions,
    each {date, text, tags, postings: [(account, cents)]}."""
    path = pathlib.Path(folder) / 'books.journal'
    out = subprocess.run(['hledger', '-f', str(path), 'print', '-O', 'json'], text=True, check=True,
                         stdout=subprocess.PIPE, env={**os.environ, 'LC_ALL': 'C.UTF-8'}, timeout=60).stdout
    found = []
    for t in json.loads(out or '[]'):
        postings = []
        for p in t['tpostings']:
            cents = 0
            for a in p['pamount']:
                q = a['aquantity']
                scale = 2 - q['decimalPlaces']
                assert scale >= 0 or q['decimalMantissa'] % 10 ** -scale == 0, 'a fraction of a cent'
                cents += q['decimalMantissa'] * 10 ** scale if scale >= 0 else q['decimalMantissa'] // 10 ** -scale
            postings.append((p['paccount'], cents))
        found.append({'date': t['tdate'], 'text': t['tdescription'], 'tags': dict(t['ttags']), 'postings': postings})
    return found


def check_books(folder):
    """All three accounting programs accept what stands there."""
    journal, beans = pathlib.Path(folder) / 'books.journal', pathlib.Path(folder) / 'books.beancount'
    env = {**os.environ, 'LC_ALL': 'C.UTF-8'}
    for words in (['hledger', '-f', str(journal), 'check', '--strict'],
                  ['ledger', '-f', str(journal), '--pedantic', 'bal'],
                  ['bean-check', str(beans)]):
        r = subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, timeout=120)
        assert r.returncode == 0, f'{words[0]}: {r.stdout[-2000:]}'


def balances(folder):
    """{account: cents} of what stands there, as each of the three programs sums it;
    accounts at nothing are left out."""
    journal, beans = pathlib.Path(folder) / 'books.journal', pathlib.Path(folder) / 'books.beancount'
    sums = collections.Counter()
    for t in books(folder):
        for account, n in t['postings']:
            sums[account] += n
    env = {**os.environ, 'LC_ALL': 'C.UTF-8'}

    def lines(*words):
        r = subprocess.run([str(w) for w in words], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, timeout=120)
        assert r.returncode == 0, r.stdout[-2000:]
        return r.stdout.splitlines()
    found = {'hledger': sums, 'ledger': {}, 'beancount': {}}
    for line in lines('ledger', '-f', journal, 'bal', '--flat', '--no-total', '--format', '%(account)|%(quantity(scrub(amount)))\n'):
        account, n = line.split('|')
        found['ledger'][account] = cents(n)
    for line in lines('bean-query', '-f', 'csv', beans, 'select account, number(only("EUR", sum(position))) group by account')[1:]:
        account, n = line.split(',')
        found['beancount'][account.strip()] = cents(n.strip() or '0')
    return {name: {a: n for a, n in v.items() if n} for name, v in found.items()}


def cents(text):
    """'-79.90' -> -7990, exactly, or an error."""
    m = re.fullmatch(r'(-?)(\d+)(?:\.(\d{1,2}))?0*', str(text))
    assert m, f'no amount: {text!r}'
    value = int(m[2]) * 100 + int((m[3] or '').ljust(2, '0') or 0)
    return -value if m[1] else value
