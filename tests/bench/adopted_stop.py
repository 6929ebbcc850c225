"""How long a stop of many processes takes, fresh and adopted: python -m tests.bench.adopted_stop N.

Prints the seconds of `stop all` by the daemon that has spawned them, and by one that has taken
them over after a `kill -9`.
"""

from __future__ import annotations

import sys
import time

from tests.chaos.tools import crash
from tests.programs import SLEEPER, program
from tests.support import Daemons, wait_until


def measure(count: int, *, adopted: bool) -> float:
    """Return the seconds that `stop all` takes."""
    daemons = Daemons()
    options = {"numprocs": count, "process_name": "%(process_num)d", "startsecs": 0}
    try:
        daemon = daemons(program("many", SLEEPER, stdout_logfile="none", **options))
        wait_until(lambda: set(daemon.states().values()) == {"RUNNING"}, 300)
        if adopted:
            crash(daemon)
        began = time.monotonic()
        with daemon.connect(300.0) as connection:
            connection.call("stop", names=["all"])
        return time.monotonic() - began
    finally:
        daemons.close()


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    print(f"{number} fresh: {measure(number, adopted=False):.2f} s")
    print(f"{number} adopted: {measure(number, adopted=True):.2f} s")
