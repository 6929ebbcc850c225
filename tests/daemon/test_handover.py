"""The format of the handover: an upgrade may come from any version, and go to any."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import supervisor_lite
from supervisor_lite.daemon import going_back, handover
from supervisor_lite.daemon.handover import UpgradeState, inherit, reexec
from supervisor_lite.daemon.systemd import Notifier


def hand_over(monkeypatch: pytest.MonkeyPatch, values: Mapping[str, Any]) -> None:
    """Do as an old version does."""
    fd = os.memfd_create("handover", 0)
    os.write(fd, json.dumps(values).encode())
    monkeypatch.setenv("SUPERVISOR_LITE_HANDOVER", str(fd))


# What the first released version wrote. It is never changed: such daemons are running.
FIRST = {"socket": 7, "locks": [5, 6], "held": [9, 11], "children_nofile": 1024,
         "listeners": {"serial": 3, "groups": [], "pools": {}, "members": {}}}  # fmt: skip


def test_what_the_first_version_has_left_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    hand_over(monkeypatch, FIRST)
    found = inherit()
    assert found.upgraded
    assert (found.socket, found.locks, found.held) == (7, [5, 6], [9, 11])
    assert found.children_nofile == 1024
    assert found.listeners == FIRST["listeners"]
    assert "SUPERVISOR_LITE_HANDOVER" not in os.environ, "no child may see it"


def test_what_a_newer_version_adds_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a downgrade in place is an upgrade like any other."""
    hand_over(monkeypatch, {**FIRST, "listeners": None, "new": [1]})
    assert inherit().socket == 7


def test_without_anything_it_is_a_first_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUPERVISOR_LITE_HANDOVER", raising=False)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))  # meant for somebody else
    monkeypatch.setenv("LISTEN_FDS", "1")
    found = inherit()
    assert not found.upgraded
    assert (found.socket, found.locks, found.held, found.stored) == (None, [], [], set())


def test_what_systemd_keeps_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUPERVISOR_LITE_HANDOVER", raising=False)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "3")
    monkeypatch.setenv("LISTEN_FDNAMES", "run-12:fifo-7:run-x")
    found = inherit()
    assert found.pidfds == {12: 3}
    assert found.held == [4, 5]
    assert found.stored == {"run-12", "fifo-7", "run-x"}


def test_what_the_new_version_gets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The object in the memfd, inheritable descriptors, blocked signals, the old directory."""
    seen: dict[str, Any] = {}
    here = os.getcwd()
    lock = os.open(tmp_path, os.O_RDONLY)
    state = UpgradeState(socket=lock, locks=[lock], held=[], children_nofile=9, listeners={})

    def execve(path: str, command: list[str], environment: Mapping[str, str]) -> None:
        memory = int(environment["SUPERVISOR_LITE_HANDOVER"])
        seen["values"] = json.loads(os.pread(memory, 4096, 0))
        seen["inheritable"] = os.get_inheritable(memory) and os.get_inheritable(lock)
        seen["blocked"] = signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        seen["directory"] = os.getcwd()
        seen["command"] = command
        assert path == sys.executable
        assert environment["A"] == "b"
        raise OSError(2, "No such file or directory")

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "supervisor_lite", "--daemonize"])
    try:
        with pytest.raises(OSError, match="No such file"):
            reexec(state, {"A": "b"}, str(tmp_path))
        assert seen == {
            "values": {
                "socket": lock, "locks": [lock], "held": [], "children_nofile": 9, "listeners": {},
                "nohup": False, "fallback": None, "words": [],
            },
            "inheritable": True,
            "blocked": True,
            "directory": str(tmp_path),
            "command": [sys.executable, "-m", "supervisor_lite"],
        }  # fmt: skip
        # It could not be executed: everything is as it was.
        assert os.getcwd() == here
        assert not os.get_inheritable(lock)
        assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        os.close(lock)


def test_the_format_is_that_of_the_first_version() -> None:
    assert set(UpgradeState._fields) >= FIRST.keys()
    assert handover.VARIABLE == "SUPERVISOR_LITE_HANDOVER"


def test_the_way_back_runs_nothing_of_where_the_daemon_was_started(tmp_path: Path) -> None:
    """Others may have put a module there whose name is one of Python's own."""
    (tmp_path / "json.py").write_text("print('planted')")
    code = Path(supervisor_lite.__file__).parent.parent
    line = [sys.executable, "-c", going_back.START, str(code), "--version"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{supervisor_lite.__version__}\n", "")


@pytest.mark.parametrize("number", ["", "x", "-1", "0", "²", "99999999999999999999999"])
def test_a_variable_that_no_daemon_has_written_is_ignored(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], number: str
) -> None:
    monkeypatch.setenv("SUPERVISOR_LITE_HANDOVER", number)
    assert not inherit().upgraded
    assert f"ignored SUPERVISOR_LITE_HANDOVER={number}" in capfd.readouterr().err


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense"])
def test_a_memory_that_holds_no_handover_is_ignored(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    fd = os.memfd_create("handover", 0)
    os.write(fd, text.encode())
    monkeypatch.setenv("SUPERVISOR_LITE_HANDOVER", str(fd))
    assert not inherit().upgraded
    os.close(fd)


@pytest.mark.parametrize("count", ["x", "-5", "²", "9" * 30, "1000000"])
def test_descriptors_that_are_not_there_are_not_taken(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], count: str
) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", count)
    assert len(inherit().held) < 10_000
    assert f"ignored LISTEN_FDS={count}" in capfd.readouterr().err


@pytest.mark.parametrize("usec", ["²", "9" * 5000, "-1", "x"])
def test_a_watchdog_that_makes_no_sense_is_none(usec: str) -> None:
    assert Notifier("/nowhere", {"WATCHDOG_USEC": usec}).watchdog_timeout == 0
