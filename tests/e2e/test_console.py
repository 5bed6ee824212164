"""The console in a real browser: sign in by a link that works once, counters that
move, one order's timeline. Debian's chromium, headless, a profile of its own."""
import json
import shutil
import urllib.error
import urllib.request

import pytest

from harness import until

webdriver = pytest.importorskip('selenium.webdriver')
if not shutil.which('chromedriver'):
    pytest.skip('chromium-driver is not installed', allow_module_level=True)

from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402

from shop import send_order, shop_order  # noqa: E402

SYSTEMS = {
    'shop': {'use': 'woocommerce', 'webhook_secret': 'console-secret'},
    'payments': {'use': 'paytrail', 'of': 'shop', 'secret': 'pay-secret'},
}


@pytest.fixture
def browser(tmp_path):
    o = webdriver.ChromeOptions()
    for a in ('--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
              '--disable-background-networking', '--disable-component-update', '--disable-dev-shm-usage',
              f'--user-data-dir={tmp_path}/chromium', '--window-size=1100,900'):
        o.add_argument(a)
    o.binary_location = '/usr/bin/chromium'
    d = webdriver.Chrome(options=o, service=Service('/usr/bin/chromedriver'))
    d.set_page_load_timeout(30)
    yield d
    d.quit()


def get(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as r:
            return r.status, r.read().decode(), r.headers
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode(), e.headers


def test_now_and_an_order(vayla, browser, tmp_path):
    v = vayla(SYSTEMS)
    v.start()
    send_order(v, 'console-secret', shop_order(1042))
    link = v.sign_in_link()
    browser.get(link)
    assert browser.title == 'Vayla'
    until(lambda: browser.find_elements(By.CSS_SELECTOR, '#count-events b'), 15)

    def shown(where):
        # in one step: the screen is drawn anew while it is looked at
        return browser.execute_script('return document.querySelector(arguments[0]).innerText', where)

    def events():
        return int(shown('#count-events b'))
    was = until(events, 15)
    send_order(v, 'console-secret', shop_order(1043))
    until(lambda: events() > was, 15)
    until(lambda: 'order.placed' in shown('#events'), 15)

    browser.find_element(By.ID, 'word').send_keys('1042\n')
    timeline = until(lambda: browser.find_elements(By.CSS_SELECTOR, '#timeline li'), 15)
    text = shown('#timeline')
    assert 'woocommerce.order' in text and 'order.placed' in text and len(timeline) >= 2
    assert shown('#money').count('\n') >= 4
    assert 'Korhonen' not in browser.page_source, 'personal data without asking'
    browser.find_element(By.ID, 'unmask').click()
    until(lambda: 'Korhonen' in browser.page_source, 15)
    assert not [m for m in browser.get_log('browser') if m['level'] == 'SEVERE']

    # a deep link to the same screen
    browser.get(v.console_url + '/order/1042')
    until(lambda: browser.find_elements(By.CSS_SELECTOR, '#timeline li'), 15)
    # the link was used
    status, body, _ = get(link)
    assert status == 403 and 'vayla console' in body
    assert v.command('console').stdout.strip() != link


def test_who_may_read(vayla):
    v = vayla(SYSTEMS)
    v.start()
    assert get(v.console_url + '/livez')[0] == 200
    assert get(v.console_url + '/readyz')[0] == 200
    status, body, _ = get(v.console_url + '/', Accept='application/json')
    assert status == 401 and json.loads(body)['code'] == 'DENIED'
    assert get(v.console_url + '/order/1042')[0] == 401
    assert get(v.console_url + '/', Host='evil.example')[0] == 421
    assert get(v.console_url + '/signin?once=' + 'a' * 64)[0] == 403
    assert (v.data / 'console.link').stat().st_mode & 0o077 == 0
    status, text, headers = get(v.console_url + '/metrics')
    assert status == 200 and 'vayla_events_total 0' in text
    assert "default-src 'self'" in headers['Content-Security-Policy']
