"""Limits, leftovers and their end, on directories that look like cgroups.

What needs the kernel is in tests/functional/test_cgroups.py.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervisor_lite.host import cgroup
from supervisor_lite.host.cgroup import OomKill
from supervisor_lite.host.cgroups import Cgroups, open_cgroups
from supervisor_lite.host.delegation import Base
from supervisor_lite.model.program import Program

FILES = ("cgroup.procs", "cgroup.kill", "memory.max", "memory.high", "cpu.max", "pids.max")


def cgroup_like(place: Path, *, controllers: str = "cpu memory pids", enabled: str = "") -> Path:
    """Make a directory that looks like a cgroup in which nobody lives."""
    place.mkdir(parents=True)
    for name in FILES:
        (place / name).write_text("")
    (place / "cgroup.events").write_text("populated 0\nfrozen 0\n")
    (place / "cgroup.controllers").write_text(f"{controllers}\n")
    (place / "cgroup.subtree_control").write_text(enabled)
    return place


class Place:
    """The cgroups of a daemon in a made-up hierarchy."""

    def __init__(self, directory: Path, **options: str) -> None:
        self.path = cgroup_like(directory / "base", **options)
        self.own = cgroup_like(self.path / "supervisor-lite-abc", **options)
        self.said: list[str] = []

    def cgroups(self, *, unlimited: str = "", leave: bool = False) -> Cgroups:
        """Return them anew."""
        base = Base(str(self.path), str(self.path), unlimited, leave)
        return Cgroups(base, "abc", self.said.append)

    def run(self, number: int) -> Path:
        """Make what the kernel would: it fills a directory with files."""
        return cgroup_like(self.own / f"run-{number}")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, enabled="cpu memory pids")


def limited(name: str = "web", **limits: int | str) -> Program:
    return Program(name=name, command=("true",), **limits)  # type: ignore[arg-type]


def test_every_limit_is_written(place: Place) -> None:
    """In the kernel's words; what is not set stays as it is."""
    run = place.run(7)
    program = limited(memory_max=64 << 20, cpu_max="150000 100000", pids_max=20)
    cgroups = place.cgroups()
    assert cgroups.make(7, program) == str(run)
    assert (run / "cpu.max").read_text() == "", "its exec is not to be slowed down"
    cgroups.limits.apply_after_exec(str(run), program)
    written = {name: (run / name).read_text() for name in FILES}
    assert written == {
        "cgroup.procs": "", "cgroup.kill": "", "memory.max": "67108864", "memory.high": "",
        "cpu.max": "150000 100000", "pids.max": "20",
    }  # fmt: skip
    assert place.said == []


def test_controllers_are_enabled_where_they_are_not(tmp_path: Path) -> None:
    """On both levels above the run."""
    place = Place(tmp_path, enabled="cpu")
    place.run(1)
    cgroups, program = place.cgroups(), limited(memory_high=1 << 20)
    path = cgroups.make(1, program)
    assert path is not None
    cgroups.limits.apply_after_exec(path, program)
    for above in (place.path, place.own):
        assert (above / "cgroup.subtree_control").read_text() == "+memory"
    assert (place.own / "run-1/memory.high").read_text() == "1048576"
    assert not (place.path / "supervisor").exists()


def test_the_daemon_steps_aside(tmp_path: Path) -> None:
    """Where it is in the cgroup that it divides; before the controller is enabled."""
    place = Place(tmp_path)
    leaf = cgroup_like(place.path / "supervisor")
    place.run(1)
    place.cgroups(leave=True).make(1, limited(pids_max=5))
    assert (leaf / "cgroup.procs").read_text() == "0"
    assert (place.path / "cgroup.subtree_control").read_text() == "+pids"


def test_what_cannot_be_applied_is_told_once(tmp_path: Path) -> None:
    """With program, key and reason; the run has a cgroup all the same."""
    place = Place(tmp_path, controllers="cpu", enabled="cpu")
    cgroups = place.cgroups()
    for number in (1, 2):
        place.run(number)
        program = limited(memory_max=1, memory_high=2, cpu_max="1000 1000")
        path = cgroups.make(number, program)
        assert path is not None
        cgroups.limits.apply_after_exec(path, program)
    reason = f'the controller "memory" is not available in {place.path}'
    assert place.said == [
        f"web: memory_max is not applied: {reason}",
        f"web: memory_high is not applied: {reason}",
    ]
    assert (place.own / "run-2/cpu.max").read_text() == "1000 1000"


