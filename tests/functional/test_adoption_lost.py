"""What the next daemon needs is lost, or somebody claims what is not theirs."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.tools import crash, edit, journal_path, kill, kill_process, last_run, rows
from tests.programs import FORKER, SLEEPER, program, sh
from tests.support import Daemon, Daemons, alive, wait_until

WEB, DB = (program(name, SLEEPER, startsecs=0) for name in ("web", "db"))

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")


def lose_journal(daemon: Daemon) -> None:
    for file in journal_path(daemon).parent.glob("journal.db*"):
        file.unlink()


# Everything is lost.


def test_a_state_directory_that_was_wiped(daemons: Daemons) -> None:
    """Its name is known in the runtime directory, too: the same pids, and nothing twice."""
    daemon = daemons(WEB + DB + program("tree", FORKER, startsecs=0))
    before = daemon.wait_running("web", "db", "tree")
    wait_until(lambda: len(daemon.pids_of("tree", "sleep")) == 4)
    everybody = daemon.marked("SUPERVISOR_ENABLED=1")
    used = max(daemon.status(name)["run"] for name in before)
    for _ in range(2):
        kill(daemon)
        shutil.rmtree(daemon.dir / "state")
        daemon.start()
        assert daemon.wait_running("web", "db", "tree") == before
        assert daemon.marked("SUPERVISOR_ENABLED=1") == everybody
        assert "3 running processes are not in the journal" in daemon.log()
        daemon.ctl("restart", "db")
        assert daemon.status("db")["run"] > used
        used = daemon.status("db")["run"]
        before["db"] = daemon.status("db")["pid"]
        everybody = daemon.marked("SUPERVISOR_ENABLED=1")
    daemon.ctl("stop", "all")
    assert daemon.marked("SUPERVISOR_ENABLED=1") == []


def test_another_state_directory_is_not_the_one_that_was_wiped(daemons: Daemons) -> None:
    """The copy says whose name it is: what runs belongs to the other one, which still exists."""
    daemon = daemons(WEB)
    first = rows(daemon, "SELECT value FROM meta WHERE key = 'instance'")
    daemon.ctl("shutdown")
    assert daemon.wait_exit() == 0
    (daemon.dir / "state").rename(daemon.dir / "elsewhere")
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace('/state"', '/state2"'))
    daemon.start()
    daemon.wait_running("web")
    (daemon.dir / "state2").rename(daemon.dir / "state")
    assert rows(daemon, "SELECT value FROM meta WHERE key = 'instance'") != first
    (daemon.dir / "state").rename(daemon.dir / "state2")


def test_run_ids_of_the_dead_are_not_given_out_again(daemons: Daemons) -> None:
    """The journal forgot its last runs, all of which are over: their ids stay theirs."""
    daemon = daemons(WEB)
    daemon.wait_running("web")
    copy = daemon.dir / "copy"
    copy.mkdir()
    rows(daemon, "PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(journal_path(daemon), copy)
    for _ in range(3):
        daemon.ctl("restart", "web")
    last = daemon.status("web")["run"]
    pid = daemon.status("web")["pid"]
    kill(daemon, inherit=True)
    kill_process(pid)
    lose_journal(daemon)
    shutil.copy(copy / "journal.db", journal_path(daemon))
    assert last_run(daemon, "web")["run"] < last
    daemon.start()
    daemon.wait_running("web")
    assert daemon.status("web")["run"] == last + 1


def test_an_id_that_was_never_given_out_is_not_believed(daemons: Daemons) -> None:
    """Not even from the program's own user: what runs keeps its process, and ids stay small."""
    daemon = daemons(WEB)
    pid, run = daemon.wait_running("web")["web"], daemon.status("web")["run"]
    prefix = marker_of(daemon, "web").partition(":")[0]
    numbers = ["9" * 15, str(1 << 53), "9" * 30, f"0{run}", f"{run}٣", "1000000", str(run + 1)]
    environment = {"SUPERVISOR_PROCESS_NAME": "web", "SUPERVISOR_GROUP_NAME": "web"}
    with contextlib.ExitStack() as stack:
        fakes = [
            stack.enter_context(
                subprocess.Popen(
                    ["/bin/sleep", "100000"], start_new_session=True,
                    env={**environment, "SUPERVISOR_LITE_RUN": f"{prefix}:{number}"},
                )
            )
            for number in numbers
        ]  # fmt: skip
        for each in fakes:
            stack.callback(each.kill)
        for lose in (False, True):
            kill(daemon)
            if lose:
                lose_journal(daemon)
            daemon.start()
            assert daemon.wait_running("web") == {"web": pid}
            assert daemon.status("web")["run"] == run
        assert "never was, though" in daemon.log()
        assert [each.poll() for each in fakes] == [None] * len(fakes)
        daemon.ctl("restart", "web")
        assert daemon.status("web")["run"] < 1 << 32


# What is not ours.


NOBODY = pwd.getpwnam("nobody").pw_uid


