"""Whether the journal speaks of the boot and the pid namespace that we are in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from supervisor_lite.host.identity import identify, this_world
from supervisor_lite.model.run import RunRow
from supervisor_lite.model.world import World
from supervisor_lite.takeover.other_world import is_other_world

HERE = World("boot", 4026531836, 500)


@pytest.mark.parametrize(
    ("before", "other"),
    [
        (None, False),
        (HERE, False),
        (HERE._replace(boot="other"), True),
        (HERE._replace(namespace=1), True),
        (HERE._replace(began=499), True),
        (HERE._replace(namespace=0), False),
        (HERE._replace(began=0), False),
        (World.parse("boot 4026531836"), False),
        (World.parse("other 4026531836"), True),
        (World.parse(""), True),
        (World.parse("boot x y z"), False),
    ],
)
def test_what_is_known_of_both_has_to_be_the_same(before: World | None, other: bool) -> None:
    """What one of them does not know, as an earlier version did not, proves nothing."""
    assert is_other_world(before, HERE, []) is other


def test_a_world_is_read_as_it_was_written() -> None:
    assert World.parse(str(HERE)) == HERE


def test_a_run_that_is_older_than_everything_here_was_elsewhere() -> None:
    """Also where the journal is that of a version which did not tell when the namespace began."""
    old = HERE._replace(began=0)
    for start, other in ((499, True), (501, False), (None, False)):
        row = RunRow(1, "web", 0.0, pid=1 << 30, boot="boot", start=start, ended=3.0)
        assert is_other_world(old, HERE, [row]) is other
    assert not is_other_world(old, HERE, [row._replace(boot="other", start=1)])


@pytest.fixture
def alive() -> Iterator[RunRow]:
    with subprocess.Popen(["sleep", "1000"]) as child:
        pidfd = os.pidfd_open(child.pid)
        same = identify(child.pid, pidfd)
        os.close(pidfd)
        assert same is not None
        yield RunRow(1, "web", 0.0, child.pid, same.boot, same.start, same.inode)
        child.kill()


def test_a_run_that_is_alive_proves_where_we_are(alive: RunRow) -> None:
    """Whatever else looks different: nothing that runs is started a second time."""
    here = this_world()
    assert here.began >= 0
    assert not is_other_world(here, here, [alive])
    assert not is_other_world(here._replace(began=here.began + 7), here, [alive])
    assert not is_other_world(here._replace(namespace=7), here, [alive])
    assert is_other_world(here._replace(namespace=7), here, [alive._replace(ended=1.0)])
    assert is_other_world(here._replace(namespace=7), here, [alive._replace(start=1 << 40)])
