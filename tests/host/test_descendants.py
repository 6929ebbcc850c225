"""Who is of a run: by its tree, its session, what it inherits, what it says of itself."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor_lite.host import syscalls
from supervisor_lite.host.cgroups import Cgroups
from supervisor_lite.host.descendants import Descendants
from supervisor_lite.host.limit_mark import mark_of, marking, read_mark
from supervisor_lite.host.memory_usage import resident
from supervisor_lite.host.procfs import RUN_VARIABLE, Stat, own_children, read_stat
from supervisor_lite.host.run import Run, Trust
from tests.support import wait_until

ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not ROOT, reason="it takes another user")
NOBODY = 65534


@pytest.fixture(scope="module", autouse=True)
def subreaper() -> None:
    """Orphans come to us, as they come to the daemon."""
    syscalls.become_subreaper()


@pytest.fixture
def others() -> Iterator[set[int]]:
    """Return the children that there are before; kill and reap whatever a test has left."""
    before = set(own_children())
    yield before
    for _ in range(100):
        left = set(own_children()) - before
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        if not left:
            return


@pytest.fixture
def public() -> Iterator[Path]:
    """Return a directory to which everybody may write."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        yield Path(directory)


class Tree:
    """A run of the shell that notes the pids of those it starts."""

    def __init__(
        self,
        directory: Path,
        script: str,
        *,
        number: int = 1,
        uid: int | None = None,
        marked: bool = True,
    ) -> None:
        """`marked`: with a mark in its limits, too, as the daemon gives it."""
        self.notes = directory / f"notes-{number}"
        self.notes.touch()
        self.notes.chmod(0o666)
        note = f"echo $$ >>{self.notes}; exec sleep 100000"
        identity = f"abc:{number}"
        with marking(mark_of(identity) if marked else None):
            self.process = subprocess.Popen(
                ["sh", "-c", script.replace("NOTE", note)],
                env={**os.environ, RUN_VARIABLE: identity}, start_new_session=True, user=uid,
            )  # fmt: skip
        stat = read_stat(self.process.pid)
        assert stat is not None
        self.run = Run(number, f"abc:{number}", stat.pid, stat.start)

    def noted(self, count: int = 1) -> list[int]:
        wait_until(lambda: self.notes.read_text().count("\n") == count, what="they are noted")
        return [int(word) for word in self.notes.read_text().split()]

    def end(self) -> None:
        """End the main process; the run is told."""
        self.process.kill()
        self.process.wait()
        self.run.alive = False


def knowing(
    others: set[int], *trees: Tree, told: Callable[[Stat], None] = lambda _: None
) -> Descendants:
    """Return what knows these runs, without cgroups; `others` are children of the tests."""
    watched = others | {tree.process.pid for tree in trees}
    found = Descendants(Cgroups("off", "x", print), watched.__contains__, told)
    for tree in trees:
        found.add(tree.run)
    return found


def pids(descendants: Descendants, *trees: Tree, on_claim: bool = True) -> dict[int, set[int]]:
    found = descendants.members([tree.run for tree in trees], on_claim=on_claim)
    return {number: {stat.pid for stat in stats} for number, stats in found.items()}


@pytest.mark.parametrize(
    "escape",
    ["", "setsid ", "env -i ", "env -i setsid "],
)
@pytest.mark.parametrize("double", [False, True])
def test_one_answer_for_a_run_that_lives_and_one_that_is_over(
    tmp_path: Path, others: set[int], escape: str, *, double: bool
) -> None:
    """While it lives its main process is of it too; the child is, however it got away."""
    command = f"{escape}sh -c 'NOTE' &"
    tree = Tree(tmp_path, f"({command})\nexec sleep 9999" if double else f"{command}\nsleep 9999")
    descendants = knowing(others, tree)
    (member,) = tree.noted()
    root = tree.process.pid
    found = pids(descendants, tree)[1]
    assert {root, member} <= found
    assert pids(descendants, tree, on_claim=False)[1] == found
    tree.end()
    wait_until(lambda: pids(descendants, tree) in ({1: {member}}, {1: found - {root}}))
    assert member in pids(descendants, tree)[1]


