"""status, pid, version: what is printed, and the exit codes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from supervisor_lite.ctl.commands.status import KEYS
from tests.ctl.conftest import Serve, Slctl
from tests.ctl.fake import error, process, raw, result


def test_the_table_has_supervisors_columns(serve: Serve, slctl: Slctl) -> None:
    """Names are padded to 33 columns, states to 10; no line ends in blanks."""
    serve(
        status=result({
            "now": 100.5,
            "processes": [
                process("web"),
                process("web_0", "BACKOFF", group="site", reason="backoff 2 s, try 3 of 4: exit 1"),
                process("slow", "STARTING"),
            ],
        })
    )  # fmt: skip
    assert slctl("status") == (
        0,
        "web                              RUNNING   pid 123, uptime 0:00:02\n"
        "site:web_0                       BACKOFF   backoff 2 s, try 3 of 4: exit 1\n"
        "slow                             STARTING\n",
        "",
    )


def test_a_long_name_widens_the_column(serve: Serve, slctl: Slctl) -> None:
    """The state starts three blanks after the longest name."""
    name = "x" * 40
    serve(status=result({"now": 98, "processes": [process(name), process("b")]}))
    _, out, _ = slctl("status")
    assert [line.index("RUNNING") for line in out.splitlines()] == [43, 43]


@pytest.mark.parametrize(
    ("since", "words"),
    [(100.0, "0:00:00"), (0.0, "0:01:40"), (100 - 86400 - 7384, "1 day, 2:03:04"),
     (100 - 3 * 86400, "3 days, 0:00:00"), (200.0, "0:00:00")],
)  # fmt: skip
def test_uptime_reads_like_supervisors(
    serve: Serve, slctl: Slctl, since: float, words: str
) -> None:
    """Hours are not padded, days are spelled out, and time never runs backwards."""
    serve(status=result({"now": 100, "processes": [process("web", up_since=since)]}))
    assert slctl("status")[1].endswith(f"pid 123, uptime {words}\n")


@pytest.mark.parametrize(
    ("state", "code"),
    [("STOPPED", 3), ("EXITED", 3), ("FATAL", 3), ("UNKNOWN", 3),
     ("STARTING", 0), ("BACKOFF", 0), ("STOPPING", 0), ("RUNNING", 0)],
)  # fmt: skip
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_the_exit_code_says_whether_all_is_up(
    serve: Serve, slctl: Slctl, state: str, code: int, options: tuple[str, ...]
) -> None:
    """One process that is down is enough for a 3, with --json too."""
    serve(status=result({"now": 98, "processes": [process("web"), process("b", state)]}))
    assert slctl("status", *options)[0] == code


@pytest.mark.parametrize(
    ("state", "wanted", "failures", "code"),
    [("RUNNING", True, 0, 0), ("RUNNING", False, 0, 0), ("EXITED", False, 0, 0),
     ("STOPPED", False, 0, 0), ("STOPPING", False, 0, 0), ("FATAL", False, 4, 0),
     ("STARTING", True, 0, 0), ("STARTING", True, 2, 3), ("BACKOFF", True, 1, 3),
     ("FATAL", True, 4, 3), ("EXITED", True, 0, 3), ("STOPPING", True, 0, 3),
     ("STOPPED", True, 0, 3), ("WAITING", True, 0, 3)],
)  # fmt: skip
def test_health_is_whether_what_is_wanted_is_up(
    serve: Serve, slctl: Slctl, state: str, wanted: bool, failures: int, code: int
) -> None:
    """What nobody wants any more may be down; the first try of a start counts, no further one."""
    b = process("b", state, wanted=wanted, failures=failures, reason="so")
    serve(status=result({"now": 98, "processes": [process("web"), b]}))
    found, out, err = slctl("status", "--health")
    assert (found, err) == (code, "")
    if code:
        assert [line.split() for line in out.splitlines()] == [["b", state, "so"]]
    else:
        assert out == f"everything that is wanted is up: {1 + wanted} of 2\n"
    found, out, err = slctl("status", "--json", "--health", "web", "b")
    document = json.loads(out)
    assert (found, err, document["healthy"]) == (code, "", code == 0)
    assert document["not_up"] == (["b"] if code else [])
    assert [row["name"] for row in document["processes"]] == ["web", "b"]


def test_health_of_nothing_is_fine(serve: Serve, slctl: Slctl) -> None:
    serve(status=result({"now": 1, "processes": []}))
    assert slctl("status", "--health")[0] == 0
    code, out, _ = slctl("status", "--health", "--json")
    assert (code, json.loads(out)) == (0, {"healthy": True, "not_up": [], "processes": []})


def test_health_of_an_unknown_name_is_error_4(serve: Serve, slctl: Slctl) -> None:
    serve(status=error(4, "no such process", {"code": "no_such_process", "names": ["ghost"]}))
    assert slctl("status", "--health", "ghost") == (4, "", "ghost: ERROR (no such process)\n")


def test_json_has_every_documented_key_in_order(serve: Serve, slctl: Slctl) -> None:
    """`up_since` becomes `uptime`; keys that we do not know yet come last."""
    rows = [process("web", new=1), process("b", "STARTING", up_since=None)]
    serve(status=result({"now": 100.5, "processes": rows}))
    code, out, err = slctl("status", "--json")
    web, other = json.loads(out)["processes"]
    assert (code, err) == (0, "")
    assert (*web,) == (*KEYS, "new")
    assert (*other,) == KEYS
    assert (web["uptime"], other["uptime"], web["pid"], other["pid"]) == (2.5, None, 123, None)


def test_json_of_nothing_is_an_empty_list(serve: Serve, slctl: Slctl) -> None:
    serve(status=result({"now": 1, "processes": []}))
    assert slctl("status", "--json") == (0, '{"processes": []}\n', "")
    assert slctl("status") == (0, "", "")


def test_names_are_asked_for_at_once(serve: Serve, slctl: Slctl) -> None:
    """No names means no parameter; several make one request."""
    daemon = serve(status=result({"now": 98, "processes": [process("web")]}))
    slctl("status")
    slctl("status", "web", "site:*")
    assert daemon.asked == [("status", {}), ("status", {"names": ["web", "site:*"]})]


def test_slctl_alone_shows_the_status(serve: Serve, slctl: Slctl) -> None:
    serve(status=result({"now": 98, "processes": [process("web")]}))
    assert slctl()[1].startswith("web  ")


@pytest.mark.parametrize("data", [{"names": ["ghost"]}, ["nothing matches ghost"], None])
def test_an_unknown_name_is_error_4(
    serve: Serve, slctl: Slctl, data: dict[str, Any] | list[str] | None
) -> None:
    serve(status=error(4, "no such process: ghost", data))
    code, out, err = slctl("status", "ghost")
    assert (code, out, err.splitlines()[0]) == (4, "", "ghost: ERROR (no such process)")
    assert slctl("status", "--json", "ghost")[:2] == (4, '{"processes": []}\n')


def test_known_names_are_shown_beside_an_unknown_one(serve: Serve, slctl: Slctl) -> None:
    """As in Supervisor the table follows, but the exit code stays 4."""
    answers = iter([
        error(4, "?", {"code": "no_such_process", "names": ["wbe"]}),
        result({"now": 98, "processes": [process("web", "FATAL"), process("db", "RUNNING")]}),
        result({"now": 98, "processes": [process("web", "FATAL")]}),
    ])  # fmt: skip
    daemon = serve(status=lambda *args: next(answers)(*args))
    code, out, err = slctl("status", "web", "wbe")
    assert (code, err) == (4, 'wbe: ERROR (no such process); did you mean "web"?\n')
    assert out == "web                              FATAL\n"
    assert daemon.asked[2] == ("status", {"names": ["web"]})


def test_what_a_process_says_cannot_harm(serve: Serve, slctl: Slctl) -> None:
    """Escapes, newlines and bidirectional overrides are spelled out; other languages are not."""
    evil = process("a\x1b[2Jb\u202ec", "FATAL", reason="line\nFAKE  RUNNING \x9b\x7f grün 日本")
    serve(status=result({"now": 98, "processes": [evil]}))
    _, out, _ = slctl("status")
    assert out == (
        "a\\x1b[2Jb\\u202ec                 FATAL     line\\nFAKE  RUNNING \\x9b\\x7f grün 日本\n"
    )
    assert slctl("status", "--json")[1].isascii()


def test_a_lone_surrogate_is_printed(serve: Serve, slctl: Slctl) -> None:
    """JSON can carry what no encoding can; that must not be a traceback."""
    serve(
        status=raw(
            b'{"id":1,"result":{"now":1,"processes":'
            b'[{"fullname":"a\\ud800","state":"FATAL","reason":"\\udcff"}]}}\n'
        )
    )
    code, out, err = slctl("status")
    assert (code, err) == (3, "")
    assert out.split() == ["a\\ud800", "FATAL", "\\udcff"]


def test_pid_of_the_daemon_and_of_processes(serve: Serve, slctl: Slctl) -> None:
    daemon = serve(pid=result({"pid": 41, "pids": [{"pid": 42}, {"pid": 43}]}))
    assert slctl("pid") == (0, "41\n", "")
    assert slctl("pid", "web", "b") == (0, "42\n43\n", "")
    assert daemon.asked == [("pid", {}), ("pid", {"names": ["web", "b"]})]


def test_pid_of_what_does_not_run_is_no_line(serve: Serve, slctl: Slctl) -> None:
    """So that `kill $(slctl pid X)` never means this process group; `all` means those that run."""
    serve(pid=result({"pids": [{"pid": 42}, {"pid": None, "fullname": "b"}, {"pid": 0}]}))
    code, out, err = slctl("pid", "web", "b", "c")
    assert (code, out, err.splitlines()[0]) == (3, "42\n", "b: ERROR (not running)")
    assert slctl("pid", "all") == (0, "42\n", "")


def test_version_is_the_daemons(serve: Serve, slctl: Slctl) -> None:
    serve(version=result({"version": "9.8.7"}))
    assert slctl("version") == (0, "9.8.7\n", "")
