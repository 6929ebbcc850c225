"""`slctl upgrade`: the daemon becomes its next version and nobody notices."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

import supervisor_lite
from tests.chaos.tools import (
    ask,
    check_journal,
    last_run,
    no_zombies,
    refused_upgrade,
    rows,
    upgrade,
)
from tests.client import Connection
from tests.programs import FORKER, SLEEPER, TERM_IGNORER, program, sh
from tests.support import Daemon, Daemons, alive, wait_until

WEB, DB = (program(name, SLEEPER, startsecs=0) for name in ("web", "db"))


def test_an_upgrade_changes_nothing(daemons: Daemons) -> None:
    """Same daemon pid, same children, same states; they are still our own children."""
    daemon = daemons(
        WEB
        + program("idle", SLEEPER, startsecs=0)
        + program("failing", sh("exit 4"), backoff=100)
        + program("tree", FORKER, startsecs=0)
    )
    daemon.wait_running("web", "idle", "tree")
    wait_until(lambda: len(daemon.pids_of("tree", "sleep")) == 4)
    daemon.ctl("stop", "idle")
    daemon.wait_state("failing", "BACKOFF")
    before, marked = daemon.call("status")["processes"], daemon.marked()
    said = daemon.ctl("upgrade").stdout
    assert f"pid {daemon.pid}" in said
    assert daemon.call("status")["processes"] == before
    assert daemon.marked() == marked
    for process in before:
        if process["pid"] is not None:
            stat = Path(f"/proc/{process['pid']}/stat").read_text().rpartition(")")[2].split()
            assert int(stat[1]) == daemon.pid
    daemon.ctl("restart", "web")
    daemon.ctl("stop", "tree")
    assert daemon.pids_of("tree") == []
    assert "upgraded" in daemon.log()


SHORT = 200


def test_the_ends_and_last_words_of_two_hundred_around_an_upgrade(daemons: Daemons) -> None:
    """Whoever dies while the daemon executes itself: its exit code and its last line are kept."""
    script = (
        "read -r up idle </proc/uptime; until [ -e %(here)s/go ]; do sleep 0.05; done; "
        "sleep 0.$(($$ %% 60 + 10)); echo last words of $$; exit $(($$ %% 200 + 1))"
    )
    daemon = daemons(
        program("short", sh(script), numprocs=SHORT, startsecs=0, autorestart=False,
                process_name="%(process_num)03d", stdout_logfile="%(here)s/log/%(process_num)03d")
    )  # fmt: skip
    wait_until(lambda: set(daemon.states().values()) == {"RUNNING"}, 60)
    pids = {p["name"]: p["pid"] for p in daemon.call("status")["processes"]}
    (daemon.dir / "go").touch()
    wait_until(lambda: any(state == "EXITED" for state in daemon.states().values()), 30)
    upgrade(daemon)
    wait_until(lambda: set(daemon.states().values()) == {"EXITED"}, 60)
    for status in daemon.call("status")["processes"]:
        name, pid = status["name"], pids[status["name"]]
        assert status["exitcode"] == pid % 200 + 1, name
        assert daemon.text(f"log/{name}") == f"last words of {pid}\n"
    ended = rows(daemon, "SELECT * FROM runs WHERE ended IS NOT NULL AND code IS NOT NULL")
    assert len(ended) == SHORT
    assert all(row["utime"] is not None for row in ended), (
        "what they used is known as for all children"
    )
    no_zombies(daemon)
    check_journal(daemon)


def test_clients_can_connect_all_the_time(daemons: Daemons) -> None:
    """The listening socket never refuses; whoever asks meanwhile is answered by the next one."""
    daemon = daemons(WEB)
    daemon.wait_running("web")
    over = threading.Event()
    refused: list[OSError] = []
    answered: list[float] = []

    def keep_asking() -> None:
        while not over.is_set():
            began = time.monotonic()
            try:
                with Connection(daemon.socket, 30.0) as connection:
                    connection.send("version")
                    if connection.receive() is not None:
                        answered.append(time.monotonic() - began)
            except (BrokenPipeError, ConnectionResetError):
                continue  # it was accepted by the old one: clients reconnect
            except OSError as error:
                refused.append(error)

    threads = [threading.Thread(target=keep_asking) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            before = len(answered)
            upgrade(daemon)
            wait_until(lambda before=before: len(answered) > before + 20)  # type: ignore[misc]
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not refused
    print(f"{len(answered)} answers, the slowest after {max(answered):.3f} s")


SLOW = sh(
    "trap 'kill $!; until [ -e %(here)s/go ]; do sleep 0.05; done; exit 0' TERM; "
    "echo ready; sleep 100000 & wait"
)
"""Ends when the test says so."""


def test_what_was_under_way_goes_on(daemons: Daemons) -> None:
    """A stop, a restart and a pending SIGKILL are completed by the next one."""
    daemon = daemons(
        program("stopped", SLOW, startsecs=0, stopwaitsecs=100)
        + program("restarted", SLOW, startsecs=0, stopwaitsecs=100)
        + program("deaf", TERM_IGNORER, startsecs=0, stopwaitsecs=4, killasgroup=True)
    )
    before = daemon.wait_running("stopped", "restarted", "deaf")
    for name in before:
        wait_until(lambda name=name: "ready" in daemon.text(f"log/{name}.stdout.log"))  # type: ignore[misc]
    began = time.monotonic()
    daemon.call("stop", names=["stopped", "deaf"], wait=False)
    daemon.call("restart", names=["restarted"], wait=False)
    upgrade(daemon)
    states = daemon.states()
    assert (states["stopped"], states["restarted"]) == ("STOPPING", "STOPPING")
    (daemon.dir / "go").touch()
    assert daemon.wait_state("stopped", "STOPPED")["exitcode"] == 0
    wait_until(lambda: daemon.status("restarted")["pid"] not in (None, before["restarted"]))
    assert daemon.wait_state("deaf", "STOPPED")["signal"] == "SIGKILL"
    assert time.monotonic() - began >= 4
    assert not any(map(alive, before.values()))


def test_a_client_that_waits_is_hung_up_on_but_what_it_asked_for_happens(
    daemons: Daemons,
) -> None:
    """Nobody waits for ever for an answer that only the old daemon could give."""
    daemon = daemons(program("slow", SLOW, startsecs=0, stopwaitsecs=100))
    wait_until(lambda: "ready" in daemon.text("log/slow.stdout.log"))
    with ask(daemon, "stop", names=["slow"]) as waiting:
        daemon.wait_state("slow", "STOPPING")
        upgrade(daemon)
        assert waiting.receive() is None
    (daemon.dir / "go").touch()
    daemon.wait_state("slow", "STOPPED")


def test_leftovers_that_are_being_ended(daemons: Daemons) -> None:
    """The next spawn still waits for them."""
    deaf = 'trap "" TERM; echo deaf; until [ -e %(here)s/go ]; do sleep 0.05; done'
    script = f"setsid sh -c '{deaf}' & exec sleep 9999"
    daemon = daemons(program("tree", sh(script), startsecs=0, stopwaitsecs=100))
    pid = daemon.wait_running("tree")["tree"]
    wait_until(lambda: "deaf" in daemon.text("log/tree.stdout.log"))
    (old,) = [p for p in daemon.pids_of("tree", "sh") if p != pid]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: daemon.status("tree")["pid"] is None)
    upgrade(daemon)
    assert alive(old)
    assert daemon.status("tree")["pid"] is None
    (daemon.dir / "go").touch()
    wait_until(lambda: daemon.status("tree")["pid"] not in (None, pid))
    assert not alive(old)


def test_a_signal_that_comes_meanwhile_is_not_lost(daemons: Daemons) -> None:
    """SIGTERM during the exec waits until the new one can stop everything in order."""
    daemon = daemons(WEB)
    daemon.wait_running("web")
    with ask(daemon, "upgrade") as connection:
        assert connection.receive() is None
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert daemon.marked() == []
    assert "RUNNING -> STOPPING" in daemon.log()


def test_a_shutdown_during_the_check_of_an_upgrade_wins(daemons: Daemons) -> None:
    """The new version would know nothing of it, and go on."""
    daemon = daemons(program("slow", SLOW, startsecs=0, stopwaitsecs=100))
    wait_until(lambda: "ready" in daemon.text("log/slow.stdout.log"))
    with ask(daemon, "upgrade") as waiting, ask(daemon, "shutdown"):
        answer = waiting.receive()
        assert answer is not None
        assert "shutting down" in answer["error"]["message"]
        (daemon.dir / "go").touch()
        assert daemon.wait_exit() == 0
    assert daemon.marked() == []


# Versions that are no good.


def test_a_configuration_that_cannot_be_used_leaves_the_old_one_running(daemons: Daemons) -> None:
    """The complaint names file and key; nothing has changed, and it can be tried again."""
    daemon = daemons(WEB)
    before = daemon.wait_running("web")
    text = daemon.config.read_text()
    daemon.config.write_text(text + "\n[program.bad]\ncommand = 5\n")
    done = daemon.ctl("upgrade", code=None)
    assert done.returncode in (1, 2)
    assert "nothing changed" in done.stderr
    assert f"{daemon.config}:" in done.stderr
    assert "command" in done.stderr
    assert daemon.wait_running("web") == before
    assert "upgraded" not in daemon.log()
    daemon.config.write_text(text)
    upgrade(daemon)
    assert daemon.wait_running("web") == before


def versions(daemon: Daemon) -> Path:
    """Let the daemon run from a link to a copy of the package; return where the link is."""
    package = Path(supervisor_lite.__file__).parent
    for name in ("good", "broken"):  # with what is compiled: each of ten starts would compile it
        shutil.copytree(package, daemon.dir / name / "supervisor_lite")
    link = daemon.dir / "current"
    link.symlink_to("good")
    daemon.environment["PYTHONPATH"] = str(link)
    return link


def switch(link: Path, version: str) -> None:
    """Let the link point to another version, as a deployment does."""
    fresh = link.with_name("fresh")
    fresh.symlink_to(version)
    fresh.replace(link)


def kept(daemon: Daemon) -> Path:
    """Wait for the copy of the code that runs; return where it is."""
    place = daemon.dir / "state/code"
    wait_until(lambda: list(place.glob("*-????????")))
    return next(place.glob("*-????????"))


def test_what_is_loaded_later_is_of_the_version_that_runs(daemons: Daemons) -> None:
    """Files that were replaced wait for the upgrade; without the copy they are all there is."""
    daemon = daemons.prepare(WEB)
    link = versions(daemon)
    daemon.start()
    daemon.wait_running("web")
    copy = kept(daemon)
    for name in ("story", "forecast"):
        (link / f"supervisor_lite/explain/{name}.py").write_text("raise RuntimeError('new')\n")
    assert "RUNNING" in daemon.ctl("why", "web").stdout
    shutil.rmtree(copy)
    assert "internal error" in daemon.ctl("explain", "web", code=1).stderr
    (daemon.dir / "log/supervisor-lite.log").write_text("")  # the traceback
    (daemon.dir / "stderr").write_text("")


@pytest.mark.parametrize("broken", ["syntax", "import", "missing"])
def test_a_package_that_is_broken_leaves_the_old_one_running(daemons: Daemons, broken: str) -> None:
    """It is tried before the old one is given up; the message says what Python said."""
    daemon = daemons.prepare(WEB)
    link = versions(daemon)
    module = daemon.dir / "broken/supervisor_lite/takeover/adoption.py"
    if broken == "syntax":
        module.write_text("def broken(:\n")
    elif broken == "import":
        module.write_text("import nothing_of_that_name\n")
    else:
        # Without the directory Python would find the version that is installed for the tests.
        for entry in module.parent.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "__init__.py":
                entry.unlink()
    daemon.start()
    before = daemon.wait_running("web")
    switch(link, "broken")
    error = refused_upgrade(daemon)
    assert "nothing changed" in error.text
    told = {"syntax": "SyntaxError", "import": "nothing_of_that_name", "missing": "supervisor_lite"}
    assert told[broken] in error.text
    daemon.ctl("restart", "web")
    before = daemon.wait_running("web")
    switch(link, "good")
    upgrade(daemon)
    assert daemon.wait_running("web") == before


RAISE = "raise RuntimeError('no way')"

SERVE = "daemon/recovery.py", "def serve(recovery: Recovery) -> None:"

BREAKS = {
    "adopt": ("takeover/adoption.py", "def run(self) -> Summary:", RAISE),
    "wiring": ("daemon/app.py", "def _make_engine(self) -> None:", RAISE),
    "journal": ("store/journal.py", "def skip_to(self, run: int) -> None:", RAISE),
    "serve": (*SERVE, "raise OSError(5, 'no way')"),
    "exit": (*SERVE, "raise SystemExit('no way')"),
    "early": ("daemon/main.py", "def run(self) -> int:", RAISE),
    "schema": (*SERVE, RAISE),
    "hang": (*SERVE, "import time; time.sleep(10000)"),
}
"""Where a new version fails that `--check` accepts: file, function, and what it does there."""


def sabotage(package: Path, how: str) -> None:
    """Let a copy of the package fail when it runs, and only then."""
    name, place, what = BREAKS[how]
    file = package / name
    before, found, after = file.read_text().partition(place)
    assert found
    indent = "        " if "self" in place else "    "
    file.write_text(f"{before}{found}\n{indent}{what}{after}")
    if how == "schema":
        with (package / "store/migrations.py").open("a") as migrations:
            migrations.write("\n\nSTEPS = (*STEPS, lambda d: d.execute('CREATE TABLE n (o)'))\n")
            migrations.write("SCHEMA = len(STEPS)\n")
    if how == "hang":
        clock = package / "daemon/going_back.py"
        text = clock.read_text()
        clock.write_text(text.replace("_TOO_LONG = 40.0", "_TOO_LONG = 2.0"))


def blocked(pid: int) -> str:
    """Return the mask of signals that a process has blocked."""
    (mask,) = re.findall(r"^SigBlk:\t(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return str(mask)


@pytest.mark.parametrize("how", BREAKS)
def test_a_version_that_fails_when_it_runs_goes_back(daemons: Daemons, how: str) -> None:
    """The old one goes on, also if its files were replaced in place; slctl says what happened.

    Same pid, same processes, same connections to its socket; and a good version is taken later.
    """
    daemon = daemons.prepare(WEB + program("tree", FORKER, startsecs=0))
    link = versions(daemon)
    daemon.start()
    before = daemon.wait_running("web", "tree")
    kept(daemon)
    marked, mask = daemon.marked(), blocked(daemon.pid)
    sabotage(daemon.dir / "good/supervisor_lite", how)  # in place, as a package manager does
    failed = daemon.ctl("upgrade", code=1)
    assert "the upgrade has failed, and the old version goes on" in failed.stderr
    assert ("did not serve within 2 s" if how == "hang" else "no way") in failed.stderr
    assert daemon.call("version")["pid"] == daemon.pid
    assert daemon.wait_running("web", "tree") == before
    assert daemon.marked() == marked
    assert blocked(daemon.pid) == mask  # the watchdog's SIGABRT still ends it
    assert "the upgrade has failed" in daemon.log()
    daemon.ctl("restart", "web")
    before = daemon.wait_running("web", "tree")
    environ = Path(f"/proc/{before['web']}/environ").read_bytes()
    assert b"HANDOVER" not in environ
    daemon.ctl("upgrade", code=1)  # once more, from the copy
    switch(link, "broken")  # which is not
    assert "Upgraded" in daemon.ctl("upgrade").stdout
    assert daemon.call("version")["upgrade_error"] is None
    assert daemon.wait_running("web", "tree") == before
    for said in (daemon.dir / "log/supervisor-lite.log", daemon.dir / "stderr"):
        said.write_text("")  # tracebacks of what was broken on purpose


def test_the_new_version_is_really_the_new_version(daemons: Daemons) -> None:
    """What runs afterwards is what is on disk."""
    daemon = daemons.prepare(WEB)
    link = versions(daemon)
    init = daemon.dir / "broken/supervisor_lite/__init__.py"
    old = supervisor_lite.__version__
    init.write_text(init.read_text().replace(old, "99.9"))
    daemon.start()
    before = daemon.wait_running("web")
    switch(link, "broken")
    said = daemon.ctl("upgrade").stdout
    assert f"from {old} to 99.9" in said
    assert daemon.call("version")["version"] == "99.9"
    assert daemon.wait_running("web") == before
    switch(link, "good")
    daemon.ctl("upgrade")
    assert daemon.wait_running("web") == before


@pytest.mark.parametrize("folder", ["runtime", "state"])
def test_directories_cannot_be_moved_by_an_upgrade(daemons: Daemons, folder: str) -> None:
    """The processes belong to the old ones: refused, and nothing is started twice."""
    daemon = daemons(WEB)
    before = daemon.wait_running("web")
    text = daemon.config.read_text()
    short = {"runtime": "run", "state": "state"}[folder]
    daemon.config.write_text(text.replace(f'/{short}"', f'/{short}2"'))
    error = refused_upgrade(daemon)
    assert f"{folder}_dir" in error.text
    assert daemon.wait_running("web") == before
    assert daemon.pids_of("web") == [before["web"]]
    daemon.config.write_text(text)
    upgrade(daemon)
    assert daemon.wait_running("web") == before


def test_a_relative_configuration_and_another_directory(daemons: Daemons) -> None:
    """The new version is checked and started where the old one was."""
    daemon = daemons.prepare(WEB, settings='directory = "/"')
    daemon.command = lambda: [  # type: ignore[method-assign]
        sys.executable, "-m", "supervisor_lite", "-c", daemon.config.name,
    ]  # fmt: skip
    daemon.start()
    before = daemon.wait_running("web")
    for _ in range(2):
        upgrade(daemon)
    assert daemon.wait_running("web") == before
    assert os.readlink(f"/proc/{daemon.pid}/cwd") == "/"


def test_an_upgrade_with_a_changed_definition(daemons: Daemons) -> None:
    """As after any start: kept under the old one, shown as stale, replaced by `update`."""
    daemon = daemons(WEB + DB)
    before = daemon.wait_running("web", "db")
    daemon.configure(program("web", SLEEPER, startsecs=0, environment={"CHANGED": "1"}) + DB)
    upgrade(daemon)
    assert daemon.wait_running("web", "db") == before
    assert daemon.status("web")["stale"] is True
    daemon.ctl("update")
    assert daemon.wait_running("web")["web"] != before["web"]
    assert daemon.wait_running("db")["db"] == before["db"]


def test_nothing_leaks_over_many_upgrades(daemons: Daemons) -> None:
    """As many descriptors as before; the children inherit none of them."""
    daemon = daemons(WEB + program("looper", sh("exit 1"), startsecs=0, autostart=False))
    daemon.wait_running("web")
    upgrade(daemon)
    count = len(os.listdir(f"/proc/{daemon.pid}/fd"))
    for _ in range(5):
        upgrade(daemon)
    wait_until(lambda: len(os.listdir(f"/proc/{daemon.pid}/fd")) <= count)
    daemon.ctl("restart", "web")
    pid = daemon.status("web")["pid"]
    assert sorted(os.listdir(f"/proc/{pid}/fd"), key=int) == ["0", "1", "2"]
    environ = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"HANDOVER" not in environ


def test_a_daemon_killed_while_it_upgrades(daemons: Daemons) -> None:
    """No moment of it is one at which the processes could be lost."""
    daemon = daemons(WEB + program("job", SLEEPER, startsecs=0, autorestart=False))
    before = daemon.wait_running("web", "job")
    for wait in (0.0, 0.1, 0.2, 0.3, 0.4):
        with ask(daemon, "upgrade"):
            # A moment of the check, the exec or the start: there is no condition to wait for.
            time.sleep(wait)
            daemon.signal(signal.SIGKILL)
            daemon.wait_exit()
        daemon.start()
        assert daemon.wait_running("web", "job") == before
    assert last_run(daemon, "web")["pid"] == before["web"]


def test_the_socket_is_the_same_one(daemons: Daemons) -> None:
    """It is never bound anew: who waits in its queue stays there."""
    daemon = daemons(WEB)
    inode = daemon.socket.stat().st_ino
    upgrade(daemon)
    assert daemon.socket.stat().st_ino == inode
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(daemon.socket))
