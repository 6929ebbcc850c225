"""A stage for scenes of the engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.core.fake import Play, Stage, run


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Run a scene on a stage of its own; it must end without a report."""

    def play(scene: Callable[[Stage], Awaitable[None]]) -> None:
        async def whole() -> None:
            stage = Stage(tmp_path)
            try:
                await scene(stage)
            finally:
                stage.close()
            assert stage.reports == []

        run(whole())

    return play
