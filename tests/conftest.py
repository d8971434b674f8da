"""Make the audit's own code importable in tests as ``policy_audit.library`` and ``policy_audit.module_utils``.

Ansible finds both folders by their place, not as a package; a package over the repository's root lets the relative
imports of the modules resolve here as they do there.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
_package = types.ModuleType("policy_audit")
_package.__path__ = [str(ROOT)]
sys.modules.setdefault("policy_audit", _package)
sys.path.insert(0, str(ROOT))

from tests import harness  # noqa: E402 -- importable from here on


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--lab", default=os.environ.get("ATOM_LAB_DIR"), help="folder of a lab to use (default: one of the tests' own)"
    )
    parser.addoption(
        "--each", action="store_true", help="plant violations one by one instead of one per policy at a time"
    )


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The folder of a running, clean lab. One of the tests' own is taken down at the end; a given one stays."""
    given = request.config.getoption("--lab")
    folder = Path(given).resolve() if given else ROOT / ".lab-test"
    code, output = harness.run(sys.executable, "-m", "labkit", "up", env={"ATOM_LAB_DIR": str(folder)})
    assert code == 0, output
    yield folder
    if not given:
        code, output = harness.run(sys.executable, "-m", "labkit", "down", env={"ATOM_LAB_DIR": str(folder)})
        assert code == 0, output
