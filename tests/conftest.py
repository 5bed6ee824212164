"""conftest - for all tests in Python: what a test that passed left behind is removed at
once. Each journal begins with two segments of 64 MiB; kept, they would fill a disk.
What a test that failed left stays where pytest says."""
import shutil

import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        item.went_wrong = True


@pytest.fixture(autouse=True)
def tidy(request, tmp_path):
    """Asked for first, so ended last: after what still writes there."""
    yield
    if not getattr(request.node, 'went_wrong', False):
        shutil.rmtree(tmp_path, ignore_errors=True)
