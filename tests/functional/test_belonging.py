"""Who is of a run: by what proves it, never because there is nobody else whose it could be."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.tools import crash, kill, kill_process, upgrade
from tests.functional.test_container import Container, Containers, in_namespace
from tests.programs import SLEEPER, program, sh
from tests.support import Daemon, Daemons, alive, wait_until

NOTE = "echo $$ >>%(here)s/%(program_name)s.members; exec sleep 100000"

NO_MARK = "ulimit -S -w unlimited; "
"""What takes the mark out of the limits of a shell (dash) and of what it starts."""

SHED = f"env -i PATH=$PATH setsid sh -c '{NO_MARK}{NOTE}' <&- >&- 2>&-"
"""A process without the identity, the session, the mark and the output of its run."""

SETTINGS = 'cgroups = "off"'


def noted(daemon: Daemon, name: str, count: int = 1) -> list[int]:
    """Wait until so many processes of a program have noted their pids; return them."""
    file = f"{name}.members"
    wait_until(lambda: daemon.text(file).count("\n") == count, what=f"{count} of {name}")
    return [int(word) for word in daemon.text(file).split()]


@pytest.fixture(autouse=True)
def _no_strays(daemons: Daemons) -> Iterator[None]:
    """Whoever noted its pid ends with the test: it carries no mark of that."""
    yield
    for daemon in daemons._made:
        for path in daemon.dir.glob("*.members"):
            for word in path.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(word), signal.SIGKILL)


@pytest.fixture
def containers() -> Iterator[Containers]:
    made = Containers()
    yield made
    made.close()


# Strangers.


def put_into(container: Container, script: str) -> None:
    """Do what `docker exec` does: run a shell there that did not come from PID 1."""
    line = ["nsenter", "-t", str(container.pid), "-p", "-m", "--", "sh", "-c", script]
    subprocess.run(
        line, check=True, stdin=subprocess.DEVNULL, timeout=30, env={"PATH": "/bin:/usr/bin"}
    )


@in_namespace
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may enter a namespace")
def test_what_was_started_beside_us_in_a_container_is_left_alone(containers: Containers) -> None:
    """A command in the background of an exec becomes a child of PID 1, and no leftover."""
    container = containers(program("web", SLEEPER, startsecs=0), settings=SETTINGS)
    place = container.dir / "stranger"
    put_into(container, f"setsid sh -c 'echo x >{place}; exec sleep 99998' </dev/null >&0 2>&0 &")
    wait_until(place.exists)

    def inside() -> list[str]:
        found = Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split()
        return [p for p in found if b"99998" in Path(f"/proc/{p}/cmdline").read_bytes()]

    (stranger,) = wait_until(inside, what="it is a child of PID 1")
    container.ctl("restart", "web")
    container.ctl("stop", "web")
    assert inside() == [stranger]
    assert "leftover" not in container.status("web")["reason"]
    told = [line for line in container.log().splitlines() if "left alone" in line]
    assert len(told) == 1, told
    assert "sleep has become a child of the daemon" in told[0]


@pytest.mark.parametrize("again", [upgrade, crash])
def test_what_one_program_may_keep_is_not_the_next_ones(daemons: Daemons, again: object) -> None:
    """After an upgrade or a crash nobody knows whose it was; it is still not the other's."""
    daemon = daemons(
        program("keeper", sh(f"({SHED} &)\nexec sleep 99999"), startsecs=0, leftovers="keep")
        + program("web", SLEEPER, startsecs=0, autostart=False),
        settings=SETTINGS,
        survivors=True,
    )
    daemon.ctl("start", "web")  # so that it is the older one
    (member,) = noted(daemon, "keeper")
    daemon.ctl("stop", "keeper")
    assert alive(member)
    assert callable(again)
    again(daemon)
    daemon.ctl("restart", "web")
    daemon.ctl("stop", "web")
    assert alive(member)


def test_kept_is_kept_when_the_program_keeps_no_more(daemons: Daemons) -> None:
    """What was told to be left running is nobody's later on, also under another definition."""
    script = sh(f"(setsid sh -c '{NOTE}' &)\nexec sleep 99999")
    daemon = daemons(
        program("tree", script, startsecs=0, leftovers="keep"), settings=SETTINGS, survivors=True
    )
    (kept,) = noted(daemon, "tree")
    daemon.ctl("stop", "tree")
    daemon.configure(program("tree", script, startsecs=0, autostart=False))
    daemon.ctl("update")
    daemon.ctl("start", "tree")
    _, other = noted(daemon, "tree", 2)
    crash(daemon)
    daemon.ctl("restart", "tree")
    assert alive(kept)
    assert not alive(other)
    *_, last = noted(daemon, "tree", 3)
    upgrade(daemon)
    daemon.ctl("stop", "tree")
    assert alive(kept)
    assert not alive(last)


# Descendants that have shed everything.


@pytest.mark.parametrize(
    ("life", "end"), [("own", "stop"), ("adopted", "restart"), ("upgraded", "stop")]
)
def test_who_is_below_the_main_process_at_its_stop_ends_with_it(
    daemons: Daemons, life: str, end: str
) -> None:
    """The tree is known before the signal is sent, so nothing that shows it is needed."""
    daemon = daemons(
        program("tree", sh(f"({SHED}; :) &\nsleep 99999"), startsecs=0, stopwaitsecs=5)
        + program("other", SLEEPER, startsecs=0),
        settings=SETTINGS,
    )
    (member,) = noted(daemon, "tree")
    if life != "own":
        (crash if life == "adopted" else upgrade)(daemon)
    daemon.ctl(end, "tree")
    assert not alive(member)
    assert "left alone" not in daemon.log()


