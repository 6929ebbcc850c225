"""What a child gets: environment, descriptors, signals, limits, user, directory."""

from __future__ import annotations

import os
import pwd
import re
import resource
import subprocess
from pathlib import Path

import pytest

from tests.programs import program, sh, writes_and_stays
from tests.support import Daemon, Daemons, wait_until

_BIND = 'mount --bind "$0" /etc/group'

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


def printed(daemon: Daemon, name: str, last: str = "done") -> list[str]:
    """Wait until the process has printed the line `last`; return all lines."""
    log = f"log/{name}.stdout.log"
    wait_until(lambda: f"{last}\n" in daemon.text(log), what=f"{name} printed {last}")
    return daemon.text(log).splitlines()


def variables(lines: list[str]) -> dict[str, str]:
    return {key: value for key, sep, value in (line.partition("=") for line in lines) if sep}


def test_environment(daemons: Daemons) -> None:
    """The program's environment goes before the daemon's table, that before the daemon's own."""
    daemon = daemons(
        program("plain", writes_and_stays("env; echo done"))
        + program(
            "rich",
            writes_and_stays("env; echo done"),
            environment={"A": "program", "B": "50%% of %(program_name)s", "UMLAUT": "grün = 1"},
        )
        + program("one", writes_and_stays("env; echo done"))
        + '[group.site]\nprograms = ["one"]\n',
        settings='environment = { A = "table", C = "table" }',
        environment={"A": "own", "C": "own", "D": "own"},
    )
    plain = variables(printed(daemon, "plain"))
    assert (plain["A"], plain["C"], plain["D"]) == ("table", "table", "own")
    assert plain["SUPERVISOR_ENABLED"] == "1"
    assert plain["SUPERVISOR_PROCESS_NAME"] == plain["SUPERVISOR_GROUP_NAME"] == "plain"
    assert plain["SUPERVISOR_SERVER_URL"].startswith("unix://")
    assert str(daemon.status("plain")["run"]) in plain["SUPERVISOR_LITE_RUN"]
    rich = variables(printed(daemon, "rich"))
    assert (rich["A"], rich["B"], rich["UMLAUT"]) == ("program", "50% of rich", "grün = 1")
    assert rich["SUPERVISOR_LITE_RUN"] != plain["SUPERVISOR_LITE_RUN"]
    path = Path(daemon.status("site:one")["stdout_logfile"])
    wait_until(lambda: "done" in path.read_text())
    one = variables(path.read_text().splitlines())
    assert (one["SUPERVISOR_PROCESS_NAME"], one["SUPERVISOR_GROUP_NAME"]) == ("one", "site")


def test_a_child_starts_clean(daemons: Daemons) -> None:
    """No descriptor, signal setting, mask or session of the daemon reaches a child."""
    script = (
        "cat /proc/self/status >%(here)s/status; "
        "cat /proc/$$/stat >%(here)s/stat; readlink /proc/$$/fd/0 >%(here)s/stdin; "
        "echo $$; echo done"
    )
    daemon = daemons(program("clean", writes_and_stays(script)))
    pid = printed(daemon, "clean")[0]
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]
    assert daemon.text("stdin").strip() == "/dev/null"
    fields = daemon.text("stat").rpartition(")")[2].split()
    assert fields[2:4] == [pid, pid], "process group and session are its own"
    status = dict(re.findall(r"^(\w+):\s+(.*)$", daemon.text("status"), re.MULTILINE))
    assert int(status["SigBlk"], 16) == 0
    of_glibc = 0b11 << 31  # 32 and 33: posix_spawn(3) ignores them, threads set them again
    assert int(status["SigIgn"], 16) & ~of_glibc == 0


def test_a_broken_pipe_ends_a_child_as_usual(daemons: Daemons) -> None:
    """SIGPIPE has its default effect in a pipeline of the program."""
    script = "(while :; do echo y; done; echo survived >&2) | head -1; echo done"
    daemon = daemons(program("piped", writes_and_stays(script), redirect_stderr=True))
    assert printed(daemon, "piped") == ["y", "done"]


def test_descriptor_limit(daemons: Daemons) -> None:
    """The daemon raises its own soft limit; a child gets the original one back."""
    daemon = daemons(program("limits", writes_and_stays("ulimit -S -n; echo done")), nofile=512)
    assert printed(daemon, "limits")[0] == "512"
    soft, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    assert soft == hard


