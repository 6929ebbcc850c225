"""start, stop, restart, signal, clear, add, remove."""

from __future__ import annotations

import pytest

from tests.ctl.conftest import Serve, Slctl
from tests.ctl.fake import Params, done, error, failed, hang_up, result


@pytest.mark.parametrize(
    ("verb", "word"),
    [("start", "started"), ("start", "already started"), ("stop", "stopped"),
     ("stop", "not running"), ("restart", "restarted"), ("clear", "cleared")],
)  # fmt: skip
def test_one_request_for_all_names(serve: Serve, slctl: Slctl, verb: str, word: str) -> None:
    daemon = serve(**{verb: result({"results": [done("web", word), done("b", word)]})})
    assert slctl(verb, "web", "b") == (0, f"web: {word}\nb: {word}\n", "")
    assert daemon.asked == [(verb, {"names": ["web", "b"]})]


@pytest.mark.parametrize(
    ("row", "code", "text"),
    [
        (failed("b", "failed", "exit 1"), 1, "exit 1"),
        (failed("b", "failed"), 1, "failed"),
        (failed("b", "not running"), 1, "not running"),
        (failed("b", "aborted", "stopped by uid 0"), 1, "aborted: stopped by uid 0"),
        (failed("b", "timeout", "still STARTING"), 7, "timeout: still STARTING"),
        (failed("b", "timeout", "timeout after 3 s"), 7, "timeout after 3 s"),
    ],
)
def test_failures_go_to_stderr(
    serve: Serve, slctl: Slctl, row: Params, code: int, text: str
) -> None:
    """What worked is on stdout, what did not is on stderr with its reason."""
    serve(start=result({"results": [done("web", "started"), row]}))
    assert slctl("start", "web", "b") == (code, "web: started\n", f"b: ERROR ({text})\n")


def test_a_timeout_is_known_by_its_code(serve: Serve, slctl: Slctl) -> None:
    """Whatever the words are."""
    late = done("a", "not yet", ok=False, reason="still STARTING", code="timed_out")
    serve(start=result({"results": [late]}))
    assert slctl("start", "a") == (7, "", "a: ERROR (not yet: still STARTING)\n")


@pytest.mark.parametrize(
    ("verb", "answer", "said"),
    [
        ("stop", {"unchanged": 2}, "nothing to stop: no process is up"),
        ("start", {"unchanged": 1}, "nothing to start: every process is up already"),
        ("restart", {"unchanged": 0}, "nothing to restart: there is no process"),
        ("stop", {}, "nothing to stop"),  # a daemon that does not say
        (
            "restart",
            {"unchanged": 0, "left_out": [{"fullname": "web", "why": "caller"}]},
            "web was left out: slctl runs inside it; `slctl restart web` means it\n"
            "slctl: nothing else to restart: there is no other process",
        ),
        (
            "stop",
            {"unchanged": 1, "left_out": [{"fullname": "x", "why": "new"}]},
            "x was left out: new; `slctl stop x` means it\n"
            "slctl: nothing else to stop: no process is up",
        ),
    ],
)
def test_nothing_to_do_is_said(
    serve: Serve, slctl: Slctl, verb: str, answer: Params, said: str
) -> None:
    serve(**{verb: result({"results": [], **answer})})
    assert slctl(verb, "all") == (0, "", f"slctl: {said}\n")


def test_a_stop_that_took_sigkill_says_so(serve: Serve, slctl: Slctl) -> None:
    rows = [done(name, "stopped", killed_after=after)
            for name, after in (("a", 10), ("b", 0.0), ("c", None))]  # fmt: skip
    serve(stop=result({"results": rows}))
    said = "a: stopped (killed after 10 s)\nb: stopped (killed)\nc: stopped\n"
    assert slctl("stop", "a", "b", "c") == (0, said, "")


def test_a_failure_outweighs_a_timeout(serve: Serve, slctl: Slctl) -> None:
    serve(stop=result({"results": [failed("a", "timeout"), failed("b", "failed")]}))
    assert slctl("stop", "all")[0] == 1


