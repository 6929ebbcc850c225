"""What is said on a terminal while a command waits."""

from __future__ import annotations

import os
import pty
import time

from supervisor_lite.ctl.sign_of_life import waited_for
from tests.ctl.conftest import Serve, Slctl
from tests.ctl.fake import Connection, Params, done, process, result


def test_it_names_what_is_on_its_way() -> None:
    rows = [process("web", "STOPPING", reason="TERM sent"), process("db"), process("x", "STARTING")]
    assert waited_for(rows) == "slctl: waiting: web is STOPPING (TERM sent), x is STARTING"
    many = waited_for([process(f"p{n}", "BACKOFF") for n in range(5)])
    assert many.endswith("p2 is BACKOFF, 2 others")
    assert waited_for([process("db")]) == "slctl: waiting: the daemon is at work"


def test_it_is_shown_on_a_terminal_until_the_answer_comes(serve: Serve, slctl: Slctl) -> None:
    """The answer waits until it was asked for: once it is known what is waited for."""

    def stop(connection: Connection, number: object, params: Params) -> None:
        while not any(method == "status" for method, _ in daemon.asked):
            time.sleep(0.01)
        connection.send({"id": number, "result": {"results": [done("web", "stopped")]}})

    daemon = serve(
        stop=stop, status=result({"processes": [process("web", "STOPPING", reason="TERM sent")]})
    )
    ours, theirs = pty.openpty()
    client = slctl.spawn("stop", "web", stderr=theirs)
    assert client.communicate(timeout=30)[0] == b"web: stopped\n"
    os.close(theirs)
    said = os.read(ours, 4096).decode()
    os.close(ours)
    line = "slctl: waiting: web is STOPPING (TERM sent)"
    assert said == f"\r{line}\r{' ' * len(line)}\r"
    assert daemon.asked[-1] == ("status", {"names": ["web"]})
