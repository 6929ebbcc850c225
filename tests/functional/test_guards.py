"""Coarse guards on what docs/performance.md measures: no wake-ups at rest, and little memory."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import environment_of
from tests.peer import supervisor_bin
from tests.programs import SLEEPER, program
from tests.support import Daemon, Daemons, children, wait_until

_PROGRAMS = 100
_SECONDS = 3.0
_FACTOR = 1.15
"""Ours runs from the checkout and compiles itself, which takes 2 MB more than an installed one."""


@pytest.fixture
def idle(daemons: Daemons) -> Daemon:
    """A daemon with a hundred programs, and nothing left to do."""
    name = "%(program_name)s_%(process_num)03d"
    many = program("many", SLEEPER, numprocs=_PROGRAMS, process_name=name, startsecs=0)
    daemon = daemons(many, settings='log_level = "warn"')
    wait_until(lambda: set(daemon.states().values()) == {"RUNNING"}, 30, "all are RUNNING")
    return daemon


def test_a_daemon_at_rest_never_wakes_up(idle: Daemon) -> None:
    """Every look at the clock for nothing is a processor that is not let sleep."""
    wait_until(lambda: _wakes_in(idle.pid, 0.5) == 0, 10, "the daemon is at rest")
    assert _wakes_in(idle.pid, _SECONDS) == 0


def test_a_daemon_at_rest_needs_no_more_memory_than_supervisor(idle: Daemon) -> None:
    """Both with a hundred programs; measured at the same time on the same machine."""
    with _supervisor(supervisor_bin(), idle.dir) as pid:
        wait_until(lambda: len(children(pid)) == _PROGRAMS, 30, "Supervisor has started all")
        assert _resident(idle.pid) <= _FACTOR * _resident(pid)


def _wakes_in(pid: int, seconds: float) -> int:
    before = _number(pid, "voluntary_ctxt_switches")
    time.sleep(seconds)  # nothing is waited for: that nothing happens is what is measured
    return _number(pid, "voluntary_ctxt_switches") - before


def _resident(pid: int) -> int:
    """Return the memory of a process in kB."""
    return _number(pid, "VmRSS")


def _number(pid: int, key: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0])
    raise AssertionError(f"no {key} in the status of {pid}")


@contextlib.contextmanager
def _supervisor(place: Path, parent: Path) -> Iterator[int]:
    """Run Supervisor with as many of the same programs; yields its pid."""
    here = parent / "peer"
    here.mkdir()
    config = here / "supervisord.conf"
    config.write_text(
        f"[supervisord]\nlogfile={here}/log\nchildlogdir={here}\npidfile={here}/pid\n"
        f"[unix_http_server]\nfile={here}/sock\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        f"[program:many]\ncommand={' '.join(SLEEPER)}\nnumprocs={_PROGRAMS}\n"
        "process_name=%(program_name)s_%(process_num)03d\nstartsecs=0\n"
    )
    with subprocess.Popen(
        [str(place / "supervisord"), "-n", "-c", str(config)],
        cwd=here, env=environment_of(str(parent)), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            yield process.pid
        finally:
            process.terminate()
            try:
                assert process.wait(30) == 0
            finally:
                process.kill()
