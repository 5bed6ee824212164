"""`make run` is `vayla demo`: it starts, plays, shows, runs on and stops; a second
start goes on from the same journal."""
import os
import re
import signal
import subprocess
import time

import pytest

from harness import PROGRAM, ROOT, books, check_books, free_port, until


class Demo:
    def __init__(self, folder):
        self.folder, self.file, self.out = folder, folder / 'vayla.yaml', folder / 'out'
        text = (ROOT / 'deploy' / 'demo' / 'vayla.yaml').read_text()
        self.console, self.listen, shop = free_port(), free_port(), free_port()
        text = text.replace('7180', str(self.console)).replace('7181', str(self.listen)).replace('7182', str(shop))
        # the demonstration's own configuration, but for its ports
        self.file.write_text(text)
        self.process = None

    def start(self, *words):
        with open(self.out, 'wb') as out:
            self.process = subprocess.Popen([str(PROGRAM), 'demo', str(self.file), *words], cwd=self.folder,
                                            env={**os.environ, 'VAYLA_PACKS': str(ROOT / 'mappings')}, stdout=out, stderr=out)
        return self

    def said(self):
        return self.out.read_text(errors='replace')

    def until(self, text, seconds=60):
        def there():
            assert self.process.poll() is None or text in self.said(), self.said()
            return text in self.said()
        until(there, seconds)

    def end(self, sig=signal.SIGINT):
        self.process.send_signal(sig)
        return self.process.wait(40)

    def running(self):
        """Processes of this configuration that are still there."""
        found = []
        for p in os.listdir('/proc'):
            try:
                words = open(f'/proc/{p}/cmdline', 'rb').read().split(b'\0')
            except (OSError, ValueError):
                continue
            if str(self.file).encode() in words:
                found.append(words)
        return found


@pytest.fixture
def demo(tmp_path):
    d = Demo(tmp_path)
    yield d
    if d.process is not None and d.process.poll() is None:
        d.process.kill()
        d.process.wait()


def test_it_plays_and_goes_on_from_where_it_was(demo):
    demo.start('--orders', '30').until('Ctrl-C ends it')
    said = demo.said()
    assert '30 orders, from number 1001 on' in said
    table = said[said.index('Since it was started'):]
    for row in (r'came in +\d+ +\S', r' \d+ +woocommerce\.order', r' \d+ +order\.placed', r' 26 +to shop', r' \d+ +to books', r'waits +0'):
        assert re.search(row, table), (row, table)
    assert f'http://127.0.0.1:{demo.console}/' in said and 'hledger -f ./var/books/books.journal' in said
    went = int(re.search(r'(\d+) +to books', table)[1])
    assert len(books(demo.folder / 'var' / 'books')) == went > 10
    # what it says to type works
    show = subprocess.run([str(PROGRAM), 'order', 'show', '1001', '--config', str(demo.file)], cwd=demo.folder, text=True,
                          env={**os.environ, 'VAYLA_PACKS': str(ROOT / 'mappings')}, stdout=subprocess.PIPE, timeout=30)
    assert show.returncode == 0 and 'order:shop/1001' in show.stdout
    assert demo.end() == 0
    assert not demo.running()
    demo.start('--orders', '10', '--once')
    assert demo.process.wait(90) == 0, demo.said()
    assert '10 orders, from number 1031 on' in demo.said()
    check_books(demo.folder / 'var' / 'books')
    orders = {t['tags'].get('order', '0') for t in books(demo.folder / 'var' / 'books')}
    assert any(int(n) > 1030 for n in orders) and any(int(n) <= 1030 for n in orders)
    assert not demo.running()


def test_it_can_be_stopped_while_it_plays(demo):
    demo.start('--orders', '100000').until('100000 orders')
    time.sleep(1)
    assert demo.end(signal.SIGTERM) == 1
    assert not demo.running()
    check_books(demo.folder / 'var' / 'books')


def test_it_says_why_it_cannot_start(demo):
    config = demo.file.read_text()
    demo.file.write_text(config.replace('./var/books', '/proc/nowhere'))
    demo.start()
    assert demo.process.wait(60) not in (0, None)
    assert '/proc/nowhere' in demo.said() and not demo.running()
    demo.file.write_text(config.replace('woocommerce', 'woocomerce'))
    demo.start()
    assert demo.process.wait(60) not in (0, None)
    assert 'did you mean' in demo.said() and not demo.running()


def test_the_demonstration_s_own_files_are_in_order():
    r = subprocess.run([str(PROGRAM), 'check', 'deploy/demo/vayla.yaml'], cwd=ROOT, text=True, timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert r.returncode == 0, r.stdout
