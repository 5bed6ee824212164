"""The units of deploy/systemd: what they start says when it is ready and that it is alive, and
their sandbox is one that systemd itself rates as safe."""
import os
import re
import shutil
import socket
import subprocess
import time

import pytest
import toybroker
from harness import PROGRAM, ROOT

UNITS = sorted((ROOT / 'deploy/systemd').glob('*.service'))


class Told:
    """A socket where systemd would be."""

    def __init__(self, path):
        self.path, self.s = path, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.s.bind(str(path))

    def env(self):
        return {'NOTIFY_SOCKET': str(self.path), 'WATCHDOG_USEC': '600000'}

    def hear(self, word, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.s.settimeout(max(0.01, end - time.monotonic()))
            try:
                text = self.s.recv(1000).decode()
            except TimeoutError:
                break
            if word in text.split('\n'):
                return text
        raise AssertionError(f'{word} was not said')


def test_the_broker_says_that_it_is_ready_and_alive(tmp_path):
    told = Told(tmp_path / 'notify')
    b = toybroker.Broker(tmp_path)
    try:
        b.start(env=told.env())
        assert 'STATUS=journal at ' in told.hear('READY=1')
        for _ in range(3):
            told.hear('WATCHDOG=1')
        b.process.terminate()
        told.hear('STOPPING=1')
        assert b.process.wait(20) == 0
    finally:
        b.close()


def test_a_connector_says_so_without_its_broker(tmp_path):
    told = Told(tmp_path / 'notify')
    b = toybroker.Broker(tmp_path)
    try:
        b.start()
        assert b.stop() == 0
        p = subprocess.Popen([str(PROGRAM), 'connector', 'books', str(b.file)], cwd=ROOT, stderr=subprocess.DEVNULL,
                             env={**os.environ, **told.env()})
        try:
            told.hear('READY=1')
            told.hear('WATCHDOG=1')
        finally:
            p.kill()
            p.wait()
    finally:
        b.close()


def test_units_start_what_there_is():
    verbs = subprocess.run([str(PROGRAM), '--help'], stdout=subprocess.PIPE, text=True, check=True).stdout
    for unit in UNITS:
        text = unit.read_text()
        verb = re.search(r'^ExecStart=/usr/bin/vayla (\w+)', text, re.M)[1]
        assert re.search(rf'^  {verb} ', verbs, re.M), unit
        assert 'Type=notify' in text and 'WatchdogSec=' in text


@pytest.mark.parametrize('unit', UNITS, ids=lambda u: u.name)
def test_the_sandbox(unit, tmp_path):
    if not shutil.which('systemd-analyze'):
        pytest.skip('no systemd-analyze')
    copy = tmp_path / unit.name.replace('@.', '@books.')
    copy.write_text(unit.read_text())
    r = subprocess.run(['systemd-analyze', 'security', '--offline=true', '--no-pager', str(copy)], text=True, timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    rated = re.search(r'Overall exposure level .*: ([\d.]+)', r.stdout)
    if rated is None:
        pytest.skip('this systemd-analyze rates no files: ' + r.stdout[-200:])
    assert float(rated[1]) < 3, r.stdout
