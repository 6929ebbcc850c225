"""Stopped means stopped: whatever a descendant did to get away, it ends with its run."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.tools import crash, kill, kill_process, last_run, no_zombies, upgrade
from tests.programs import SLEEPER, program, sh
from tests.support import Daemon, Daemons, alive, comm, wait_until

NOTE = "echo $$ >>%(here)s/%(program_name)s.members; exec sleep 100000"

ESCAPES = {
    "child": f"sh -c '{NOTE}' &",
    "session": f"setsid sh -c '{NOTE}' &",
    "double_fork": f"(sh -c '{NOTE}' &)",
    "session_and_double_fork": f"(setsid sh -c '{NOTE}' &)",
    "group": f"set -m; sh -c '{NOTE}' & set +m",
    "closed": f"(setsid sh -c '{NOTE}' <&- >&- 2>&- &)",
    "no_environment": f"env -i PATH=$PATH sh -c '{NOTE}' &",
    "no_environment_session": f"env -i PATH=$PATH setsid sh -c '{NOTE}' &",
    "no_environment_double_fork": f"(env -i PATH=$PATH setsid sh -c '{NOTE}' &)",
    "nothing_left": f"(env -i PATH=$PATH setsid sh -c '{NOTE}' <&- >&- 2>&- &)",
    "deaf": '(setsid sh -c \'trap "" TERM; echo $$ >>%(here)s/%(program_name)s.members; '
    "while :; do sleep 0.1; done' &)",
}
"""Ways to leave one's parent. Every one of them notes its pid."""


def members(daemon: Daemon, name: str, count: int = 1) -> list[int]:
    """Wait until so many of a program have noted their pids, and return them."""
    file = f"{name}.members"
    wait_until(lambda: daemon.text(file).count("\n") == count, what=f"{count} members of {name}")
    return [int(word) for word in daemon.text(file).split()]


def runaway(name: str, escape: str, **options: object) -> str:
    """Return a program whose child gets away like that; the main process sleeps."""
    settings = {"startsecs": 0, "stopwaitsecs": 1, **options}
    return program(name, sh(f"{escape}\nexec sleep 99999"), **settings)


@dataclass
class Runaways:
    """A daemon with a program for each way to get away."""

    daemon: Daemon
    pids: dict[str, int]
    members: dict[str, int]

    @classmethod
    def begin(cls, daemons: Daemons) -> Runaways:
        """Start it and wait until all of them are on the run."""
        table = "".join(runaway(name, escape) for name, escape in ESCAPES.items())
        # Those without an environment have no mark of the test either: they are counted here.
        daemon = daemons(table + program("other", SLEEPER, startsecs=0), survivors=True)
        found = {name: members(daemon, name)[0] for name in ESCAPES}
        return cls(daemon, {name: daemon.status(name)["pid"] for name in ESCAPES}, found)

    def stopped(self) -> None:
        """Stop all; nobody may be left, and everyone is named."""
        self.daemon.ctl("stop", *ESCAPES)
        assert not self.left()
        for name, member in self.members.items():
            verb = "killed" if name == "deaf" else "ended"
            reason = self.daemon.status(name)["reason"]
            assert re.search(rf"leftovers? {verb}: .*\b{member} ", reason), (name, reason)

    def replaced(self) -> None:
        """Wait for the next run of each; nobody of the one before may be there when it begins."""
        for name, pid in self.pids.items():
            wait_until(
                lambda name=name, pid=pid: self.daemon.status(name)["pid"] not in (None, pid),  # type: ignore[misc]
                what=f"{name} has a new run",
            )
            assert not alive(self.members[name]), name
            assert members(self.daemon, name, 2)[0] == self.members[name]

    def left(self) -> list[str]:
        """Return whose child is still alive."""
        return [name for name, member in self.members.items() if alive(member)]

    def close(self) -> None:
        """The bystander is untouched, nothing waits to be reaped; end all in order."""
        assert alive(self.daemon.status("other")["pid"])
        no_zombies(self.daemon)
        self.daemon.ctl("stop", "all")
        assert not [name for name in ESCAPES if alive(members_now(self.daemon, name)[-1])]


