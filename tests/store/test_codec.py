"""Records, definitions and ends of runs, as the journal keeps them for the next daemon."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings

from supervisor_lite.model.cause import Cause, CauseKind, Leftover, Note, NoteKind
from supervisor_lite.model.change import Change
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.sockets import ListenSocket
from supervisor_lite.model.states import State
from supervisor_lite.store.codec import decode, encode, to_text
from tests.store.strategies import values_of

CALM = settings(max_examples=50, deadline=None)


def through_json(value: Any) -> Any:
    """Return what a later daemon reads of a value."""
    return decode(type(value), json.loads(to_text(encode(value))))


@CALM
@given(values_of(Program))
def test_a_definition_is_read_as_it_was_written(program: Program) -> None:
    """Every field, down to the types: a named tuple is equal to a plain one, but prints itself."""
    assert repr(through_json(program)) == repr(program)


@CALM
@given(values_of(Change))
def test_a_change_is_read_as_it_was_written(change: Change) -> None:
    assert repr(through_json(change)) == repr(change)


@CALM
@given(values_of(Record))
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert repr(through_json(record)) == repr(record)


@pytest.mark.parametrize(
    "how",
    [
        None,
        Exit(),
        Exit(3),
        Exit(signal="SIGSEGV", core=True),
        Exit(signal="SIGKILL", out_of_memory=True, memory_max=64 << 20),
    ],
)
def test_the_end_of_a_run_is_read_as_it_was_written(how: Exit | None) -> None:
    """With everything that was known of it."""
    record = Record(state=State.EXITED, exit=how)
    assert through_json(record) == record


def test_of_a_cause_only_what_is_set_is_written() -> None:
    """So it can be read by who knows nothing of the rest; what clients get is the same."""
    cause = Cause(CauseKind.EXITED, exit=Exit(0), expected=False)
    assert encode(cause) == {"kind": "exited", "exit": {"code": 0}, "expected": False}
    assert encode(Cause(CauseKind.EXITED, exit=Exit())) == {"kind": "exited", "exit": {}}
    note = Note(NoteKind.LEFTOVERS_KEPT, processes=(Leftover(7, "sh"),))
    kept = {"kind": "leftovers_kept", "processes": [{"pid": 7, "name": "sh"}]}
    assert encode((note, Note(NoteKind.KILLED, 0.0))) == [kept, {"kind": "killed", "seconds": 0.0}]


# Other versions.


def test_what_a_newer_version_has_added_is_dropped() -> None:
    """At every depth."""
    program = Program("web", ("web",), sockets=(ListenSocket("unix:///web"),))
    values = encode(program)
    values["unheard_of"] = {"x": [1]}
    values["sockets"][0]["unheard_of"] = 1
    values["stdout"]["unheard_of"] = None
    assert decode(Program, values) == program


def test_what_an_older_version_did_not_write_has_its_default() -> None:
    values = {"name": "web", "command": ["web"], "sockets": [{"listen": "unix:///web"}]}
    assert decode(Program, values) == Program(
        "web", ("web",), sockets=(ListenSocket("unix:///web"),)
    )
    assert decode(Record, {"exit": {"code": 3}}) == Record(exit=Exit(3))


@pytest.mark.parametrize(
    "values",
    [
        {"name": "web"},
        {"name": "web", "command": None},
        {"name": "web", "command": ["web"], "autorestart": "at full moon"},
        {"name": "web", "command": ["web"], "backoff": {"kind": "square"}},
        {"name": "web", "command": ["web"], "restart_limit": {}},
        None,
        "web",
        5,
    ],
)
def test_what_cannot_be_understood_is_an_error(values: object) -> None:
    """And no definition that is half right."""
    with pytest.raises((ValueError, TypeError)):
        decode(Program, values)


# Types to come.


class Colour(Enum):
    RED = "red"


class Inner(NamedTuple):
    colour: Colour
    others: tuple[Colour, ...] = ()


class Outer(NamedTuple):
    inner: Inner | None = None
    many: tuple[Inner, ...] | None = None
    words: Mapping[str, str] | None = None


@CALM
@given(values_of(Outer))
def test_any_nesting_of_what_json_has_not(outer: Outer) -> None:
    assert repr(through_json(outer)) == repr(outer)


class WithSet(NamedTuple):
    names: frozenset[str] = frozenset()


class WithEither(NamedTuple):
    either: Inner | Outer | None = None


@pytest.mark.parametrize("kind", [WithSet, WithEither])
def test_a_type_that_could_not_be_told_is_refused(kind: type) -> None:
    """Not read as something else."""
    with pytest.raises(TypeError, match="cannot read"):
        decode(kind, {})
    with pytest.raises(TypeError, match="cannot store"):
        encode(WithSet())
