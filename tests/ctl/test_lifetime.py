"""reload, shutdown, upgrade: done when it is true."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from supervisor_lite.ctl.commands import daemon
from tests.ctl.conftest import Serve, Slctl
from tests.ctl.fake import Answer, Connection, Params, error, hang_up, result


def reply_and_hang_up(connection: Connection, number: Any, params: Params) -> None:
    connection.send({"id": number, "result": {"ok": True}})
    connection.hang_up()


def test_reload(serve: Serve, slctl: Slctl) -> None:
    serve(reload=result({"ok": True}))
    assert slctl("reload") == (0, "Restarted supervisor-lite\n", "")


def test_shutdown_waits_until_the_daemon_hangs_up(serve: Serve, slctl: Slctl) -> None:
    """The reply alone is not the end."""
    replied, go = threading.Event(), threading.Event()

    def answer(connection: Connection, number: Any, params: Params) -> None:
        connection.send({"id": number, "result": {"ok": True}})
        replied.set()
        assert go.wait(20)
        connection.hang_up()

    serve(shutdown=answer)
    child = slctl.spawn("shutdown")
    assert replied.wait(20)
    assert child.poll() is None
    go.set()
    assert child.communicate(timeout=20) == (b"Shut down\n", b"")
    assert child.returncode == 0


def test_shutdown_leaving_the_processes(serve: Serve, slctl: Slctl) -> None:
    daemon = serve(shutdown=reply_and_hang_up)
    out = "Shut down; the processes keep running\n"
    assert slctl("shutdown", "--leave-running") == (0, out, "")
    assert slctl("shutdown") == (0, "Shut down\n", "")
    assert daemon.asked == [("shutdown", {"leave_running": True}), ("shutdown", {})]


def test_shutdown_of_a_daemon_that_is_gone_before_its_reply(serve: Serve, slctl: Slctl) -> None:
    """Nobody listens any more, so it is true."""

    def vanish(connection: Connection, number: Any, params: Params) -> None:
        fake.stop_listening()
        connection.hang_up()

    fake = serve(shutdown=vanish)
    assert slctl("shutdown") == (0, "Shut down\n", "")


def test_shutdown_of_a_daemon_that_hangs_up_and_lives(serve: Serve, slctl: Slctl) -> None:
    serve(shutdown=hang_up)
    code, out, err = slctl("shutdown")
    assert (code, out) == (7, "")
    assert "not known" in err


def test_shutdown_that_never_ends(
    serve: Serve, slctl: Slctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "EXIT_TIMEOUT", 0.1)
    serve(shutdown=result({"ok": True}))
    code, out, err = slctl("shutdown")
    assert (code, out) == (7, "")
    assert "does not exit" in err


def versions(*answers: tuple[str, int]) -> Answer:
    """Answer `version` differently each time."""
    queue = iter(answers)

    def answer(connection: Connection, number: Any, params: Params) -> None:
        version, pid = next(queue)
        result({"version": version, "pid": pid})(connection, number, params)

    return answer


@pytest.mark.parametrize("end", [reply_and_hang_up, hang_up])
@pytest.mark.parametrize(("new", "words"), [("2.0", "from 1.0 to 2.0"), ("1.0", "to 1.0 again")])
def test_upgrade_asks_the_new_daemon(
    serve: Serve, slctl: Slctl, end: Answer, new: str, words: str
) -> None:
    """The connection breaks, with or without a reply; the next daemon has the same pid."""
    serve(upgrade=end, version=versions(("1.0", 9), (new, 9)))
    assert slctl("upgrade") == (0, f"Upgraded {words}, pid 9\n", "")


def test_upgrade_refused_leaves_the_old_one(serve: Serve, slctl: Slctl) -> None:
    serve(upgrade=error(1, "the new version does not start"), version=versions(("1.0", 9)))
    assert slctl("upgrade") == (1, "", "slctl: the new version does not start\n")


def test_upgrade_that_ends_with_another_daemon(serve: Serve, slctl: Slctl) -> None:
    serve(upgrade=hang_up, version=versions(("1.0", 9), ("1.0", 10)))
    code, out, err = slctl("upgrade")
    assert (code, out) == (1, "")
    assert "another daemon has taken over: pid 10" in err


def test_upgrade_after_which_nobody_answers(
    serve: Serve, slctl: Slctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "UPGRADE_TIMEOUT", 0.2)
    first = iter([result({"version": "1.0", "pid": 9})])
    serve(upgrade=hang_up, version=lambda *args: next(first, hang_up)(*args))
    code, _, err = slctl("upgrade")
    assert code == 7
    assert "no daemon answers" in err