NOTHING_LEFT = "env -i setsid sh -c 'NOTE' <&- >&- 2>&-"
"""Without identity, session and output."""


def test_nothing_is_concluded_from_there_being_one_run_only(
    tmp_path: Path, others: set[int]
) -> None:
    """An orphan that shows nothing may be a stranger: it is told, once, and left alone."""
    told: list[int] = []
    tree = Tree(tmp_path, f"({NOTHING_LEFT} &)\nexec sleep 9999", marked=False)
    descendants = knowing(others, tree, told=lambda stat: told.append(stat.pid))
    (member,) = tree.noted()
    wait_until(lambda: member in own_children(), what="it is an orphan")
    tree.end()
    assert pids(descendants, tree) == {}
    assert pids(descendants, tree, on_claim=False) == {}
    assert told == [member]


def test_who_was_there_before_the_signal_is_known_after_it(
    tmp_path: Path, others: set[int]
) -> None:
    """With nothing that shows it, and only as long as it is the same process."""
    tree = Tree(tmp_path, f"{NOTHING_LEFT} &\nsleep 9999", marked=False)
    descendants = knowing(others, tree)
    (member,) = tree.noted()
    descendants.remember(tree.run, group=False)
    tree.end()
    wait_until(lambda: member in own_children(), what="it is an orphan")
    assert member in pids(descendants, tree)[1]
    tree.run.seen[member] += 1  # its pid was given to somebody else
    assert member not in pids(descendants, tree).get(1, set())


def test_a_session_whose_number_was_given_out_again_proves_nothing(
    tmp_path: Path, others: set[int]
) -> None:
    """The pid of a main process that is gone belongs to somebody else, who has made a session."""
    told: list[int] = []
    stranger = Tree(tmp_path, "(env -i sh -c 'NOTE' <&- >&- 2>&- &)\nexec sleep 9999", marked=False)
    descendants = knowing(others, stranger, told=lambda stat: told.append(stat.pid))
    descendants.forget(stranger.run)
    (member,) = stranger.noted()
    wait_until(lambda: member in own_children(), what="it is an orphan")
    gone = Run(5, "abc:5", stranger.run.root, stranger.run.start - 1, alive=False)
    descendants.add(gone)
    assert descendants.members([gone]) == {}
    assert told == [member]
    stranger.end()


@pytest.mark.parametrize("uid", [None, pytest.param(NOBODY, marks=only_root)])
def test_the_mark_in_the_limits(public: Path, others: set[int], uid: int | None) -> None:
    """It says of which run a process is, whatever else it has shed; other users' too."""
    tree = Tree(public, f"({NOTHING_LEFT} &)\nexec sleep 9999", uid=uid, number=77)
    other = Tree(public, "exec sleep 9999", number=78)
    descendants = knowing(others, tree, other)
    (member,) = tree.noted()
    assert read_mark(member) == mark_of("abc:77")
    assert read_mark(os.getpid()) is None
    tree.end()
    wait_until(lambda: pids(descendants, tree) == {77: {member}})
    other.end()
    assert pids(descendants, other) == {}


