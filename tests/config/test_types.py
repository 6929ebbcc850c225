"""Kinds of values: what is accepted and what it means."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import shlex
import signal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from supervisor_lite.config import types
from supervisor_lite.config.types import basic, command, restart, text, units
from supervisor_lite.config.types.base import ValueType
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.model.restart import AutoRestart, Backoff, BackoffKind

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (1048576, MIB),
        ("1048576", MIB),
        ("50MB", 50 * MIB),
        ("50 mb", 50 * MIB),
        ("64k", 64 * KIB),
        ("1GiB", GIB),
        ("1.5MB", 3 * MIB // 2),
        ("2TB", 2048 * GIB),
        ("7b", 7),
    ],
)
def test_sizes(value: object, expected: int) -> None:
    assert units.size(value) == expected


@pytest.mark.parametrize(
    "value", ["", "MB", "-1", "1,5MB", "1 0", "50XB", -1, 1.5, True, "9" * 400]
)
def test_bad_sizes(value: object) -> None:
    with pytest.raises(BadValueError):
        units.size(value)


@given(st.integers(0, (1 << 63) - 1))
def test_sizes_survive_being_shown(size: int) -> None:
    assert units.size(units.show_size(size)) == size


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (10, 10),
        (0.5, 0.5),
        ("10", 10),
        ("2.5", 2.5),
        ("1m30s", 90),
        ("1m 30s", 90),
        ("250ms", 0.25),
        ("1w", 604800),
        ("1d2h", 93600),
        ("1.5h", 5400),
    ],
)
def test_durations(value: object, expected: float) -> None:
    assert units.duration(value) == expected


@pytest.mark.parametrize(
    "value",
    ["", "s", "1x", "-1", -1, "1m30", True, float("nan"), float("inf"), "9" * 400, "1 0", "0\x1f"],
)
def test_bad_durations(value: object) -> None:
    with pytest.raises(BadValueError):
        units.duration(value)


@given(st.floats(0, 3e11))
def test_durations_survive_being_shown(seconds: float) -> None:
    assert units.duration(units.show_duration(seconds)) == seconds


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_durations_in_units_are_sums(hours: int, minutes: int, seconds: int, ms: int) -> None:
    text = f"{hours}h{minutes}m{seconds}s{ms}ms"
    expected = hours * 3600 + minutes * 60 + seconds + ms / 1000
    assert units.duration(text) == pytest.approx(expected)


@given(st.integers(0, 0o777))
def test_modes_survive_being_shown(mode: int) -> None:
    assert units.octal(units.show_octal(mode)) == mode


@pytest.mark.parametrize("value", ["", "9", "1777", "0o8", 0o1000, -1, True, 1.5])
def test_bad_modes(value: object) -> None:
    with pytest.raises(BadValueError):
        units.octal(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("TERM", "TERM"),
        ("SIGTERM", "TERM"),
        ("sigterm", "TERM"),
        ("term", "TERM"),
        (15, "TERM"),
        ("9", "KILL"),
        ("CLD", "CHLD"),
        ("RTMIN", "RTMIN"),
        ("SIGRTMIN+1", "RTMIN+1"),
        (int(signal.SIGRTMIN) + 2, "RTMIN+2"),
    ],
)
def test_signals(value: object, expected: str) -> None:
    assert restart.signal_name(value) == expected


def test_the_last_realtime_signal_has_one_name() -> None:
    last = f"RTMIN+{signal.SIGRTMAX - signal.SIGRTMIN}"
    assert restart.signal_name("RTMAX") == last
    assert restart.signal_name("RTMAX-0") == last
    assert restart.signal_name(int(signal.SIGRTMAX)) == last


@pytest.mark.parametrize(
    "value", ["", "SIG", "RTMIN+99", "RTMIN-1", "RTMAX+1", 0, 65, -1, True, 1.5]
)
def test_bad_signals(value: object) -> None:
    with pytest.raises(BadValueError):
        restart.signal_name(value)


@given(st.sampled_from(sorted(signal.valid_signals())))
def test_every_signal_of_this_system_is_known(number: int) -> None:
    name = restart.signal_name(int(number))
    assert restart.signal_name(name) == name
    assert restart.signal_name(f"sig{name.lower()}") == name


@pytest.mark.parametrize(
    ("value", "expected"), [(0, (0,)), ((0, 2, 0), (0, 2)), ((), ()), ("0, 2", (0, 2))]
)
def test_exit_codes(value: object, expected: tuple[int, ...]) -> None:
    assert restart.exit_codes(value) == expected


@pytest.mark.parametrize("value", [256, -1, True, "x", "1,,2", "", (1.5,), 1.0])
def test_bad_exit_codes(value: object) -> None:
    with pytest.raises(BadValueError):
        restart.exit_codes(value)


def test_autorestart() -> None:
    assert restart.autorestart(True) is AutoRestart.ALWAYS
    assert restart.autorestart(False) is AutoRestart.NEVER
    assert restart.autorestart("unexpected") is AutoRestart.UNEXPECTED


def test_backoff() -> None:
    assert restart.backoff("linear") == Backoff()
    assert restart.backoff("exponential") == Backoff(kind=BackoffKind.EXPONENTIAL)
    assert restart.backoff("1m") == Backoff(kind=BackoffKind.CONSTANT, seconds=60.0)
    assert restart.backoff(0.5) == Backoff(kind=BackoffKind.CONSTANT, seconds=0.5)
    with pytest.raises(BadValueError):
        restart.backoff("lineal")


def test_restart_limits() -> None:
    assert restart.restart_limit("5/10m") == (5, 600.0)
    assert restart.restart_limit("1 / 30") == (1, 30.0)
    for bad in ("", "5", "/10m", "0/1m", "5/0", "5/x", "x/5", "-1/5", 5, True):
        with pytest.raises(BadValueError):
            restart.restart_limit(bad)
    assert restart.limit_action("fatal") is None
    assert restart.limit_action("10m") == 600.0


def test_names() -> None:
    assert text.name("web-1.é_%") == "web-1.é_%"
    for bad in ("", "a b", "a:b", "a/b", "a\tb", "a\x00", "a\x7f", "a\xa0b", "x" * 101, 5):
        with pytest.raises(BadValueError):
            text.name(bad)


def test_variables() -> None:
    assert [text.variable(v) for v in ("x", 8080, True, False, "")] == [
        "x",
        "8080",
        "true",
        "false",
        "",
    ]
    with pytest.raises(BadValueError) as caught:
        text.variable(3.10)
    assert "quotes" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("run \\\n  --a \\\r\n --b", ("run", "--a", "--b")),
        ("run --a=\\\nb", ("run", "--a=b")),
        ('"a\\\nb"', ("ab",)),
        ("'a\\\nb'", ("a\\\nb",)),
        ('run "a\\\\\nb"', ("run", "a\\\nb")),
        ("run \\\n", ("run",)),
    ],
)
def test_a_backslash_joins_the_lines_of_a_command(text: str, words: tuple[str, ...]) -> None:
    assert command.split_words(text) == words


@given(st.text(alphabet="ab '\"\\\n\t#$", max_size=12))
def test_commands_are_split_like_a_shell_does(text: str) -> None:
    assume("\\\n" not in text)  # what shlex, unlike a shell, does not join
    try:
        expected = tuple(shlex.split(text))
    except ValueError:
        with pytest.raises(BadValueError):
            command.split_words(text)
    else:
        assert command.split_words(text) == expected


def test_a_blank_that_python_takes_for_none_is_no_part_of_a_number() -> None:
    for parse in (basic.integer(), basic.fraction, restart.restart_limit):
        with pytest.raises(BadValueError):
            parse("1\x1f")
    with pytest.raises(BadValueError):
        restart.restart_limit("1\x1f/10m")


_ANY = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.tuples(st.integers())
)
_TYPES = {
    f"{module.name}.{name}": value_type
    for module in pkgutil.iter_modules(types.__path__)
    for name, value_type in vars(importlib.import_module(f"{types.__name__}.{module.name}")).items()
    if isinstance(value_type, ValueType)
}


@pytest.mark.parametrize("name", sorted(_TYPES))
@given(value=_ANY)
def test_a_parser_accepts_or_refuses_but_never_breaks(name: str, value: object) -> None:
    with contextlib.suppress(BadValueError):
        _TYPES[name].parse_scalar(value)
