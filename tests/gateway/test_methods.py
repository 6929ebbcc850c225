"""What the daemon tells the gateway beyond what slctl asks: docs/protocol.md, "For the gateway"."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client import CallError
from tests.programs import exits, program, sh
from tests.support import Daemons, wait_until


def test_whom_somebody_speaks_for_is_noted_and_grants_nothing(daemons: Daemons) -> None:
    daemon = daemons(program("web", "sleep 100000", startsecs=0))
    with daemon.connect() as connection:
        connection.call("introduce", whom="alice over HTTP")
        connection.call("stop", names=["web"])
    by = daemon.call("events", limit=1)["changes"][0]["by"]
    assert by.endswith("for alice over HTTP: slctl stop web")
    assert by.startswith("uid ")
    for whom in ("", "x" * 81, "two\nlines"):
        with pytest.raises(CallError) as caught:
            daemon.call("introduce", whom=whom)
        assert caught.value.code == -32602


def test_definitions_tell_what_the_configuration_says(daemons: Daemons) -> None:
    daemon = daemons(
        program("web", ["sleep", "100 000"], numprocs=2, process_name="w%(process_num)d",
                stopsignal="HUP", redirect_stderr=True, autostart=False, startsecs=2.5)
        + "[group.site]\nprograms = ['web']\npriority = 7\n"
    )  # fmt: skip
    found = daemon.call("definitions")
    assert found["groups"] == ["site"]
    first, second = found["processes"]
    assert [first["fullname"], second["fullname"]] == ["site:w0", "site:w1"]
    assert first["command"] == "sleep '100 000'"
    assert (first["stopsignal"], first["stopsignal_number"]) == ("HUP", 1)
    assert (first["group_priority"], first["in_use"], first["startsecs"]) == (7, True, 2.5)
    assert first["stdout_logfile"].endswith("site.w0.stdout.log")
    assert first["stderr_logfile"] is None
    daemon.configure(program("other", "sleep 1"))
    daemon.call("reread")
    (other,) = daemon.call("definitions")["processes"]
    assert (other["fullname"], other["in_use"]) == ("other", False)


def test_trouble_tells_what_keeps_a_process_from_being_spawned(daemons: Daemons) -> None:
    command = "%(here)s/tool"
    daemon = daemons(
        program("gone", command, startretries=0) + program("plain", "/etc/passwd", autostart=False)
        + program("fails", exits(1), startretries=0) + program("fine", "sleep 1", autostart=False)
    )  # fmt: skip
    daemon.wait_state("gone", "FATAL")
    daemon.wait_state("fails", "FATAL")
    rows = daemon.call("trouble", names=["gone", "plain", "fails", "fine"])["processes"]
    assert [(row["command"], bool(row["error"])) for row in rows] == [
        ("not found", True), ("not executable", False), ("", False), ("", False)
    ]  # fmt: skip
    assert rows[0]["reason"] == rows[0]["error"] == f'cannot find the command "{daemon.dir}/tool"'
    Path(daemon.dir / "tool").write_text("#!/bin/sh\nexec sleep 100000\n")
    Path(daemon.dir / "tool").chmod(0o755)
    (row,) = daemon.call("trouble", names=["gone"])["processes"]
    assert (row["command"], bool(row["error"])) == ("", True)


def test_a_piece_of_a_log_by_offset_or_from_its_end(daemons: Daemons) -> None:
    daemon = daemons(program("web", sh("printf '0123456789\\377'; exec sleep 100000"), startsecs=0)
                     + program("silent", "sleep 100000", stdout_logfile="none"))  # fmt: skip

    def read(**where: object) -> object:
        return daemon.call("read_log", name="web", **where)["data"]

    wait_until(lambda: daemon.call("read_log", name="web", length=0)["size"] == 11)
    assert read(offset=2, length=3) == "234"
    assert read(offset=99) == ""
    assert daemon.call("read_log", name="web", offset=9)["encoding"] == "base64"
    assert daemon.call("read_log", name="web", last=2)["data"] == "Of8="
    for name, said in (("silent", "no log file"), ("nope", "nope")):
        with pytest.raises(CallError, match=said):
            daemon.call("read_log", name=name)
    with pytest.raises(CallError, match="must be a whole number"):
        daemon.call("read_log", name="web", offset=-1)


def test_the_daemons_own_log_is_read_and_cleared(daemons: Daemons) -> None:
    daemon = daemons()
    assert "started" in daemon.call("read_main_log", last=4000)["data"]
    assert daemon.call("clear_main_log") == {"ok": True}
    (line,) = daemon.call("read_main_log")["data"].splitlines()  # who did that is all it says
    assert "the log before this line was cleared" in line
    assert "slctl clear_main_log" in line


def test_an_event_from_outside_is_taken(daemons: Daemons) -> None:
    assert daemons().call("remote_event", type="deploy", data="v2") == {"ok": True}