def members_now(daemon: Daemon, name: str) -> list[int]:
    return [int(word) for word in daemon.text(f"{name}.members").split()]


@pytest.fixture(autouse=True)
def _no_strays(daemons: Daemons) -> Iterator[None]:
    """Whoever noted its pid ends with the test, also if that fails."""
    yield
    for daemon in daemons._made:
        for path in daemon.dir.glob("*.members"):
            for word in path.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    if comm(int(word)) in ("sleep", "sh"):
                        os.kill(int(word), signal.SIGKILL)


@pytest.mark.parametrize("life", ["own", "adopted", "upgraded"])
@pytest.mark.parametrize("end", ["stop", "crash", "restart"])
def test_nobody_gets_away(daemons: Daemons, life: str, end: str) -> None:
    """Gone before the process is said to be stopped, or before its next run begins; named.

    Orphans of an adopted run go to init and not to us; they are found all the same.
    """
    all_of_them = Runaways.begin(daemons)
    daemon = all_of_them.daemon
    if life != "own":
        (crash if life == "adopted" else upgrade)(daemon)
        assert {name: daemon.status(name)["pid"] for name in ESCAPES} == all_of_them.pids
    if end == "stop":
        all_of_them.stopped()
    elif end == "crash":
        for pid in all_of_them.pids.values():
            os.kill(pid, signal.SIGKILL)
        all_of_them.replaced()
    else:
        daemon.call("restart", names=list(ESCAPES), wait=False)
        all_of_them.replaced()
    all_of_them.close()


def test_nobody_gets_away_while_no_daemon_is_there(daemons: Daemons) -> None:
    """The main process died with nobody watching; the next daemon ends what it left first."""
    all_of_them = Runaways.begin(daemons)
    kill(all_of_them.daemon, inherit=True)
    for pid in all_of_them.pids.values():
        kill_process(pid)
    all_of_them.daemon.start()
    all_of_them.replaced()
    all_of_them.close()


def test_whole_generations(daemons: Daemons) -> None:
    """A leftover that starts others while it is being ended does not outrun its end."""
    spawner = (
        'setsid sh -c \'trap "" TERM; while :; do '
        'setsid sh -c "trap \\\\"\\\\" TERM; sleep 5" & sleep 0.02; done\' &'
    )
    daemon = daemons(
        program("tree", sh(f"{spawner} exec sleep 99999"), startsecs=0, stopwaitsecs=1)
    )
    wait_until(lambda: len(daemon.pids_of("tree")) > 10)
    daemon.ctl("stop", "tree")
    assert daemon.pids_of("tree") == []


def test_leftovers_are_named_in_the_change(daemons: Daemons) -> None:
    """Everyone that had to be ended, with pid and name, in the daemon's log too."""
    daemon = daemons(
        program(
            "tree",
            sh("for i in 1 2 3; do setsid sleep 88888 & done; exec sleep 99999"),
            startsecs=0,
        )
    )
    wait_until(lambda: len(daemon.pids_of("tree", "sleep")) == 4)
    pid = daemon.status("tree")["pid"]
    left = [p for p in daemon.pids_of("tree") if p != pid]
    daemon.ctl("stop", "tree")
    words = "3 leftovers ended: " + ", ".join(f"{p} sleep" for p in left)
    assert words in daemon.status("tree")["reason"]
    assert words in daemon.log()


