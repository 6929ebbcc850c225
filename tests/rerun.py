"""Run the tests that have failed once more, one after the other, and name those that pass now.

`python -m tests.rerun`, after a run of pytest. A test that fails among others on a busy machine
and passes alone is *flaky*: it is printed as `FLAKY <name>`, so that it can be mended. Exit code 0
says that every test has passed in the end and at most MAX_FLAKY were flaky.

What failed is read from pytest's cache, where conftest.py notes the exit code of the whole run too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

MAX_FLAKY = 2
"""Flaky tests that a run may have and still count as passed."""

MAX_RERUN = 20
"""Failed tests beyond which none is run again: what is wrong then is no accident."""

EXIT_STATUS = "supervisor-lite/exitstatus"
"""Where conftest.py notes the exit code of a run in pytest's cache."""

_TESTS_FAILED = 1
"""pytest's exit code if it ran to its end and some tests failed (pytest.ExitCode.TESTS_FAILED)."""


class Outcome(NamedTuple):
    """How a run of pytest has ended."""

    status: int | None
    """Its exit code; None if there was no run."""
    failed: frozenset[str]
    """The tests that failed."""


def refusal(first: Outcome) -> str:
    """Return why nothing can be mended by running the failed tests again, or an empty string."""
    if first.status != _TESTS_FAILED or not first.failed:
        return "it was not a test that failed"
    if len(first.failed) > MAX_RERUN:
        return f"{len(first.failed)} have failed"
    return ""


def verdict(first: Outcome, second: Outcome) -> tuple[int, list[str]]:
    """Return the exit code after a second run of what had failed, and what is to be printed."""
    flaky = sorted(first.failed - second.failed)
    lines = [f"FLAKY {name}" for name in flaky]
    if second.status != 0 or second.failed:
        return 1, lines
    if len(flaky) > MAX_FLAKY:
        return 1, [*lines, f"{len(flaky)} tests are flaky; more than {MAX_FLAKY} fail the run."]
    return 0, lines


def main(directory: Path) -> int:
    """Run the failed tests of the checkout in `directory` again; return the exit code."""
    first = _outcome(directory)
    if reason := refusal(first):
        print(f"No test is run again: {reason}.")
        return 1
    print(f"Once more, alone: the {len(first.failed)} that failed.", flush=True)
    again = [sys.executable, "-m", "pytest", "--last-failed", "--last-failed-no-failures=none"]
    subprocess.run(again, cwd=directory, check=False)
    code, lines = verdict(first, _outcome(directory))
    for line in lines:
        print(line)
    return code


def _outcome(directory: Path) -> Outcome:
    """Read how the last run in `directory` has ended."""
    failed = frozenset(_cached(directory, "cache/lastfailed") or ())
    return Outcome(_cached(directory, EXIT_STATUS), failed)


def _cached(directory: Path, key: str) -> Any:
    path = directory / ".pytest_cache" / "v" / key
    return json.loads(path.read_text()) if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
