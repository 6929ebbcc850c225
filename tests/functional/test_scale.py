"""Many processes at once."""

from __future__ import annotations

import resource

import pytest

from tests.programs import SLEEPER, program
from tests.support import Daemons, wait_until


@pytest.mark.slow
def test_five_hundred_programs_with_a_soft_limit_of_1024(daemons: Daemons) -> None:
    """The daemon raises its own limit; the programs start, and all of them stop."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip(f"the hard limit of open files is {hard}")
    daemon = daemons(
        program("many", SLEEPER, numprocs=500, process_name="%(program_name)s_%(process_num)03d"),
        nofile=1024,
    )

    def up() -> bool:
        return set(daemon.states().values()) == {"RUNNING"}

    wait_until(up, limit=60, what="500 processes are RUNNING")
    assert len(daemon.states()) == 500
    assert len(daemon.marked()) == 501
    assert daemon.call("pid", names=["many:many_499"])["pids"][0]["pid"] in daemon.marked()
    daemon.ctl("restart", "many:many_00*")
    assert len(daemon.marked()) == 501
    daemon.ctl("stop", "all")
    assert daemon.marked() == [daemon.pid]
