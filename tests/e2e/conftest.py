"""conftest - fixtures every end-to-end test may use."""
import pytest

from harness import PROGRAM, Vayla


@pytest.fixture
def vayla(tmp_path):
    """vayla(systems, broker={...}) makes a Vayla; all are stopped at the end."""
    assert PROGRAM.exists(), f'{PROGRAM} is not built: make'
    made = []

    def make(systems, broker=None):
        folder = tmp_path / f'v{len(made)}'
        folder.mkdir()
        made.append(Vayla(folder, systems, broker))
        return made[-1]
    yield make
    for v in made:
        v.stop()
