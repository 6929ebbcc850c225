"""Attempts to get in, or to do harm: on the socket, on disk, and on the operator's screen."""

from __future__ import annotations

import fcntl
import grp
import json
import os
import pty
import pwd
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from supervisor_lite.protocol.commands import METHODS, ROLES, Command
from tests.client import environment_of, slctl_command
from tests.functional.test_access import as_nobody
from tests.programs import SLEEPER, echoer, program, sh
from tests.support import Daemon, Daemons, wait_until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")

NOBODY = pwd.getpwnam("nobody").pw_uid

WEB = program("web", SLEEPER, startsecs=0)


# Another user on the socket.

SAMPLES = {"names": ["web"], "name": "web", "signal": "CONT", "text": "x", "whom": "somebody",
           "type": "x", "data": "x"}  # fmt: skip
"""A value for each parameter that a method cannot do without."""


def call_of(row: Command) -> str:
    """Return a call of a method as it may be made."""
    needed = {name: SAMPLES[name] for name, must in row.parameters().items() if must}
    return f"{row.name} {json.dumps(needed)}" if needed else row.name


@as_root
@pytest.mark.parametrize("role", ["none", *ROLES])
def test_what_each_role_may_do(daemons: Daemons, role: str) -> None:
    """Everything up to its own, and nothing beyond: whatever is refused is refused as forbidden."""
    rule = f'[[access]]\nusers = ["nobody"]\nrole = "{role}"\n' if role != "none" else ""
    daemon = daemons(WEB + rule, settings='socket_mode = "0666"')
    daemon.wait_state("web", "RUNNING")
    allowed = ROLES[: ROLES.index(role) + 1] if role != "none" else ()
    for row in METHODS.values():
        if row.name in ("upgrade", "shutdown", "reload") and row.role in allowed:
            continue  # it would end what the others are tried on
        code = _code(as_nobody(daemon, call_of(row)))
        assert (code != 5) is (row.role in allowed), (role, row.name, code)
    if role == "admin":
        as_nobody(daemon, "shutdown")
        assert daemon.wait_exit() == 0
    else:
        assert daemon.answers()


