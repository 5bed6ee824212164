"""The fault tests stand on the end-to-end tests' tools and fixtures."""
import importlib.util
import pathlib
import sys

E2E = pathlib.Path(__file__).resolve().parents[1] / 'e2e'
sys.path.insert(0, str(E2E))
spec = importlib.util.spec_from_file_location('e2e_conftest', E2E / 'conftest.py')
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
vayla = module.vayla
