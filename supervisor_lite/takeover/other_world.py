"""Is what the journal says about this boot and this pid namespace, or about one that is gone?

After a reboot, or in a container that is started again, no pid in it means anything, and nothing
of the last time is to be gone on with: what had ended starts again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from supervisor_lite.host.identity import Identity, open_same
from supervisor_lite.model.run import RunRow
from supervisor_lite.model.world import World


def is_other_world(before: World | None, here: World, known: Iterable[RunRow]) -> bool:
    """Was the last daemon somewhere else than we are? `known`: the open runs, and the latest.

    A run of it that is alive proves that it was here, whatever else may look different. So does
    nothing else: a run that is older than all processes of this namespace was somewhere else.
    """
    if before is None:
        return False
    if before.boot != here.boot:
        return True
    runs = [row for row in known if row.boot == here.boot]
    if any(_is_alive(row) for row in runs if row.ended is None):
        return False
    older = any(row.start is not None and row.start < here.began for row in runs)
    return older or not before.may_be(here)


def _is_alive(row: RunRow) -> bool:
    if row.pid is None or row.boot is None or row.start is None:
        return False
    pidfd = open_same(Identity(row.pid, row.boot, row.start, row.inode or 0))
    if pidfd is not None:
        os.close(pidfd)
    return pidfd is not None