def test_a_limit_that_the_kernel_does_not_take(place: Place) -> None:
    """The file that it went to is named."""
    run = place.run(1)
    (run / "pids.max").unlink()
    assert place.cgroups().make(1, limited(pids_max=5)) == str(run)
    assert place.said == [
        f"web: pids_max is not applied: {run}/pids.max: No such file or directory"
    ]


@pytest.mark.parametrize("why", ["started there", ""])
def test_no_controller_where_the_next_daemon_could_not_start(tmp_path: Path, why: str) -> None:
    """Nothing is enabled then, and the reason is told."""
    place = Place(tmp_path)
    place.run(1)
    place.cgroups(unlimited=why).make(1, limited(memory_max=1))
    enabled = (place.path / "cgroup.subtree_control").read_text()
    assert enabled == ("" if why else "+memory")
    assert place.said == ([f"web: memory_max is not applied: {why}"] if why else [])


def test_without_cgroups_limits_are_told(tmp_path: Path) -> None:
    """With the reason why there are none; nothing is made, found or removed."""
    said: list[str] = []
    cgroups = Cgroups("the daemon is in the root cgroup", "abc", said.append)
    for number in (1, 2):
        assert cgroups.make(number, limited(memory_max=1)) is None
    assert said == ["web: memory_max is not applied: no cgroups: the daemon is in the root cgroup"]
    assert (cgroups.find(1), cgroups.numbers(), cgroups.directory) == (None, [], None)
    assert cgroups.holds(os.getpid()) is False
    cgroups.close()


def test_those_of_others_are_not_ours(place: Place) -> None:
    """Found are the runs in our own directory; what else is there has no number."""
    place.run(3)
    place.run(12)
    cgroup_like(place.own / "run-x")
    cgroup_like(place.path / "supervisor-lite-def/run-4")
    cgroups = place.cgroups()
    assert cgroups.numbers() == [3, 12]
    assert cgroups.find(12) == f"{place.own}/run-12"
    assert cgroups.find(4) is None


def test_who_lives_in_it(place: Place) -> None:
    """Also below it; not who is dead, in another pid namespace, or ourselves."""
    run = place.run(1)
    inner = cgroup_like(run / "inner")
    (run / "cgroup.procs").write_text(f"0\n{os.getpid()}\n4194305\n")
    (inner / "cgroup.procs").write_text(f"{os.getppid()}\n")
    assert [stat.pid for stat in cgroup.members(str(run))] == [os.getppid()]
    assert [stat.pid for stat in place.cgroups().left(str(run))] == [os.getppid()]


def test_one_in_which_somebody_lives_is_not_used_again(place: Place) -> None:
    """A run of another daemon with a copy of our state directory, for example."""
    run = place.run(1)
    (run / "cgroup.events").write_text("populated 1\n")
    (run / "cgroup.procs").write_text(f"{os.getppid()}\n")
    assert place.cgroups().make(1, limited()) is None
    assert place.said == [f'cannot make the cgroup "{run}": File exists']


def test_the_kernel_kills_all_at_once(place: Place) -> None:
    """Unless it is too old for that."""
    run = place.run(1)
    assert cgroup.kill(str(run))
    assert (run / "cgroup.kill").read_text() == "1"
    (run / "cgroup.kill").unlink()
    assert not cgroup.kill(str(run))
    assert not (run / "cgroup.kill").exists()


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("low 0\nhigh 3\nmax 9\noom 1\noom_kill 2\noom_group_kill 1\n", OomKill(2, own=True)),
        ("max 9\noom 0\noom_kill 1\n", OomKill(1)),
        ("oom_kill 1\n", OomKill(1)),
        ("oom 1\noom_kill 0\n", OomKill(0, own=True)),
        ("oom_kill many\n", OomKill()),
        (None, OomKill()),
    ],
)
def test_kills_for_want_of_memory(place: Place, text: str | None, short: OomKill) -> None:
    """Counted by the kernel where the controller is enabled; `oom` only for a limit in here."""
    run = place.run(1)
    if text is not None:
        (run / "memory.events").write_text(text)
    assert cgroup.oom_kills(str(run)) == short


def test_a_place_of_version_1_is_refused(tmp_path: Path) -> None:
    """It has processes, too, but no controllers; nothing is made there."""
    (tmp_path / "cgroup.procs").write_text("")
    said: list[str] = []
    cgroups = open_cgroups(str(tmp_path), "abc", said.append)
    assert cgroups.directory is None
    assert len(said) == 1
    assert said[0].startswith(f'cgroups = "{tmp_path}" cannot be used: ')
    assert [path.name for path in tmp_path.iterdir()] == ["cgroup.procs"]
