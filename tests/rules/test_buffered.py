"""Which programs hold their output back."""

from __future__ import annotations

import pytest

from supervisor_lite.rules.buffered import is_python_buffered


@pytest.mark.parametrize(
    ("executable", "command", "unbuffered", "expected"),
    [
        ("python3.11", "python3 worker.py", None, True),
        ("python", "python worker.py -u", None, True),
        ("python3", "python3 -m http.server -u", "", True),
        ("python3", "python3 -W ignore -X dev worker.py", None, True),
        ("python3.11", "/usr/bin/python3 /usr/bin/gunicorn app:app", None, True),
        ("python3", "python3 worker.py", "1", False),
        ("python3", "python3 -u worker.py", None, False),
        ("python3", "python3 -Bu worker.py", None, False),
        ("python3", "python3 -W ignore -u worker.py", None, False),
        ("python3", "python3", None, True),
        ("bash", "bash -c python3", None, False),
        ("pythonista", "pythonista", None, False),
        ("", "", None, False),
    ],
)
def test_python_does_unless_it_is_told_not_to(
    executable: str, command: str, unbuffered: str | None, expected: bool
) -> None:
    assert is_python_buffered(executable, command.split(" "), unbuffered) is expected
