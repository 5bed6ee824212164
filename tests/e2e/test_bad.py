"""What a person can get wrong before anything runs: every error at once, one
line that says what to do, the right exit status, and nothing left behind."""
import os
import socket
import subprocess

import pytest

from harness import PROGRAM, ROOT, Vayla

SYSTEMS = {
    'shop': {'use': 'woocommerce', 'webhook_secret': 's'},
    'payments': {'use': 'paytrail', 'of': 'shop', 'secret': 's'},
}


def run(v, seconds=40):
    v.write()
    return subprocess.run([str(PROGRAM), 'run', str(v.file)], cwd=ROOT, text=True, timeout=seconds,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_all_typos_at_once_and_nothing_starts(tmp_path):
    v = Vayla(tmp_path, {
        'shop': {'use': 'woocomerce', 'webhook_secret': 's'},
        'payments': {'use': 'paytrail', 'off': 'shop', 'secret': 's'},
        'books': {'use': 'ledger', 'mode': 'alive', 'folder': str(tmp_path / 'books')},
        'more': {'use': 'woocommerce'}}, broker={'dta': 'x'})
    r = run(v)
    assert r.returncode in (1, 2), r.stdout
    for said in ('woocommerce', 'dta', 'of', 'alive', 'webhook_secret'):
        assert said in r.stdout, (said, r.stdout)
    lines = [x for x in r.stdout.splitlines() if 'vayla.yaml:' in x]
    assert len(lines) >= 5, r.stdout
    assert not v.data.exists(), 'something was started'


def test_an_unset_variable_refuses_to_start(tmp_path):
    v = Vayla(tmp_path, {'shop': {'use': 'woocommerce', 'webhook_secret': '${VAYLA_TEST_NOT_SET}'}})
    r = run(v)
    assert r.returncode != 0 and 'VAYLA_TEST_NOT_SET' in r.stdout
    assert not v.data.exists()


@pytest.mark.parametrize('which', ['console', 'receiver'])
def test_a_port_that_is_taken(tmp_path, which):
    v = Vayla(tmp_path, SYSTEMS)
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        port = s.getsockname()[1]
        if which == 'console':
            v.config['broker']['console'] = f'http://127.0.0.1:{port}'
        else:
            v.config['receiver']['listen'] = f'http://127.0.0.1:{port}'
        r = run(v)
    assert r.returncode not in (0, 124), r.stdout
    assert str(port) in r.stdout
    assert 'change' in r.stdout or 'ss -l' in r.stdout, r.stdout


def test_a_data_folder_that_cannot_be(tmp_path):
    v = Vayla(tmp_path, SYSTEMS)
    (tmp_path / 'file').write_text('')
    v.config['broker']['data'] = str(tmp_path / 'file' / 'data')
    r = run(v)
    assert r.returncode != 0
    assert str(tmp_path / 'file') in r.stdout


def test_a_second_broker_on_the_same_journal(vayla):
    v = vayla(SYSTEMS)
    v.start()
    r = subprocess.run([str(PROGRAM), 'broker', str(v.file)], cwd=ROOT, text=True, timeout=30,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert r.returncode != 0
    assert str(v.pids()['broker']) in r.stdout, r.stdout
    assert v.status()['counts']['events'] == 0


def test_no_room_to_start(tmp_path):
    if os.getuid() != 0:
        pytest.skip('needs root: mounts a small tmpfs')
    small = tmp_path / 'small'
    small.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=4M', 'tmpfs', str(small)]).returncode != 0:
        pytest.skip('this machine does not let us mount a tmpfs')
    try:
        v = Vayla(tmp_path, SYSTEMS)
        v.config['broker']['data'] = str(small)
        r = run(v)
        assert r.returncode != 0
        assert 'full' in r.stdout.lower() or 'space' in r.stdout.lower(), r.stdout
    finally:
        subprocess.run(['umount', str(small)], check=True)


@pytest.mark.parametrize('words', [['statsu'], ['order', 'shwo', '1'], ['inbox', 'list', '--al'], ['map', 'tst']])
def test_a_misspelt_word_is_a_usage_error(words, tmp_path):
    r = subprocess.run([str(PROGRAM), *words], cwd=tmp_path, text=True, timeout=20,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert r.returncode == 2, r
    assert r.stderr and not r.stdout


def test_nothing_runs(tmp_path):
    v = Vayla(tmp_path, SYSTEMS)
    v.write()
    r = v.command('status', check=False)
    assert r.returncode == 75 and 'vayla run' in r.stderr, r
