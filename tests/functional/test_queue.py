"""Many spawns queue: whatever happens to those that wait, nobody is forgotten and nobody hangs."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from typing import Any

import pytest

from tests.programs import SLEEPER, TERM_IGNORER, program, sh
from tests.support import Daemon, Daemons, free_port, moment, wait_until

MANY = 150
CROWD = {"numprocs": MANY, "process_name": "%(program_name)s_%(process_num)d"}


def crowd(command: list[str], **options: Any) -> str:
    """Return a program of many processes."""
    return program("crowd", command, **{"startsecs": 0, "startretries": 0, **CROWD, **options})


def asked(daemon: Daemon, method: str, **params: Any) -> tuple[threading.Thread, list[Any]]:
    """Ask in a thread; the answer comes into the list."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(daemon.call(method, **params)))
    thread.start()
    return thread, answers


@pytest.mark.parametrize("how", ["upgrade", "kill"])
def test_who_waits_is_started_by_the_next_daemon(daemons: Daemons, how: str) -> None:
    """FATAL and asked for: the wish is as good as done, also for those whose turn never came."""
    flag = "test -e %(here)s/good || exit 1; exec sleep 100000"
    daemon = daemons(crowd(sh(flag), startsecs=1))
    wait_until(lambda: set(daemon.states().values()) == {"FATAL"}, 30, "all have failed")
    (daemon.dir / "good").touch()
    daemon.call("start", names=["all"], wait=False)
    if how == "upgrade":
        daemon.ctl("upgrade")
    else:
        daemon.signal(signal.SIGKILL)
        daemon.wait_exit()
        daemon.start()
    wait_until(lambda: set(daemon.states().values()) == {"RUNNING"}, 30, "all are up")


def test_stopped_before_its_turn(daemons: Daemons) -> None:
    """Whoever waits for the start hears that it is not to be, and is not left to wait."""
    daemon = daemons(crowd(SLEEPER, autostart=False))
    with daemon.connect() as connection:
        connection.send("start", {"names": ["all"]}, number=1)
        connection.send("stop", {"names": ["all"]}, number=2)
        answers = {}
        for _ in range(2):
            answer = connection.receive()
            assert answer is not None
            answers[answer["id"]] = answer["result"]["results"]
    said = {result["result"] for result in answers[1]}
    assert "aborted" in said
    assert said <= {"aborted", "started"}
    assert set(daemon.states().values()) == {"STOPPED"}


def test_stopped_while_it_waits_to_be_restarted(daemons: Daemons) -> None:
    """Two restarts in a row leave it waiting for the shortest time between two spawns."""
    daemon = daemons(program("web", SLEEPER, startsecs=0))
    daemon.wait_state("web", "RUNNING")
    for _ in range(3):
        clients = [asked(daemon, "restart", names=["web"]) for _ in range(2)]
        time.sleep(0.02)  # whatever has come by then
        daemon.ctl("stop", "web")
        for thread, answers in clients:
            thread.join(10)
            assert answers, "the client hangs"
        assert daemon.status("web")["state"] == "STOPPED"
        daemon.ctl("start", "web")


def test_an_update_does_not_wait_for_what_is_stopped_meanwhile(daemons: Daemons) -> None:
    """The restart for a new definition is called off; the next update finds its way free."""
    options = {"startsecs": 0, "stopwaitsecs": 1}
    daemon = daemons(program("web", TERM_IGNORER, **options))
    daemon.wait_state("web", "RUNNING")
    wait_until(lambda: "ready" in daemon.text("log/web.stdout.log"), what="it ignores TERM")
    daemon.configure(program("web", TERM_IGNORER, environment={"A": "1"}, **options))
    thread, answers = asked(daemon, "update")
    daemon.wait_state("web", "STOPPING")
    daemon.ctl("stop", "web")
    thread.join(10)
    assert answers, "the update hangs"
    daemon.configure(program("web", TERM_IGNORER, environment={"A": "2"}, **options))
    daemon.ctl("update")
    assert daemon.status("web")["state"] == "STOPPED"


def test_a_shared_socket_is_taken_over_before_anybody_is_spawned(daemons: Daemons) -> None:
    """One process holds it, the other is due: it is no failed start, the address is ours."""
    url = f"tcp://127.0.0.1:{free_port()}"
    name = "%(process_num)d"
    script = f"test {name} = 0 -o -e %(here)s/good || exit 1; exec sleep 100000"
    daemon = daemons(
        program("web", sh(script), startsecs=0, numprocs=2, autorestart=True, sockets=[url],
                process_name="w%(process_num)d", backoff=1, startretries=1000)
    )  # fmt: skip
    daemon.wait_state("web:w0", "RUNNING")
    wait_until(lambda: daemon.status("web:w1")["run"] is not None, what="it has been tried")
    daemon.signal(signal.SIGKILL)
    daemon.wait_exit()
    ended = time.time()
    (daemon.dir / "good").touch()
    wait_until(lambda: time.time() > ended + 0.2, what="the next try is due: it takes 0.1 s")
    daemon.start()
    daemon.wait_state("web:w1", "RUNNING")
    assert "in use" not in daemon.log()
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 5):
        pass


def test_nothing_is_spawned_after_the_end(daemons: Daemons) -> None:
    """`shutdown --leave-running` in the middle of a queue: who waits is left to the next daemon."""
    daemon = daemons(crowd(SLEEPER, autostart=False))
    with daemon.connect() as connection:
        connection.send("start", {"names": ["all"], "wait": False}, number=1)
        connection.send("shutdown", {"leave_running": True}, number=2)
        while connection.receive() is not None:
            pass
    daemon.wait_exit()
    assert "internal error" not in daemon.log()
    assert re.search(r"STARTING", daemon.log().partition("supervisor-lite ended")[2]) is None
    daemon.start()
    wait_until(lambda: set(daemon.states().values()) == {"RUNNING"}, 30, "all are up")


def test_what_was_left_running_is_not_the_program(daemons: Daemons) -> None:
    """Also when its run is long forgotten: stopped is stopped, and the other one lives on."""
    script = "setsid sleep 100000 & exec sleep 100001"
    daemon = daemons.prepare(
        program("web", sh(script), startsecs=0, leftovers="keep"),
        settings='journal_age = "1s"', survivors=True,
    )  # fmt: skip
    daemon.start()
    daemon.wait_state("web", "RUNNING")
    wait_until(lambda: len(daemon.pids_of("web")) == 2, what="both are there")
    daemon.ctl("stop", "web")
    (kept,) = daemon.pids_of("web")
    stopped = moment(daemon.status("web")["since"])
    wait_until(lambda: time.time() > stopped + 1, what="it is older than journal_age")
    for _ in range(2):
        daemon.signal(signal.SIGKILL)
        daemon.wait_exit()
        daemon.start()
        assert daemon.status("web")["state"] == "STOPPED"
    assert daemon.pids_of("web") == [kept]
    os.kill(kept, signal.SIGKILL)


def test_the_reserve_of_descriptors_is_not_used_up(daemons: Daemons) -> None:
    """Programs that are refused for want of descriptors leave those that are left alone."""
    daemon = daemons.prepare(crowd(SLEEPER))
    command = daemon.command()
    limited = ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", *command]
    daemon.command = lambda: limited  # type: ignore[method-assign]
    daemon.start()
    wait_until(lambda: set(daemon.states().values()) == {"RUNNING", "FATAL"}, 30)
    assert len(os.listdir(f"/proc/{daemon.pid}/fd")) < 200 - 20
    for _ in range(10):
        daemon.ctl("status", code=None)
    assert "cannot accept" not in daemon.log()
