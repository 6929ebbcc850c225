"""What the journal costs a spawn: `python -m tests.bench.journal_cost`.

The intent of a run and who it became, in turns of 16 as the daemon writes them, beside the spawn
itself: `posix_spawn` of a program that ends at once, until it is reaped. Medians, in this run.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

from supervisor_lite.core.spawn_queue import MAX_BATCH
from supervisor_lite.store.journal import Journal, open_journal

ROUNDS = 60


def timed(act: Callable[[], None]) -> float:
    """Return the microseconds for each of the `MAX_BATCH` runs that `act` is about."""
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) / MAX_BATCH * 1e6


def turn(journal: Journal) -> None:
    """Write what a turn of spawns has written: intents before, identities after."""
    for run in journal.reserve_runs([f"p{number}" for number in range(MAX_BATCH)]):
        journal.record_spawn(run, run, "3f0c9d3e-boot-id-of-the-usual-length", 123456, 123456789)
    journal.commit()


def spawns() -> None:
    """Spawn as many, one after another."""
    for _ in range(MAX_BATCH):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], os.environ), 0)


def main() -> int:
    """Measure, and print a line; exit 1 if it is more than the twentieth part of a spawn."""
    directory = tempfile.mkdtemp(prefix="sl-journal-")
    journal = open_journal(os.path.join(directory, "journal.db"), print)
    try:
        written, spawned = [], []
        for _ in range(ROUNDS):
            written.append(timed(lambda: turn(journal)))
            spawned.append(timed(spawns))
    finally:
        journal.close()
        shutil.rmtree(directory)
    journal_us, spawn_us = statistics.median(written), statistics.median(spawned)
    share = journal_us / spawn_us
    print(f"journal {journal_us:.0f} us, spawn {spawn_us:.0f} us: {share:.1%} of it (goal: 5 %)")
    return 0 if share <= 0.05 else 1


if __name__ == "__main__":
    sys.exit(main())
