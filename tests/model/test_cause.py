"""The kinds of causes and notes are a contract: each is in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor_lite.errors import SpawnErrorCode
from supervisor_lite.model.cause import Cause, CauseKind, Note, NoteKind

PROTOCOL = Path(__file__).parents[2] / "docs/protocol.md"


def documented(heading: str) -> set[str]:
    """Return what stands in code under a heading."""
    text = PROTOCOL.read_text().partition(f"{heading}\n")[2].partition("\n## ")[0]
    return set(text.replace("\n", " ").split("`")[1::2])


@pytest.mark.parametrize("kind", [*CauseKind, *NoteKind], ids=str)
def test_each_kind_is_documented(kind: CauseKind | NoteKind) -> None:
    assert kind.value in documented("## Causes")


def test_each_field_is_documented() -> None:
    words = {word.rstrip("?") for word in documented("## Causes")}
    assert {*Cause._fields, *Note._fields} - {"processes"} <= words
    assert "processes" in words


@pytest.mark.parametrize("code", SpawnErrorCode)
def test_each_code_of_a_failed_spawn_is_documented(code: SpawnErrorCode) -> None:
    assert code in documented("### Why a process could not be spawned")