def test_umask_and_directory(daemons: Daemons) -> None:
    """The daemon's own are inherited; `umask` and `directory` of a program go before them."""
    daemon = daemons.prepare(settings='umask = "027"\ndirectory = "/usr"')
    (daemon.dir / "place").mkdir()
    script = writes_and_stays("umask; pwd; echo done")
    daemon.configure(
        program("inherits", script)
        + program("own", script, umask="077", directory="%(here)s/place")
    )
    daemon.start()
    assert int(printed(daemon, "inherits")[0], 8) == 0o027
    assert printed(daemon, "inherits")[1] == "/usr"
    assert int(printed(daemon, "own")[0], 8) == 0o077
    assert printed(daemon, "own")[1] == str(daemon.dir / "place")


def test_redirect_stderr(daemons: Daemons) -> None:
    """redirect_stderr sends both streams, in order, to the stdout log."""
    script = writes_and_stays("echo one; echo two >&2; echo done")
    daemon = daemons(program("both", script, redirect_stderr=True) + program("split", script))
    assert printed(daemon, "both") == ["one", "two", "done"]
    assert printed(daemon, "split") == ["one", "done"]
    wait_until(lambda: daemon.text("log/split.stderr.log") == "two\n")
    status = daemon.status("both")
    assert status["stderr_logfile"] is None
    assert status["stdout_logfile"] == str(daemon.dir / "log/both.stdout.log")


def test_dev_stdout_can_be_opened_again(daemons: Daemons) -> None:
    """A child may open /dev/stdout and /dev/stderr by name."""
    script = "echo one; echo two >/dev/stdout; echo three >/dev/stderr; echo done"
    daemon = daemons(program("again", writes_and_stays(script)))
    assert printed(daemon, "again") == ["one", "two", "done"]
    wait_until(lambda: daemon.text("log/again.stderr.log") == "three\n")


@needs_root
@pytest.mark.parametrize("user", ["nobody", "daemon"])
def test_user(daemons: Daemons, user: str) -> None:
    """`user` gives uid, gid, groups, HOME, USER and LOGNAME; /dev/stdout can still be opened."""
    script = "id -u; id -g; id -G; echo again >/dev/stdout; env; echo done"
    daemon = daemons(
        program("drop", writes_and_stays(script), user=user, directory="/")
        + program("number", sh("id -un; echo done; exec sleep 100"), user="1", directory="/")
    )
    lines = printed(daemon, "drop")
    entry = pwd.getpwnam(user)
    groups = set(os.getgrouplist(user, entry.pw_gid))
    assert lines[:2] == [str(entry.pw_uid), str(entry.pw_gid)]
    assert {int(word) for word in lines[2].split()} == groups
    assert lines[3] == "again"
    environment = variables(lines)
    assert environment["HOME"] == entry.pw_dir
    assert environment["USER"] == environment["LOGNAME"] == user
    assert printed(daemon, "number")[0] == pwd.getpwuid(1).pw_name
    pid = daemon.wait_state("drop", "RUNNING")["pid"]
    status = Path(f"/proc/{pid}/status").read_text()
    assert re.search(rf"^Uid:(\s+{entry.pw_uid}){{4}}$", status, re.MULTILINE)
    daemon.ctl("stop", "all")


@needs_root
def test_supplementary_groups(daemons: Daemons) -> None:
    """A user's supplementary groups come from the group database, root's are gone."""
    user = pwd.getpwnam("nobody")
    daemon = daemons.prepare(
        program("member", writes_and_stays("id -G; echo done"), user=user.pw_name, directory="/")
    )
    groups = daemon.dir / "group"
    groups.write_text(Path("/etc/group").read_text() + f"sl-test:x:54321:{user.pw_name}\n")
    # The daemon has a group database of its own.
    within = ["unshare", "--mount", "sh", "-c", f'{_BIND} && exec "$@"', str(groups)]
    if subprocess.run([*within, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let us mount")
    command = [*within, *daemon.command()]
    daemon.command = lambda: command  # type: ignore[method-assign]
    daemon.start()
    found = {int(word) for word in printed(daemon, "member")[0].split()}
    assert found == {user.pw_gid, 54321} | set(os.getgrouplist(user.pw_name, user.pw_gid))