@as_root
@pytest.mark.parametrize("groups", [[], ["daemon"]])
def test_a_supplementary_group_counts(daemons: Daemons, groups: list[str]) -> None:
    """The kernel says which groups the peer is in; its primary one is another."""
    gid = grp.getgrnam("daemon").gr_gid
    rule = '[[access]]\ngroups = ["daemon"]\nrole = "operate"\n'
    daemon = daemons(WEB + rule, settings='socket_mode = "0666"')
    daemon.wait_state("web", "RUNNING")
    script = f"""
import contextlib, os, socket, sys
sock = socket.socket(socket.AF_UNIX)
os.setgroups({[gid] if groups else []}); os.setgid({NOBODY}); os.setuid({NOBODY})
sock.connect(sys.argv[1])
with contextlib.suppress(BrokenPipeError):  # refused before it has asked
    sock.sendall(sys.argv[2].encode())
print(sock.makefile().readline())
"""
    request = '{"jsonrpc": "2.0", "id": 1, "method": "stop", "params": {"names": ["web"]}}\n'
    done = subprocess.run(
        [sys.executable, "-c", script, str(daemon.socket), request],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert _code([json.loads(done.stdout)]) == (None if groups else 5)
    assert daemon.states()["web"] == ("STOPPED" if groups else "RUNNING")


def _code(replies: list[dict[str, object]]) -> object:
    """Return the code of the error in a reply, None if there is none."""
    (reply,) = replies
    error = reply.get("error")
    return error["code"] if isinstance(error, dict) else None


# What lies in a directory already.


def plant(path: Path, target: Path, kind: str) -> None:
    """Put another user's symbolic link to a file in a place, or a second name of the file."""
    path.unlink(missing_ok=True)
    if kind == "symlink":
        path.symlink_to(target)
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    else:
        os.link(target, path)


@as_root
@pytest.mark.parametrize(
    ("kind", "exists"), [("symlink", True), ("symlink", False), ("hard link", True)]
)
def test_a_link_in_place_of_a_log_is_not_written_to(
    daemons: Daemons, kind: str, exists: bool
) -> None:
    """The directory belongs to the program's user, who wants root to write to root's file."""
    daemon = daemons.prepare(
        program("web", SLEEPER, startsecs=0, startretries=0, user="nobody",
                stdout_logfile="%(here)s/theirs/web.log")
    )  # fmt: skip
    theirs, target = daemon.dir / "theirs", daemon.dir / "precious"
    theirs.mkdir()
    os.chown(theirs, NOBODY, NOBODY)
    if exists:
        target.write_text("precious")
        target.chmod(0o600)
    plant(theirs / "web.log", target, kind)
    daemon.start()
    reason = daemon.wait_state("web", "FATAL")["reason"]
    assert f"belongs to uid {NOBODY}" in reason or "hard link" in reason
    for verb in (["tail", "web"], ["clear", "web"]):
        said = daemon.ctl(*verb, code=None)
        assert said.returncode != 0, verb
        assert "precious" not in said.stdout
    assert target.exists() is exists
    assert not exists or target.read_text() == "precious"
    # What is in order again works again.
    (theirs / "web.log").unlink()
    daemon.ctl("start", "web")


@as_root
def test_a_rotated_log_that_is_a_link_is_not_shown(daemons: Daemons) -> None:
    """Whoever may see the output of a program does not see what its user has put beside it."""
    daemon = daemons.prepare(
        program("web", echoer("web"), startsecs=0, stdout_logfile="%(here)s/theirs/web.log")
    )
    theirs, target = daemon.dir / "theirs", daemon.dir / "precious"
    theirs.mkdir()
    os.chown(theirs, NOBODY, NOBODY)
    target.write_text("precious\n")
    daemon.start()
    daemon.say("web", "mine\n")
    wait_until(lambda: "mine" in daemon.text("theirs/web.log"))
    plant(theirs / "web.log.1", target, "symlink")
    for verb in (["tail", "web"], ["logs", "-n", "100", "web"]):
        assert "precious" not in daemon.ctl(*verb, code=None).stdout


def test_links_of_ours_are_followed(daemons: Daemons) -> None:
    """An operator may well have the logs elsewhere."""
    daemon = daemons.prepare(
        program("web", echoer("web"), startsecs=0, stdout_logfile="%(here)s/web.log")
    )
    (daemon.dir / "disk").mkdir()
    (daemon.dir / "two").symlink_to("disk/real.log")
    (daemon.dir / "web.log").symlink_to(daemon.dir / "two")
    daemon.start()
    daemon.say("web", "hello\n")
    wait_until(lambda: daemon.text("disk/real.log") == "hello\n")
    assert daemon.ctl("tail", "web").stdout == "hello\n"
    daemon.ctl("clear", "web")
    assert daemon.text("disk/real.log") == ""
    assert (daemon.dir / "web.log").is_symlink()


@pytest.mark.parametrize("kind", ["symlink", "hard link"])
@pytest.mark.parametrize(
    "place",
    [
        "supervisor.lock",
        "supervisor.sock",
        "supervisor.pid",
        "supervisor.pid.new",
        "instance",
        "instance.new",
    ],
)
def test_a_link_in_the_runtime_directory(daemons: Daemons, place: str, kind: str) -> None:
    """Whatever lies in place of one of the daemon's own files, what it leads to is not touched."""
    daemon = daemons.prepare(WEB)
    (daemon.dir / "run").mkdir(mode=0o755)
    target = daemon.dir / "precious"
    target.write_text("precious")
    target.chmod(0o640)
    path = daemon.dir / "run" / place
    path.symlink_to(target) if kind == "symlink" else os.link(target, path)
    if place == "supervisor.lock":
        daemon.launch()
        assert daemon.wait_exit() == 1
        assert "the lock" in daemon.text("stderr")
    else:
        daemon.start()
        daemon.wait_state("web", "RUNNING")
    assert target.read_text() == "precious"
    assert target.stat().st_mode & 0o777 == 0o640


# The lock.


def test_a_peer_that_holds_the_lock(daemons: Daemons) -> None:
    """Whoever it is, and whatever they have written into it: refused, and nothing is touched."""
    daemon = daemons.prepare(WEB)
    (daemon.dir / "state").mkdir(mode=0o700)
    path = daemon.dir / "state" / "supervisor.lock"
    for content, who in ((b"", "somebody"), (b"\x1b[2J99\n", "somebody"), (b" 812 \n", "pid 812")):
        path.write_bytes(content)
        with path.open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            daemon.stderr.write_bytes(b"")
            daemon.launch()
            assert daemon.wait_exit() == 1
            said = daemon.text("stderr")
            assert f'another supervisor-lite is running here: {who} holds "{path}"' in said
            assert said.rstrip("\n").isprintable()
            assert path.read_bytes() == content
        assert not daemon.socket.exists()
        assert not list((daemon.dir / "state").glob("journal*"))
    daemon.start()
    daemon.wait_state("web", "RUNNING")


# The screen.

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x1b[1;1H\x9b31m\rFAKE RUNNING\b\u202e\x1b[?1049h\x1bc"
"""Clears the screen, sets the title, moves the cursor, hides what came before."""

COLOUR = re.compile(r"\x1b\[[0-9;:]*m")


def on_a_terminal(daemon: Daemon, *arguments: str, until: str = "") -> str:
    """Return what a command of slctl writes to a terminal, to its end or until it has said this."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [*slctl_command(), "-s", str(daemon.socket), *arguments], stdin=slave, stdout=slave,
        stderr=slave, start_new_session=True,
        env={**environment_of("client"), "TERM": "xterm", "COLUMNS": "1000"},
    ) as client:  # fmt: skip
        os.close(slave)
        seen, end = b"", time.monotonic() + 20
        while not until or until.encode() not in seen:
            left = end - time.monotonic()
            assert left > 0, f"{arguments}: not within 20 s: {seen!r}"
            if select.select([master], [], [], left)[0]:
                try:
                    seen += os.read(master, 1 << 16)
                except OSError:
                    break  # every other end of the terminal is closed
        client.kill()
    os.close(master)
    return seen.decode()


def check_harmless(text: str, what: object) -> None:
    """Fail on anything that does more than print, but colours."""
    for line in COLOUR.sub("", text).split("\r\n"):
        # A line that was rewritten by carriage returns is rewritten here: its begin is cleared.
        plain = line.replace("\t", "").replace("\r\x1b[K", "")
        assert plain.isprintable(), (what, line)


@pytest.mark.skipif(not shutil.which("sh"), reason="there is no shell")
def test_what_programs_say_cannot_harm_a_terminal(daemons: Daemons) -> None:
    """In every command that shows it: the output, the last words, the names of leftovers."""
    daemon = daemons.prepare(
        program("out", sh("cat %(here)s/hostile; cat %(here)s/hostile >&2; exec sleep 1000"),
                startsecs=0)
        + program("bad", sh("cat %(here)s/hostile; exit 1"), startretries=0)
        + program("left", sh(
            "setsid sh -c 'trap \"\" TERM; head -c 15 %(here)s/hostile >/proc/$$/comm;"
            " echo named; while :; do read -r line <>%(here)s/never; done' & exec sleep 1000"
        ), startsecs=0)
        + program("none", HOSTILE.replace("\r", "").split()[0], startretries=0)
    )  # fmt: skip
    (daemon.dir / "hostile").write_text(f"{HOSTILE} end\n")
    os.mkfifo(daemon.dir / "never")
    daemon.start()
    for name in ("bad", "none"):
        daemon.wait_state(name, "FATAL")
    wait_until(lambda: "end" in daemon.text("log/out.stdout.log"))
    wait_until(lambda: "end" in daemon.text("log/out.stderr.log"))
    wait_until(lambda: "named" in daemon.text("log/left.stdout.log"))
    daemon.ctl("stop", "left")
    assert "leftover" in daemon.status("left")["reason"]
    for command in (
        ["status"], ["status", "bad"], ["tail", "out"], ["tail", "out", "stderr"], ["logs"],
        ["logs", "-n", "100", "out"], ["why", "bad"], ["why", "left", "none"], ["events"],
        ["runs"], ["maintail", "-100000"], ["start", "bad"], ["restart", "none"],
        ["explain", "bad"], ["pid", HOSTILE], ["status", "--json"], ["events", "--json"],
    ):  # fmt: skip
        check_harmless(on_a_terminal(daemon, *command), command)
    for command in (["tail", "-f", "out"], ["logs", "-f", "out"]):
        check_harmless(on_a_terminal(daemon, *command, until="end"), command)
    check_harmless(on_a_terminal(daemon, "events", "-f", until="none"), "events -f")
    assert "left" in on_a_terminal(daemon, "events")
    check_harmless(daemon.log().replace("\n", "\r\n"), "the daemon's log")


def test_output_goes_through_a_pipe_unchanged(daemons: Daemons) -> None:
    """What is no terminal gets the very bytes; `logs` has a line for each state."""
    data = bytes(range(256)) + HOSTILE.encode() + b" end\n"
    daemon = daemons.prepare(program("out", sh("cat %(here)s/data; exec sleep 1000"), startsecs=0))
    (daemon.dir / "data").write_bytes(data)
    daemon.start()
    log = daemon.dir / "log" / "out.stdout.log"
    wait_until(lambda: log.exists() and log.read_bytes() == data)
    with daemon.spawn_ctl("tail", "-100000", "out") as client:
        assert client.communicate(timeout=30)[0] == data
    with daemon.spawn_ctl("logs", "-n", "100", "out") as client:
        lines = client.communicate(timeout=30)[0].split(b"\n")
    states = data.replace(b"\r", b"\n").split(b"\n")[:-1]
    assert lines == [b"out | " + line for line in states if line] + [b""]


@pytest.mark.parametrize("name", ["a\\u001b[2J", "a\\nb", "a\\u202eb", "a\\u0000b"])
def test_a_program_name_that_is_more_than_a_name_is_refused(daemons: Daemons, name: str) -> None:
    """It would be printed in every table; the refusal does not print it either."""
    daemon = daemons.prepare(f'[program."{name}"]\ncommand = "true"\n')
    daemon.launch()
    assert daemon.wait_exit() == 2
    said = daemon.text("stderr")
    assert "program" in said
    assert all(line.isprintable() for line in said.splitlines()), said