@pytest.mark.parametrize("life", ["own", "adopted"])
def test_who_left_before_and_shows_nothing_is_left_alone_and_told(
    daemons: Daemons, life: str
) -> None:
    """What is impossible without a cgroup: the limit that README names."""
    daemon = daemons(
        program("tree", sh(f"({SHED} &)\nexec sleep 99999"), startsecs=0),
        settings=SETTINGS,
        survivors=True,
    )
    (member,) = noted(daemon, "tree")
    if life == "adopted":
        crash(daemon)
    daemon.ctl("stop", "tree")
    assert alive(member)
    if life == "own":
        assert f"{member} sleep has become a child of the daemon" in daemon.log()


# Processes whose first thread has ended: /proc shows them as zombies.

THREADED = """
import ctypes, os, signal, sys, threading, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
threading.Thread(target=lambda: time.sleep(100000), daemon=True).start()
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n")
ctypes.CDLL(None).pthread_exit(None)
"""


def threaded(daemon: Daemon, *, main: bool, **options: object) -> int:
    """Start a program with such a process, the main one or a child of it; return its pid."""
    (daemon.dir / "threaded.py").write_text(THREADED)
    line = f"{sys.executable} -S {daemon.dir}/threaded.py {daemon.dir}/web.members"
    command = sh(f"exec {line}" if main else f"(setsid {line} &)\nexec sleep 99999")
    settings = {"startsecs": 0, "stopwaitsecs": 1, **options}
    daemon.configure(program("web", command, **settings))
    daemon.start()
    (pid,) = noted(daemon, "web")
    wait_until(lambda: first_thread(pid) == "Z", what="its first thread has ended")
    assert runs(pid)
    return pid


def first_thread(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def runs(pid: int) -> bool:
    """Has a process a thread that lives?"""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                if first_thread(int(thread)) not in "ZX":
                    return True
    return False


@pytest.mark.parametrize("main", [True, False], ids=["main", "leftover"])
@pytest.mark.parametrize(
    ("life", "end"),
    [
        ("own", "stop"), ("own", "restart"), ("own", "crash"), ("adopted", "stop"),
        ("adopted", "crash"), ("upgraded", "restart"), ("own", "unseen"),
    ],
)  # fmt: skip
def test_a_process_whose_first_thread_has_ended(
    daemons: Daemons, life: str, end: str, *, main: bool
) -> None:
    """It is alive: it is RUNNING, is taken over, and nothing is done before it is gone."""
    daemon = daemons.prepare(settings=SETTINGS)
    pid = threaded(daemon, main=main, autorestart=True)
    root = daemon.status("web")["pid"]
    assert daemon.status("web")["state"] == "RUNNING"
    assert (root == pid) is main
    if life != "own":
        (crash if life == "adopted" else upgrade)(daemon)
    assert daemon.status("web")["pid"] == root, "it is not taken for dead"
    if end in ("stop", "restart"):
        daemon.ctl(end, "web")
    elif end == "crash":
        os.kill(root, signal.SIGKILL)
    else:
        kill(daemon)
        kill_process(root)
        daemon.start()
    if end != "stop":
        wait_until(lambda: daemon.status("web")["pid"] not in (None, root), 20, "it runs again")
    assert not runs(pid)
    if not main and end == "stop":
        assert f"killed: {pid} python" in daemon.status("web")["reason"]


# Who says that it is of another run.

STAYS = {
    "session": f"{NO_MARK}exec <&- >&- 2>&-; ",
    "output": f"{NO_MARK}exec setsid ",
    "mark": "exec <&- >&- 2>&-; exec setsid ",
}
"""How a process stays in the session of its run, at its output, or keeps its mark; and no more."""

CLAIMS = {
    "nobody": "none:1",
    "another": '"$(echo $SUPERVISOR_LITE_RUN | cut -d: -f1)":1',
}
"""Run identities that a process may write into its environment: of another daemon, of run 1."""


@pytest.mark.parametrize("adopted", [False, True])
@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("stays", STAYS)
def test_a_false_identity_outlives_no_stop(
    daemons: Daemons, stays: str, claim: str, adopted: bool
) -> None:
    """Neither an invented one nor that of another program's run: what it has inherited counts."""
    lies = f"SUPERVISOR_LITE_RUN={CLAIMS[claim]}; export SUPERVISOR_LITE_RUN; {STAYS[stays]}"
    script = f"({lies} sh -c '{NOTE}' &); exec sleep 100000"
    other = program("other", SLEEPER, startsecs=0, priority=1)
    daemon = daemons(other + program("web", sh(script), startsecs=0), settings=SETTINGS)
    daemon.wait_running("other", "web")
    (liar,) = noted(daemon, "web")
    wait_until(lambda: b"sleep" in Path(f"/proc/{liar}/cmdline").read_bytes())
    if adopted:
        crash(daemon)
        daemon.wait_running("other", "web")
    daemon.ctl("stop", "web")
    assert not alive(liar)
    assert daemon.status("other")["state"] == "RUNNING"
