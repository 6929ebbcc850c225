"""From a request to a child: both ways to spawn, and the failed step as data."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path
from typing import Any

import pytest

from supervisor_lite.errors import SpawnError, SpawnErrorCode
from supervisor_lite.host import fork
from supervisor_lite.host.own_limits import Descriptors
from supervisor_lite.host.spawn import Spawner
from supervisor_lite.host.spawn_request import Channels, SpawnRequest
from supervisor_lite.host.step import Step, StepError
from supervisor_lite.model.process_attributes import ProcessAttributes
from supervisor_lite.model.program import Program

both_ways = pytest.mark.parametrize(
    "placement", [None, ProcessAttributes(nice=0)], ids=["posix_spawn", "fork"]
)

LIMITS = Descriptors(*resource.getrlimit(resource.RLIMIT_NOFILE), 200)
PRINT = "pwd; umask; ulimit -Sn; cat; kill -l >/dev/null; ps -o sid= -p $$ | tr -d ' '; echo $$"


def requested(out: Path, script: str = "", **options: Any) -> SpawnRequest:
    out.touch()
    program = Program(name="x", command=("sh", "-c", script))._replace(**options)
    return SpawnRequest(program, os.environ, Channels(stdout=str(out), stderr_is_stdout=True))


def run(request: SpawnRequest) -> int:
    """Spawn, wait, and return the exit code."""
    child = Spawner(LIMITS).spawn(request)
    os.close(child.pidfd)
    return os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])


@both_ways
def test_both_ways_make_the_same_child(tmp_path: Path, placement: ProcessAttributes | None) -> None:
    """And leave the daemon as it was."""
    before = os.getcwd(), resource.getrlimit(resource.RLIMIT_NOFILE), os.umask(0o22)
    out = tmp_path / "out"
    code = run(requested(out, PRINT, directory=str(tmp_path), umask=0o27, placement=placement))
    os.umask(before[2])
    assert code == 0
    *said, session, pid = out.read_text().split()
    assert said == [str(tmp_path), "0027", "200"]
    assert session == pid
    assert (os.getcwd(), resource.getrlimit(resource.RLIMIT_NOFILE)) == before[:2]
    assert os.umask(before[2]) == before[2]


@both_ways
@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (
            {"directory": "/no/such"}, SpawnErrorCode.DIRECTORY,
            'cannot enter the directory "/no/such": No such file or directory',
        ),
        (
            {"command": ("no-such-command",)}, SpawnErrorCode.COMMAND_NOT_FOUND,
            'cannot find the command "no-such-command"',
        ),
        (
            {"user": "no-such-user"}, SpawnErrorCode.USER,
            'cannot find the user "no-such-user"',
        ),
    ],
)  # fmt: skip
def test_a_failure_is_the_same_either_way(
    tmp_path: Path, placement: ProcessAttributes | None, options: dict[str, Any],
    code: SpawnErrorCode, text: str,
) -> None:  # fmt: skip
    """A code for programs, a text for people."""
    with pytest.raises(SpawnError) as raised:
        run(requested(tmp_path / "out", placement=placement, **options))
    assert raised.value.code is code
    assert str(raised.value) == text


def test_the_failed_step_is_known_by_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child reports a number; the parent has the same list. No sentence goes through a pipe."""

    def refuse() -> None:
        raise PermissionError(errno.EPERM, "no")

    steps = [Step("do this", lambda: None), Step("do that", refuse, name="that")]
    monkeypatch.setattr(fork, "steps_of", lambda *_: steps)
    with pytest.raises(StepError) as raised:
        fork.fork_and_exec(requested(tmp_path / "out"), "/bin/sh", None, LIMITS)
    assert raised.value.step is steps[1]
    assert raised.value.errno == errno.EPERM
    error = raised.value.as_spawn_error()
    assert (str(error), error.code, error.name) == (
        "cannot do that: Operation not permitted", SpawnErrorCode.SETTING, "that",
    )  # fmt: skip


def test_a_cgroup_that_cannot_be_joined_stops_nobody(tmp_path: Path) -> None:
    """The child runs outside of it, and why is told."""
    request = requested(tmp_path / "out", "echo ran")._replace(cgroup=str(tmp_path / "nowhere"))
    child = Spawner(LIMITS).spawn(request)
    os.close(child.pidfd)
    os.waitpid(child.pid, 0)
    assert child.outside == "cannot join its cgroup: No such file or directory"
    assert (tmp_path / "out").read_text() == "ran\n"


def test_a_file_without_an_interpreter_is_no_program(tmp_path: Path) -> None:
    """And a command that was found once and has gone is looked for anew."""
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    with pytest.raises(SpawnError) as raised:
        run(requested(tmp_path / "out", command=(str(script),)))
    assert raised.value.code is SpawnErrorCode.NOT_A_PROGRAM
    assert raised.value.name == "/no/such/interpreter"