NO_FIRST_THREAD = """
import ctypes, os, signal, sys, threading, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
threading.Thread(target=lambda: time.sleep(10000), daemon=True).start()
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n")
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_process_whose_first_thread_has_ended_is_alive(tmp_path: Path, others: set[int]) -> None:
    """It is shown as a zombie; its identity is read of another thread, and so is its memory."""
    code = tmp_path / "code.py"
    code.write_text(NO_FIRST_THREAD)
    notes = tmp_path / "notes-1"
    start = f"{sys.executable} {code} {notes}"
    tree = Tree(tmp_path, f"(setsid {start} &)\nexec sleep 9999", marked=False)
    descendants = knowing(others, tree)
    (member,) = tree.noted()

    def state() -> str:
        stat = read_stat(member)
        assert stat is not None
        return stat.state

    wait_until(lambda: state() == "Z", what="its first thread has ended")
    assert member in pids(descendants, tree)[1]
    tree.end()
    assert pids(descendants, tree) == {1: {member}}
    assert resident(descendants, [tree.run])[1] > 1_000_000
    os.kill(member, signal.SIGKILL)
    wait_until(lambda: pids(descendants, tree) == {})


def test_nobody_is_left(tmp_path: Path, others: set[int]) -> None:
    """A run without a child is not in the answer when it is over; others are not touched."""
    quiet, busy = Tree(tmp_path, "exec sleep 9999"), Tree(tmp_path, "exec sleep 9999", number=2)
    descendants = knowing(others, quiet, busy)
    quiet.end()
    assert pids(descendants, quiet, busy) == {2: {busy.process.pid}}
    descendants.forget(quiet.run)
    assert descendants.get(1) is None
    assert descendants.get(2) is busy.run
    busy.end()


@only_root
def test_a_lie_costs_nobody_but_the_liar(public: Path, others: set[int]) -> None:
    """An orphan of one user that says it is of another's run ends with that, and is not counted."""
    victim = Tree(public, "exec sleep 9999")
    lie = f"{RUN_VARIABLE}=abc:1 setsid sh -c 'NOTE' >/dev/null 2>&1"
    liar = Tree(public, f"({lie} &)\nexec sleep 9999", number=2, uid=NOBODY, marked=False)
    descendants = knowing(others, victim, liar)
    (member,) = liar.noted()
    wait_until(lambda: member in own_children(), what="it is an orphan")
    assert pids(descendants, victim, on_claim=False) == {1: {victim.process.pid}}
    assert pids(descendants, victim) == {1: {victim.process.pid, member}}
    victim.run.trust = Trust(frozenset({NOBODY}), frozenset())
    assert pids(descendants, victim, on_claim=False) == {1: {victim.process.pid, member}}
    victim.end()
    liar.end()


def test_a_run_of_an_earlier_daemon_is_searched_for(tmp_path: Path, others: set[int]) -> None:
    """Its orphans are somebody else's; believed is who is trusted, or is proved by the session."""
    code = (
        "import subprocess, sys, os\n"
        "from supervisor_lite.host import syscalls\n"
        "syscalls.become_subreaper()\n"
        "child = subprocess.Popen(['sh', '-c', sys.argv[1]], start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
        "import time; time.sleep(9999)\n"
    )
    notes = tmp_path / "notes"
    script = f"(setsid sh -c 'echo $$ >>{notes}; exec sleep 100000' &)\nexec sleep 9999"
    elsewhere = subprocess.Popen(
        [sys.executable, "-c", code, script], stdout=subprocess.PIPE, text=True,
        env={**os.environ, RUN_VARIABLE: "abc:7"},
    )  # fmt: skip
    assert elsewhere.stdout is not None
    root = int(elsewhere.stdout.readline())
    stat = read_stat(root)
    assert stat is not None
    run = Run(7, "abc:7", root, stat.start, adopted=True)
    wait_until(lambda: notes.exists() and notes.read_text().endswith("\n"))
    member = int(notes.read_text())
    watched = {root, elsewhere.pid}
    descendants = Descendants(Cgroups("off", "x", print), watched.__contains__, print)
    descendants.add(run)
    for trusted, expected in ((os.getuid(), {root, member}), (NOBODY - 1, {root})):
        run.trust = Trust(frozenset({trusted}), frozenset())
        found = descendants.members([run])[7]
        assert {stat.pid for stat in found} == expected
    os.kill(root, signal.SIGKILL)
    elsewhere.kill()
    elsewhere.wait()
    elsewhere.stdout.close()
