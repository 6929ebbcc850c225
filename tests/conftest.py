"""What every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import Daemons


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes many processes or many seconds; still run")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let one worker run all tests of a file that boots a machine, and begin with those."""
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # for want of its types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if file.startswith("tests/systemd/") else nodeid

    return Scheduling(config, log)


@pytest.fixture
def daemons() -> Iterator[Daemons]:
    """Real daemons: `daemons(toml)` starts one, each is ended and inspected after the test."""
    made = Daemons()
    yield made
    made.close()
