"""What every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import Daemons


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes many processes or many seconds; still run")


@pytest.fixture
def daemons() -> Iterator[Daemons]:
    """Real daemons: `daemons(toml)` starts one, each is ended and inspected after the test."""
    made = Daemons()
    yield made
    made.close()
