"""Peers come from the network, into build/peers, pinned. Where they cannot be had
the tests are skipped, and that is said."""
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRETTIER = '3.6.2'


@pytest.fixture(scope='session')
def prettier():
    """The folder with prettier in its node_modules."""
    home = ROOT / 'build/peers/prettier'
    if not (home / 'node_modules/prettier' / 'package.json').exists():
        if shutil.which('npm') is None:
            pytest.skip('NO PRETTIER: npm is not installed')
        home.mkdir(parents=True, exist_ok=True)
        out = subprocess.run(['npm', 'install', '--no-audit', '--no-fund', '--prefix', str(home), f'prettier@{PRETTIER}'],
                             capture_output=True, text=True, timeout=300)
        if out.returncode != 0:
            pytest.skip(f'NO PRETTIER: npm could not get it: {out.stderr.strip().splitlines()[-1:]}')
    return home
