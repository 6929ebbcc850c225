"""What CI makes of tests that fail at first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client import ROOT
from tests.rerun import MAX_FLAKY, MAX_RERUN, Outcome, main, refusal, verdict

NOTHING: frozenset[str] = frozenset()


def names(count: int) -> frozenset[str]:
    return frozenset(f"test_it.py::test_{number}" for number in range(count))


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (names(1), Outcome(0, NOTHING), 0),
        (names(MAX_FLAKY), Outcome(0, NOTHING), 0),
        (names(MAX_FLAKY + 1), Outcome(0, NOTHING), 1),
        (names(2), Outcome(1, names(1)), 1),
        (names(1), Outcome(2, NOTHING), 1),  # the second run was interrupted
        (names(1), Outcome(5, NOTHING), 1),  # it has found no test
    ],
)
def test_a_few_flaky_tests_are_forgiven_but_named(
    first: frozenset[str], second: Outcome, code: int
) -> None:
    found, lines = verdict(Outcome(1, first), second)
    assert found == code
    flaky = sorted(first - second.failed)
    assert [line for line in lines if line.startswith("FLAKY")] == [f"FLAKY {n}" for n in flaky]


@pytest.mark.parametrize(
    "first",
    [
        Outcome(None, NOTHING),  # format, lint or types have failed: pytest did not run
        Outcome(0, names(1)),  # what is left of an earlier run
        Outcome(1, NOTHING),
        Outcome(2, names(1)),  # interrupted, or a file cannot be imported
        Outcome(1, names(MAX_RERUN + 1)),
    ],
)
def test_what_is_no_accident_is_not_run_again(first: Outcome) -> None:
    assert refusal(first)


def test_the_failed_tests_are_run_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a real checkout: of what has failed, and nothing else."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_sessionfinish\n")
    (tmp_path / "test_it.py").write_text(
        "import pathlib\n"
        "def test_passes():\n    with open('passes', 'a') as file: file.write('x')\n"
        "def test_flaky():\n    assert pathlib.Path('here').exists()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    environment = {key: v for key, v in os.environ.items() if not key.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 1
    (tmp_path / "here").touch()
    assert main(tmp_path) == 0
    assert "FLAKY test_it.py::test_flaky\n" in capfd.readouterr().out
    assert (tmp_path / "passes").read_text() == "x"
