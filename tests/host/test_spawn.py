"""From a request to a child: both ways to spawn, and the failed step as data."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from supervisor_lite.errors import SpawnError, SpawnErrorCode
from supervisor_lite.host import command, fork, spawn
from supervisor_lite.host.own_limits import Descriptors
from supervisor_lite.host.secrets.read import read_secret
from supervisor_lite.host.spawn import Spawner
from supervisor_lite.host.spawn_request import Channels, SpawnRequest
from supervisor_lite.host.step import Step, StepError
from supervisor_lite.model.process_attributes import ProcessAttributes
from supervisor_lite.model.program import Program
from tests.support import wait_until

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
    before = os.getcwd(), resource.getrlimit(resource.RLIMIT_NOFILE)
    umask = os.umask(0o22)
    out = tmp_path / "out"
    code = run(requested(out, PRINT, directory=str(tmp_path), umask=0o27, placement=placement))
    assert os.umask(umask) == 0o22
    assert (os.getcwd(), resource.getrlimit(resource.RLIMIT_NOFILE)) == before
    assert code == 0
    *told, session, pid = out.read_text().split()
    assert told == [str(tmp_path), "0027", "200"]
    assert session == pid


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


# Whose children are in the hands of another user.

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def public() -> Iterator[Path]:
    """Return a directory that everybody may enter, unlike that of the tests."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="sl-") as path:
        os.chmod(path, 0o755)
        yield Path(path)


@contextlib.contextmanager
def leased(path: Path) -> Iterator[None]:
    """Have its owner hold a lease on a file: whoever opens it has to wait (fcntl(2))."""
    os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
    script = "import fcntl, os, signal, sys; signal.signal(signal.SIGIO, signal.SIG_IGN);"
    script += " os.setuid(int(sys.argv[2]));"
    script += " fd = os.open(sys.argv[1], os.O_RDONLY);"
    script += " fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK); print(flush=True); input()"
    line = [sys.executable, "-c", script, str(path), str(NOBODY.pw_uid)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.read(1) == b"\n"
        yield
        holder.kill()


def is_waiting(pid: int) -> bool:
    """Tell whether a process waits for the end of a lease."""
    return Path(f"/proc/{pid}/wchan").read_text() == "__break_lease"


@as_root
@pytest.mark.parametrize("held", ["command", "interpreter"])
def test_a_lease_on_its_command_holds_up_nobody(
    public: Path, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    """The child waits for it, the daemon does not: it counts as started, and runs afterwards."""
    monkeypatch.setattr(spawn, "PATIENCE", 0.2)
    interpreter, script = public / "sh", public / "command"
    shutil.copy("/bin/sh", interpreter)
    script.write_text(f"#!{interpreter}\nexit 7\n")
    script.chmod(0o755)
    spawner = Spawner(LIMITS)
    request = requested(public / "out", command=(str(script),), user="nobody")
    children = []
    with leased(interpreter if held == "interpreter" else script):
        for _ in range(2):
            children.append(spawner.spawn(request))
            assert children[-1].late
            wait_until(partial(is_waiting, children[-1].pid))
    for child in children:
        os.close(child.pidfd)
        assert os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1]) == 7
    assert not spawner.spawn(request).late


@as_root
@pytest.mark.parametrize(("then", "code"), [("run", 7), ("fail", 127)])
def test_a_child_that_its_user_stops_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str, code: int
) -> None:
    """Between becoming that user and its program it can be stopped; what it tells late is lost."""
    monkeypatch.setattr(spawn, "PATIENCE", 0.2)

    def stop() -> None:
        os.kill(os.getpid(), signal.SIGSTOP)
        if then == "fail":
            raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(fork, "steps_of", lambda *_: [Step("stop", stop)])
    child = Spawner(LIMITS).spawn(requested(tmp_path / "out", "exit 7", user="nobody"))
    assert child.late
    os.kill(child.pid, signal.SIGCONT)
    os.close(child.pidfd)
    assert os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1]) == code


def test_an_interpreter_is_looked_for_in_a_file_only(tmp_path: Path) -> None:
    """What its user has put there meanwhile is not waited for (a FIFO), nor opened (a device)."""
    os.mkfifo(tmp_path / "command")
    error = command.exec_failure(OSError(errno.ENOENT, "gone"), str(tmp_path / "command"))
    assert error.code is SpawnErrorCode.COMMAND_NOT_FOUND


@as_root
def test_a_lease_on_a_secret_is_an_error(public: Path) -> None:
    (public / "env").write_text("A=1\n")
    with leased(public / "env"), pytest.raises(OSError, match="its owner holds a lease on it"):
        read_secret(str(public / "env"))
    assert read_secret(str(public / "env")) == b"A=1\n"