@pytest.mark.parametrize(
    ("words", "params"),
    [
        (["--no-wait", "web"], {"wait": False}),
        (["web", "--timeout", "2.5"], {"timeout": 2.5}),
        (["--timeout=1m30s", "web"], {"timeout": 90.0}),
        (["--at-once", "web"], {"at_once": True}),
    ],
)
def test_options_reach_the_daemon(
    serve: Serve, slctl: Slctl, words: list[str], params: Params
) -> None:
    daemon = serve(restart=result({"results": [done("web", "restarted")]}))
    assert slctl("restart", *words) == (0, "web: restarted\n", "")
    assert daemon.asked == [("restart", {"names": ["web"], **params})]


@pytest.mark.parametrize(
    ("code", "message", "text"),
    [
        (1, "cannot start", "slctl: cannot start\n"),
        (4, "no such process", "web: ERROR (no such process)\n"),
        (5, "uid 7 may not start web", "slctl: uid 7 may not start web\n"),
        (7, "timeout after 3 s", "slctl: timeout after 3 s\n"),
    ],
)
def test_a_refusal_is_the_exit_code(
    serve: Serve, slctl: Slctl, code: int, message: str, text: str
) -> None:
    serve(start=error(code, message))
    assert slctl("start", "web") == (code, "", text)


def test_a_daemon_from_before_error_codes_names_them_in_its_message(
    serve: Serve, slctl: Slctl
) -> None:
    serve(stop=error(4, "no such process: x, y"))
    assert slctl("stop", "web", "x", "y") == (4, "", "slctl: no such process: x, y\n")


UNKNOWN = {"code": "no_such_process", "names": ["x", "y"]}


def test_only_the_unknown_ones_of_many_are_named(serve: Serve, slctl: Slctl) -> None:
    serve(stop=error(4, "x, y", {**UNKNOWN, "details": ["did you mean web?"]}))
    assert slctl("stop", "web", "x", "y") == (
        4,
        "",
        "x: ERROR (no such process)\ny: ERROR (no such process)\n  did you mean web?\n",
    )


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "clear", "add", "remove"])
def test_a_name_is_needed(serve: Serve, slctl: Slctl, verb: str) -> None:
    """`slctl stop` alone must never mean all."""
    daemon = serve()
    code, out, err = slctl(verb)
    assert (code, out, daemon.asked) == (2, "", [])
    assert err.startswith(f"slctl: {verb}: ")
    assert f"usage: slctl {verb} " in err


def test_signal(serve: Serve, slctl: Slctl) -> None:
    daemon = serve(signal=result({"results": [done("web", "signalled")]}))
    assert slctl("signal", "HUP", "web") == (0, "web: signalled\n", "")
    assert daemon.asked == [("signal", {"signal": "HUP", "names": ["web"]})]
    assert slctl("signal", "HUP")[0] == 2


def test_groups_are_added_and_removed(serve: Serve, slctl: Slctl) -> None:
    """Supervisor's words; an unknown one is called a group."""
    serve(
        add=result({"results": [done("web", "added")]}),
        remove=result({"results": [done("web", "removed"), failed("b", "failed", "b is up")]}),
        update=error(4, "?", {"code": "no_such_group", "names": ["ghost"]}),
    )
    assert slctl("add", "web") == (0, "web: added process group\n", "")
    assert slctl("remove", "web", "b") == (
        1,
        "web: removed process group\n",
        "b: ERROR (b is up)\n",
    )
    assert slctl("update", "ghost") == (4, "", "ghost: ERROR (no such group)\n")


def test_a_connection_lost_on_the_way(serve: Serve, slctl: Slctl) -> None:
    """Nobody knows whether it happened, and the message says so."""
    serve(restart=hang_up, status=hang_up)
    code, out, err = slctl("restart", "web")
    assert (code, out) == (7, "")
    assert "hung up before it answered" in err
    assert "whether the restart was carried out is not known" in err
    code, _, err = slctl("status")
    assert code == 7
    assert "not known" not in err
