"""Every journal ever committed opens, verifies, and goes on."""
import json
import pathlib
import tarfile

import pytest

from harness import ROOT, until
from shop import send_callback, send_order, shop_order, total_cents

JOURNALS = sorted((ROOT / 'tests' / 'samples').glob('journal-*.tar.gz'))


def test_there_is_one():
    assert JOURNALS


@pytest.mark.parametrize('path', JOURNALS, ids=lambda p: p.name)
def test_it_opens_and_goes_on(vayla, tmp_path, path):
    v = vayla({'shop': {'use': 'woocommerce', 'webhook_secret': 'old-shop'},
               'payments': {'use': 'paytrail', 'of': 'shop', 'secret': 'old-pay'},
               'books': {'use': 'ledger', 'mode': 'live', 'folder': str(tmp_path / 'books')}})
    with tarfile.open(path) as tar:
        for m in tar.getmembers():
            assert m.name.split('/')[0] == 'data' and '..' not in pathlib.PurePath(m.name).parts
        tar.extractall(v.folder)
    assert v.command('verify', v.data).returncode == 0
    v.start()
    assert v.status()['counts']['events'] == 20
    for n in (1, 2, 3, 4):
        t = json.loads(v.command('order', 'show', f'tx-{n}', '--unmask', '-o', 'json').stdout, parse_float=str)
        assert t['subject'] == f'order:shop/{n}'
        assert t['money']['open'] == '0.00' and t['money']['ordered'] == t['money']['captured']
        assert 'Korhonen' in json.dumps(t), 'what was sealed then opens now'
    # a double of then is known today, and new ones go on behind it
    assert send_order(v, 'old-shop', shop_order(1))[0] == 200
    o = shop_order(5)
    assert send_order(v, 'old-shop', o)[0] == 200
    assert send_callback(v, 'old-pay', 5, total_cents(o), 'tx-5')[0] == 200
    until(lambda: v.status()['counts']['events'] == 25, 20)
    v.settled()
    v.stop()
    assert v.command('verify', v.data).returncode == 0