@contextlib.contextmanager
def liar(
    marker: str, name: str, *, command: str = "sleep", session: bool = True
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process of another user that says it is of this run."""
    environment = {
        "SUPERVISOR_LITE_RUN": marker, "SUPERVISOR_PROCESS_NAME": name,
        "SUPERVISOR_GROUP_NAME": name, "PATH": "/usr/bin:/bin",
    }  # fmt: skip
    with subprocess.Popen(
        [command, "100000"], env=environment, user=NOBODY, group=NOBODY, extra_groups=[],
        stdin=subprocess.DEVNULL, start_new_session=session,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def marker_of(daemon: Daemon, name: str, more: int = 0) -> str:
    """Return the identity of the current run of a process, or of one that is so much later."""
    ((instance),) = rows(daemon, "SELECT value FROM meta WHERE key = 'instance'")
    return f"{instance['value']}:{last_run(daemon, name)['run'] + more}"


@as_root
@pytest.mark.parametrize("how", ["plain", "setuid"])
def test_a_faked_identity_is_not_adopted(daemons: Daemons, how: str) -> None:
    """Another user's process that says it is a run of ours is neither taken over nor signalled.

    Not as a later run of what runs, nor of what does not; whatever it runs as; when nothing but
    the environment tells what is ours.
    """
    daemon = daemons(WEB + program("idle", SLEEPER, startsecs=0, autostart=False))
    pid = daemon.wait_running("web")["web"]
    command = "sleep"
    if how == "setuid":
        command = str(daemon.dir / "sleep")
        shutil.copy("/bin/sleep", command)
        Path(command).chmod(0o4755)
    later, idle = marker_of(daemon, "web", 100), marker_of(daemon, "web", 200)
    huge = idle.partition(":")[0] + ":" + "9" * 30
    kill(daemon)
    with (
        liar(later, "web", command=command) as first,
        liar(idle, "idle", command=command) as second,
        liar(huge, "idle", command=command) as third,
    ):
        lose_journal(daemon)
        daemon.start()
        assert daemon.wait_running("web") == {"web": pid}
        assert daemon.states() == {"web": "RUNNING", "idle": "STOPPED"}
        assert "though their environment says so" in daemon.log()
        daemon.ctl("start", "idle")
        daemon.ctl("restart", "web")
        daemon.ctl("stop", "all")
        assert [each.poll() for each in (first, second, third)] == [None] * 3


@as_root
@pytest.mark.parametrize("end", ["stop", "crash", "unseen", "closed"])
def test_a_faked_leftover_is_left_alone(daemons: Daemons, end: str) -> None:
    """An adopted run ends, however it does: a stranger with its identity is not of its family."""
    daemon = daemons(program("web", FORKER, startsecs=0))
    pid = daemon.wait_running("web")["web"]
    wait_until(lambda: len(daemon.pids_of("web", "sleep")) == 4)
    family = daemon.pids_of("web")
    with liar(marker_of(daemon, "web"), "web", session=end != "closed") as stranger:
        if end == "closed":
            # A run that is over when the daemon dies is not taken over: its strays are swept.
            daemon.ctl("restart", "web")
            wait_until(lambda: len(daemon.pids_of("web", "sleep")) == 4)
            crash(daemon)
        elif end == "unseen":
            kill(daemon)
            kill_process(pid)
            daemon.start()
        else:
            crash(daemon)
            kill_process(pid) if end == "crash" else daemon.ctl("stop", "web")
        wait_until(lambda: not any(map(alive, family)), what="the family is gone")
        if end != "stop":
            wait_until(lambda: daemon.status("web")["pid"] not in (None, pid))
        assert str(stranger.pid) not in daemon.status("web")["reason"]
        daemon.ctl("stop", "web")
        assert stranger.poll() is None


@as_root
@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not installed")
def test_a_program_that_gives_up_root_by_itself_is_still_ours(daemons: Daemons) -> None:
    """Its user is not the program's, but its output is the FIFO that only its family has."""
    drop = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups"
    daemon = daemons(
        program("plain", [*drop.split(), *SLEEPER], startsecs=0)
        + program("tree", sh(f"setsid {drop} sleep 100001 & wait"), startsecs=0)
    )
    before = daemon.wait_running("plain", "tree")
    wait_until(lambda: len(daemon.pids_of("tree", "sleep")) == 1)
    (child,) = daemon.pids_of("tree", "sleep")
    kill(daemon)
    lose_journal(daemon)
    daemon.start()
    assert daemon.wait_running("plain", "tree") == before
    daemon.ctl("stop", "all")
    wait_until(lambda: not alive(child), what="what gave up root is ended with its program")
    assert daemon.marked("SUPERVISOR_ENABLED=1") == []


def test_rows_that_make_no_sense_cost_those_rows(daemons: Daemons) -> None:
    """What runs is taken over beside them; a user who is gone by now is one of its troubles."""
    daemon = daemons(WEB + DB)
    before = daemon.wait_running("web", "db")
    kill(daemon)
    edit(daemon, "UPDATE processes SET definition = json_set(definition, '$.user', 'nobody-at-all')"
         " WHERE name = 'db'")  # fmt: skip
    edit(daemon, "INSERT INTO processes VALUES ('a', '{\"pid\": -1, \"state\": 20}', '[]')")
    edit(daemon, "INSERT INTO processes VALUES ('b', x'ff00', 7)")
    edit(daemon, "INSERT INTO runs (run, name, intended, pid) VALUES (900, 'web', 5, -7)")
    edit(daemon, "INSERT INTO changes VALUES (900, 5, 'web', '{\"time\": \"soon\"}')")
    edit(daemon, "INSERT INTO meta VALUES ('operation:3', '[]')")
    daemon.start()
    assert daemon.wait_running("web", "db") == before
    assert daemon.log().count("unusable") >= 4
    daemon.ctl("runs")
    daemon.ctl("events")