def test_keep_keeps_them_and_says_so(daemons: Daemons) -> None:
    """They live on after stop, crash and the daemon's death, and what they write is captured."""
    script = (
        "setsid sh -c 'echo $$ >>%(here)s/tree.members; while :; do echo kept; sleep 0.2; done' &"
    )
    daemon = daemons(
        program("tree", sh(f"{script} exec sleep 99999"), startsecs=0, leftovers="keep"),
        survivors=True,
    )
    (first,) = members(daemon, "tree")
    daemon.ctl("stop", "tree")
    assert alive(first)
    assert f"{first} sh" in daemon.status("tree")["reason"]
    assert "left running" in daemon.status("tree")["reason"]
    for again in (crash, upgrade):
        again(daemon)
        assert alive(first)
        assert daemon.states() == {"tree": "STOPPED"}
        before = daemon.text("log/tree.stdout.log").count("kept")
        wait_until(
            lambda before=before: daemon.text("log/tree.stdout.log").count("kept") > before  # type: ignore[misc]
        )
    daemon.ctl("start", "tree")
    _, second = members(daemon, "tree", 2)
    pid = daemon.status("tree")["pid"]
    kill(daemon)
    kill_process(pid)
    daemon.start()
    wait_until(lambda: daemon.status("tree")["pid"] not in (None, pid))
    assert alive(first)
    assert alive(second)
    daemon.configure("")
    daemon.ctl("update", "--yes")
    crash(daemon)
    assert alive(first)
    assert alive(second)


def test_the_families_of_others_are_not_touched(daemons: Daemons) -> None:
    """Two programs alike, each with runaways: only those of the stopped one end."""
    script = "setsid sleep 77777 & (setsid sleep 77777 &); exec sleep 99999"
    daemon = daemons(program("a", sh(script), startsecs=0) + program("b", sh(script), startsecs=0))
    for name in "ab":
        wait_until(lambda name=name: len(daemon.pids_of(name, "sleep")) == 3)  # type: ignore[misc]
    theirs = daemon.pids_of("b")
    daemon.ctl("stop", "a")
    assert (daemon.pids_of("a"), daemon.pids_of("b")) == ([], theirs)
    daemon.ctl("start", "a")
    wait_until(lambda: len(daemon.pids_of("a", "sleep")) == 3)
    crash(daemon)
    daemon.ctl("stop", "a")
    assert (daemon.pids_of("a"), daemon.pids_of("b")) == ([], theirs)


# Celery: a main process, a pool of workers that it forks, and what a task starts.

CELERY = importlib.util.find_spec("celery") is not None

APPLICATION = """\
import os, subprocess
from celery import Celery
app = Celery("jobs", broker="filesystem://", broker_transport_options={
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control",
    "processed_folder": "processed"})
app.conf.worker_prefetch_multiplier = 1

@app.task
def launch():
    "Start something that is meant to outlive everything, as users do with nohup."
    child = subprocess.Popen(["nohup", "sleep", "55555"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open("celery.members", "a") as file:
        file.write(f"{child.pid}\\n")

@app.task
def hang():
    "Work that does not end."
    open("hanging", "w").close()
    while True:
        try:
            subprocess.run(["sleep", "1000"])
        except BaseException:
            pass
"""


def celery(daemon: Daemon, leftovers: str) -> str:
    for folder in ("queue", "control", "processed"):
        (daemon.dir / folder).mkdir(exist_ok=True)
    (daemon.dir / "jobs.py").write_text(APPLICATION)
    return program(
        "celery",
        [sys.executable, "-m", "celery", "-A", "jobs", "worker", "--pool=prefork",
         "--concurrency=3", "--without-gossip", "--without-mingle", "--loglevel=INFO"],
        directory=str(daemon.dir), startsecs=0, stopwaitsecs=10, leftovers=leftovers,
        redirect_stderr=True, environment={"C_FORCE_ROOT": "1"},
    )  # fmt: skip


def send(daemon: Daemon, task: str) -> None:
    """Give the worker something to do."""
    script = f"import jobs; jobs.{task}.delay()"
    environment = {**os.environ, "PYTHONPATH": str(daemon.dir)}
    code = os.spawnve(
        os.P_WAIT, sys.executable,
        [sys.executable, "-c", f"import os; os.chdir({str(daemon.dir)!r}); {script}"], environment,
    )  # fmt: skip
    assert code == 0


def pool(daemon: Daemon) -> list[int]:
    """Wait until the worker is ready; return the main process and its pool."""
    wait_until(lambda: "ready." in daemon.text("log/celery.stdout.log"), 40, "celery is ready")
    wait_until(lambda: len(workers(daemon)) == 4, 20, "a main process and three workers")
    return workers(daemon)


