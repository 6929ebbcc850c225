"""events, why, runs, explain."""

from __future__ import annotations

import json
from typing import Any

from tests.ctl.conftest import Serve, Slctl
from tests.ctl.fake import Connection, Params, result

CHANGE: Params = {
    "serial": 41, "time": "2025-11-21T10:42:07Z", "name": "site:web", "process": "web",
    "group": "site", "from": "RUNNING", "to": "STOPPING", "cause": "stop", "pid": 7, "run": 3,
    "by": "uid 1000 (deploy)", "exitcode": None, "signal": None, "expected": None, "tries": 0,
    "last_words": "",
}  # fmt: skip
FAILED: Params = {
    **CHANGE, "serial": 42, "to": "FATAL", "from": "BACKOFF", "cause": "exit 1", "by": "",
    "pid": None, "last_words": "Traceback\nValueError: \x1b[2J\n",
}  # fmt: skip


def test_events_in_words(serve: Serve, slctl: Slctl) -> None:
    """The serial comes first, for --since; last words are indented and harmless."""
    serve(events=result({"changes": [CHANGE, FAILED]}))
    assert slctl("events") == (
        0,
        "41  2025-11-21T10:42:07+00:00  site:web: RUNNING -> STOPPING: stop (pid 7)"
        " by uid 1000 (deploy)\n"
        "42  2025-11-21T10:42:07+00:00  site:web: BACKOFF -> FATAL: exit 1\n"
        "    | Traceback\n    | ValueError: \\x1b[2J\n",
        "",
    )


def test_events_as_json_is_one_object_a_line(serve: Serve, slctl: Slctl) -> None:
    daemon = serve(events=result({"changes": [CHANGE, FAILED]}))
    code, out, _ = slctl("events", "--json", "--since", "40", "-n", "2")
    assert (code, [json.loads(line) for line in out.splitlines()]) == (0, [CHANGE, FAILED])
    assert daemon.asked == [("events", {"since": 40, "limit": 2})]


def test_events_go_on_until_the_end(serve: Serve, slctl: Slctl) -> None:
    daemon = serve(
        events=result(
            {"changes": [], "serial": 40, "subscription": 1},
            ("change", {"change": CHANGE}),
            ("end", {"reason": "the daemon is going down"}),
        )
    )
    code, out, err = slctl("events", "-f")
    assert (code, out[:4], err) == (0, "41  ", "[the daemon is going down]\n")
    following = ("events", {"limit": 0, "follow": True, "since": 0})
    assert daemon.asked == [("events", {}), following]


def test_more_events_and_runs_than_fit_into_an_answer(serve: Serve, slctl: Slctl) -> None:
    """They are asked for a thousand at a time: backwards, or from a number on."""

    def events(connection: Connection, number: Any, params: Params) -> None:
        last, limit = 2500, params.get("limit", 1000)
        if "since" in params:
            serials = range(params["since"] + 1, min(last, params["since"] + limit) + 1)
        else:
            before = params.get("before", last + 1)
            serials = range(max(1, before - limit), before)
        changes = [{**CHANGE, "serial": serial} for serial in serials]
        connection.send({"id": number, "result": {"changes": changes, "serial": last}})

    def runs(connection: Connection, number: Any, params: Params) -> None:
        before = params.get("before", 2501)
        rows = [{"run": n, "name": "web"} for n in range(before - 1, 0, -1)][: params["limit"]]
        connection.send({"id": number, "result": {"runs": rows}})

    def numbers(text: str) -> list[int]:
        return [json.loads(line)["serial"] for line in text.splitlines()]

    serve(events=events, runs=runs)
    assert numbers(slctl("events", "--json", "-n", "2200")[1]) == list(range(301, 2501))
    assert numbers(slctl("events", "--json", "-n", "9999")[1]) == list(range(1, 2501))
    assert numbers(slctl("events", "--json", "--since", "7")[1]) == list(range(8, 2501))
    assert numbers(slctl("events", "--json", "--since", "7", "-n", "1200")[1]) == list(
        range(8, 1208)
    )
    rows = json.loads(slctl("runs", "--json", "-n", "2400")[1])["runs"]
    assert [row["run"] for row in rows] == list(range(2500, 100, -1))


def test_why_of_one_and_of_several(serve: Serve, slctl: Slctl) -> None:
    """One needs no heading."""
    one: Params = {"fullname": "web", "lines": ["up since 10:00", "run 41 ended"]}
    serve(why=result({"processes": [one]}), explain=result({"processes": [one, one]}))
    assert slctl("why", "web") == (0, "up since 10:00\nrun 41 ended\n", "")
    text = "web\n  up since 10:00\n  run 41 ended\n"
    assert slctl("explain", "web", "web") == (0, text * 2, "")
    assert slctl("why")[0] == slctl("explain")[0] == 2


def test_explain_prints_the_schedule(serve: Serve, slctl: Slctl) -> None:
    steps = [{"at": 0, "what": "spawn"}, {"at": 12.25, "what": "FATAL"}]
    row: Params = {"fullname": "web", "lines": ["linear backoff"], "schedule": steps}
    serve(explain=result({"processes": [row]}))
    assert slctl("explain", "web") == (
        0,
        "linear backoff\n  at  0.0 s  spawn\n  at 12.2 s  FATAL\n",
        "",
    )


def test_runs(serve: Serve, slctl: Slctl) -> None:
    """The run that lives, one that exited, one killed, and one of which little is known."""
    base: Params = {
        "name": "web", "pid": 9, "spawned": "T", "ended": "U", "exitcode": None, "signal": None,
        "duration": 7384.0, "reason": "", "maxrss": 12 << 20, "utime": 1.0, "stime": 0.5,
    }  # fmt: skip
    rows: list[Params] = [
        {**base, "run": 4, "ended": None, "duration": 4.25, "maxrss": None, "utime": None,
         "stime": None},
        {**base, "run": 3, "exitcode": 1, "reason": "unexpected"},
        {**base, "run": 2, "signal": "SEGV"},
        {**base, "run": 1, "duration": None},
    ]  # fmt: skip
    daemon = serve(runs=result({"runs": rows}))
    assert slctl("runs", "web", "-n", "4") == (
        0,
        "RUN  NAME  PID  SPAWNED  DURATION  CPU    MEMORY   END\n"
        "4    web   9    T        4.2 s     -      -        still running\n"
        "3    web   9    T        2 h 3 m   1.5 s  12.0 MB  exit 1: unexpected\n"
        "2    web   9    T        2 h 3 m   1.5 s  12.0 MB  SIGSEGV\n"
        "1    web   9    T        -         1.5 s  12.0 MB  unknown\n",
        "",
    )
    assert daemon.asked == [("runs", {"names": ["web"], "limit": 4})]
    assert json.loads(slctl("runs", "--json")[1]) == {"runs": rows}


def test_no_runs(serve: Serve, slctl: Slctl) -> None:
    serve(runs=result({"runs": []}))
    assert slctl("runs") == (0, "", "")
