"""What is looked at before a program is started, where somebody waits to be told.

Loaded only then: a start finds out by itself what does not work.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from supervisor_lite.config.advise import Finder
from supervisor_lite.host.preflight import Finding, Preflight
from supervisor_lite.model.advice import Advice, AdviceKind
from supervisor_lite.model.program import Program
from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.special_files import standard_number

_STANDARD = (1, 2)


def for_check(settings: DaemonSettings) -> Finder:
    """Return what finds out what would keep a program from being started."""
    return Preflight(os.environ, settings.user).look


def for_daemon(settings: DaemonSettings) -> Finder:
    """Return the same for a daemon that lives: it knows where its own output goes."""
    null = tuple(number for number in _STANDARD if _is_null(number))
    start = for_check(settings)

    def look(program: Program) -> Iterator[Finding]:
        yield from start(program)
        yield from _nowhere(program, null)

    return look


def before_detaching(_: DaemonSettings) -> Finder:
    """Return what finds output that goes nowhere once the daemon has left the terminal."""
    return lambda program: _nowhere(program, _STANDARD)


def _nowhere(program: Program, null: tuple[int, ...]) -> Iterator[Finding]:
    """Yield the outputs that go to those of our descriptors that are /dev/null."""
    for stream, output in (("stdout", program.stdout), ("stderr", program.stderr)):
        if null and output.path is not None and standard_number(output.path) in null:
            yield f"{stream}_logfile", Advice(AdviceKind.GOES_NOWHERE, (output.path,))


def _is_null(number: int) -> bool:
    try:
        return os.fstat(number).st_rdev == os.stat(os.devnull).st_rdev
    except OSError:
        return False
