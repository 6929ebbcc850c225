"""`slctl shutdown --leave-running` leaves everything running, whatever else comes meanwhile."""

from __future__ import annotations

import signal

from tests.programs import SLEEPER, program
from tests.support import Daemons, alive, wait_until


def test_a_signal_while_it_leaves_stops_nothing(daemons: Daemons) -> None:
    """systemd sends SIGTERM as soon as ExecStop has returned; that is not a second wish."""
    daemon = daemons(program("web", SLEEPER, startsecs=0), survivors=True)
    web = daemon.wait_state("web", "RUNNING")["pid"]
    # A client that does not hang up keeps the daemon there until it has waited long enough.
    with daemon.connect() as idle:
        idle.call("version")
        client = daemon.spawn_ctl("shutdown", "--leave-running")
        wait_until(lambda: not daemon.answers(), what="the daemon is leaving")
        daemon.signal(signal.SIGTERM)
        client.communicate(timeout=30)
        assert daemon.wait_exit() == 0
    assert alive(web)
    daemon.start()
    assert daemon.status("web")["pid"] == web