def workers(daemon: Daemon) -> list[int]:
    """Return the live processes of celery itself, whoever started them."""
    found = []
    for pid in daemon.marked():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"celery" in words and b"supervisor_lite" not in words:
                found.append(pid)
    return found


@pytest.mark.slow
@pytest.mark.skipif(not CELERY, reason="celery is not installed")
@pytest.mark.parametrize("leftovers", ["kill", "keep"])
def test_celery(daemons: Daemons, leftovers: str) -> None:
    """No worker process is ever left; what a task started with nohup lives under "keep"."""
    daemon = daemons.prepare(survivors=True)
    daemon.configure(celery(daemon, leftovers))
    daemon.start()
    pool(daemon)
    send(daemon, "launch")
    (launched,) = members(daemon, "celery")
    daemon.ctl("stop", "celery")
    assert workers(daemon) == []
    assert alive(launched) is (leftovers == "keep")

    for end in ("crash", "restart", "daemon", "both"):
        daemon.call("clear", names=["celery"])
        daemon.ctl("start", "celery")
        old = pool(daemon)
        pid = daemon.status("celery")["pid"]
        if end == "crash":
            if leftovers == "kill":
                send(daemon, "hang")
                wait_until((daemon.dir / "hanging").exists)
            os.kill(pid, signal.SIGKILL)
        elif end == "restart":
            daemon.ctl("restart", "celery")
        elif end == "daemon":
            crash(daemon)
            assert workers(daemon) == old
            daemon.ctl("restart", "celery")
        else:
            kill(daemon)
            kill_process(pid)
            daemon.start()
        wait_until(lambda pid=pid: daemon.status("celery")["pid"] not in (None, pid), 20)  # type: ignore[misc]
        if leftovers == "kill":
            assert not any(map(alive, old)), end
        else:
            # Celery's own workers end with their main process; not by us, so not at once.
            wait_until(lambda old=old: not any(map(alive, old)), 20, end)  # type: ignore[misc]
        daemon.ctl("stop", "celery")
        wait_until(lambda: workers(daemon) == [], 20, end)
    assert alive(launched) is (leftovers == "keep")
    if leftovers == "keep":
        os.kill(launched, signal.SIGKILL)


PREFORK = """\
import os, signal, sys, time
for _ in range(3):
    child = os.fork()
    if child == 0:
        break
if child == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open("/proc/self/comm", "w") as file:
        file.write("pool-worker")
    while True:
        time.sleep(1000)
def end(*_):
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True:
    time.sleep(1000)
"""


@pytest.mark.parametrize("how", ["stop", "crash", "adopted stop", "adopted crash", "unseen"])
def test_a_prefork_pool_that_renames_itself_and_ignores_its_end(daemons: Daemons, how: str) -> None:
    """A main process that just exits, and workers that do not care."""
    daemon = daemons.prepare()
    (daemon.dir / "pool.py").write_text(PREFORK)
    daemon.configure(
        program("pool", [sys.executable, "-S", str(daemon.dir / "pool.py")], startsecs=0,
                stopwaitsecs=1)
    )  # fmt: skip
    daemon.start()
    wait_until(lambda: len(daemon.pids_of("pool", "pool-worker")) == 3)
    wait_until(lambda: "ready" in daemon.text("log/pool.stdout.log"))
    old, pid = daemon.pids_of("pool"), daemon.status("pool")["pid"]
    if "adopted" in how:
        crash(daemon)
    if "stop" in how:
        daemon.ctl("stop", "pool")
        assert "3 leftovers killed" in daemon.status("pool")["reason"]
        assert daemon.pids_of("pool") == []
        return
    if how == "unseen":
        kill(daemon)
        kill_process(pid)
        daemon.start()
    else:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: daemon.status("pool")["pid"] not in (None, pid), 20)
    assert not any(map(alive, old))
    assert last_run(daemon, "pool")["pid"] == daemon.status("pool")["pid"]
