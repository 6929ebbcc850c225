"""Where cgroups are, and the limits of a run: what the keys take, and every complaint."""

from __future__ import annotations

import json

import pytest

from supervisor_lite.model.constants import MIB
from supervisor_lite.model.program import Program
from supervisor_lite.store.codec import decode, encode
from tests.config.conftest import Folder
from tests.config.test_schema import valid

WEB = '[program.web]\ncommand = "sleep 1"\n'


def web(folder: Folder, lines: str) -> Program:
    """Return the program; its file must be valid for editors, too."""
    assert valid(WEB + lines)
    return folder.process(WEB + lines)


@pytest.mark.parametrize("word", ["auto", "off", "/sys/fs/cgroup/mine"])
def test_where_they_are(folder: Folder, word: str) -> None:
    """A word or a path; by default it is found out."""
    text = f'[daemon]\ncgroups = "{word}"\n'
    assert valid(text)
    assert folder.load(text).settings.cgroups == word
    assert folder.load("").settings.cgroups == "auto"


@pytest.mark.parametrize(
    ("word", "told"),
    [('"of"', ', did you mean "off"?'), ('"mine/runs"', ""), ("true", ""), ('""', "")],
)
def test_a_place_that_is_none(folder: Folder, word: str, told: str) -> None:
    """A relative path is a mistake: it would be relative to nothing that is meant."""
    text = f"[daemon]\ncgroups = {word}\n"
    (complaint,) = folder.complaints(text)
    wanted = 'daemon.cgroups: expected "auto", "off" or the absolute path of a cgroup, got '
    kind = "" if word == "true" else "the string "
    assert complaint.startswith(f"supervisor.toml:2: {wanted}{kind}{word}")
    assert complaint.endswith(told)
    assert not valid(text)


@pytest.mark.parametrize(
    ("lines", "key", "value"),
    [
        ('memory_max = "64MB"', "memory_max", 64 * MIB),
        ("memory_max = 1000000", "memory_max", 1_000_000),
        ('memory_high = "1.5G"', "memory_high", 1536 * MIB),
        ('cpu_max = "150%"', "cpu_max", "150000 100000"),
        ('cpu_max = "12.5 %"', "cpu_max", "12500 100000"),
        ('cpu_max = "150%%"', "cpu_max", "150000 100000"),
        ('cpu_max = "50000 100000"', "cpu_max", "50000 100000"),
        ('cpu_max = "1000  1000000"', "cpu_max", "1000 1000000"),
        ("pids_max = 20", "pids_max", 20),
    ],
)
def test_a_limit(folder: Folder, lines: str, key: str, value: object) -> None:
    """As an operator writes it, and as the kernel wants it; the journal keeps it."""
    program = web(folder, lines)
    assert getattr(program, key) == value
    assert decode(Program, json.loads(json.dumps(encode(program)))) == program


def test_without_limits(folder: Folder) -> None:
    """Nothing is set, so nothing is written."""
    program = web(folder, "")
    limits = (program.memory_max, program.memory_high, program.cpu_max, program.pids_max)
    assert limits == (None,) * 4


def test_a_limit_out_of_the_environment(folder: Folder) -> None:
    """Percent signs that mean something still do."""
    program = folder.process(f'{WEB}cpu_max = "%(ENV_SHARE)s%"', {"SHARE": "75"})
    assert program.cpu_max == "75000 100000"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            "memory_max = 0",
            'expected a size like 67108864 or "64MB", more than 0, got the number 0',
        ),
        (
            'memory_high = "lots"',
            'expected a size like 67108864 or "64MB", more than 0, got the string "lots"',
        ),
        (
            "cpu_max = 150",
            'or quota and period in microseconds like "50000 100000", got the number 150',
        ),
        ('cpu_max = "150"', 'like "50000 100000", got the string "150"'),
        (
            'cpu_max = "0%"',
            'got the string "0%": that is less than the 1000 microseconds that it must be',
        ),
        ('cpu_max = "5000 500"', ": the period is 1000 to 1000000 microseconds"),
        ('cpu_max = "5000 2000000"', ": the period is 1000 to 1000000 microseconds"),
        ('cpu_max = "%(ENV_NOTHING)s%"', 'there is no environment variable "NOTHING"'),
        ("pids_max = 0", "expected a whole number, 1 or more, got the number 0"),
    ],
)
def test_a_limit_that_is_none(folder: Folder, lines: str, told: str) -> None:
    """The complaint names file, line and key, and says what was meant."""
    (complaint,) = folder.complaints(WEB + lines)
    assert complaint.startswith(f"supervisor.toml:3: program.web.{lines.split()[0]}: ")
    assert told in complaint
