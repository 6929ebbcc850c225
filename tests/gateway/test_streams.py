"""tail -f, maintail -f, fg, reload, shutdown: the real supervisorctl against both daemons."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.peers import Prog
from tests.gateway.test_supervisorctl import compare
from tests.gateway.tools import Gateway, Side, ask, side_by_side, users
from tests.peer import supervisor_bin
from tests.programs import echoer, program
from tests.support import Daemons, free_port, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Following:
    """A supervisorctl that goes on, and what it has said so far."""

    def __init__(self, side: Side, *words: str, stdin: Any = subprocess.DEVNULL) -> None:
        self.process = side.spawn(*words, stdin=stdin)
        self.said = ""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while text := self.process.stdout.read(1):
            self.said += text

    def wait_for(self, text: str) -> None:
        """Wait until it has said this."""
        wait_until(lambda: text in self.said, 20, f"{text!r} in {self.said!r}")

    def interrupt(self) -> int:
        """Press Ctrl-C; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.end()
        # Pressed while it is busy reading, supervisorctl takes that for a broken connection.
        self.said = re.sub(r"\S+ Cannot connect, error: .*KeyboardInterrupt.*\n$", "\n", self.said)
        return code

    def end(self) -> int:
        """Wait for its end; return the exit code."""
        code = self.process.wait(20)
        self._thread.join(20)
        return code


@contextlib.contextmanager
def following(*args: Any, **options: Any) -> Iterator[Following]:
    made = Following(*args, **options)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
        made.end()
        for pipe in (made.process.stdin, made.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


ECHO = Prog("echo", "sh -c 'echo ready; exec cat'", {"startsecs": 0})


def test_tail_f_shows_the_end_and_what_comes() -> None:
    with side_by_side([ECHO]) as both:
        both.settle(echo="RUNNING")
        said = []
        for side in both.sides:
            wait_until(lambda side=side: "ready" in side.ctl("tail", "echo").raw)  # type: ignore[misc]
            with following(side, "tail", "-f", "echo") as tail:
                tail.wait_for("ready\n")
                side.rpc("supervisor.sendProcessStdin", "echo", "more\nÄpfel €\n")
                tail.wait_for("€\n")
                code = tail.interrupt()
            said.append((code, tail.said))
        assert said[0] == said[1]
        assert "==> Press Ctrl-C to exit <==\nready\nmore\nÄpfel €\n" in said[0][1]
        # What supervisord's own tail shows after this depends on when it looks.
        with following(both.ours, "tail", "-f", "echo") as tail:
            tail.wait_for("€\n")
            both.ours.rpc("supervisor.clearProcessLogs", "echo")
            both.ours.rpc("supervisor.sendProcessStdin", "echo", "after\n")
            tail.wait_for("€\nafter\n")
            tail.interrupt()


def test_tail_f_of_what_has_no_log_says_so() -> None:
    with side_by_side([ECHO, Prog("silent", "sleep 100000", {"startsecs": 0}, log=False)]) as both:
        both.settle(echo="RUNNING", silent="RUNNING")
        compare(both, "tail -f nope", "tail -f silent", "tail -f echo:*", "tail -f echo nope")


def test_maintail_f_shows_what_comes() -> None:
    with side_by_side([ECHO]) as both:
        both.settle(echo="RUNNING")
        for side in both.sides:
            with following(side, "maintail", "-f") as tail:
                tail.wait_for("Press Ctrl-C")
                tail.wait_for("echo")
                before = len(tail.said)
                side.rpc("supervisor.stopProcess", "echo")
                wait_until(lambda t=tail, b=before: "echo" in t.said[b:], what="the stop is told")  # type: ignore[misc]
                tail.interrupt()
            assert side.ctl("maintail", "-200").code == 0


def test_fg_reads_and_writes() -> None:
    with side_by_side([ECHO, Prog("manual", "cat", {"autostart": False})]) as both:
        both.settle(echo="RUNNING")
        compare(both, "fg", "fg nope", "fg manual", "fg echo manual")
        ends = []
        for side in both.sides:
            with following(side, "fg", "echo", stdin=subprocess.PIPE) as fg:
                fg.wait_for("ready\n")
                assert fg.process.stdin is not None
                fg.process.stdin.write("hello\n")
                fg.process.stdin.flush()
                fg.wait_for("hello\n")
                fg.process.stdin.close()
                fg.wait_for("Exiting foreground")
                fg.process.kill()  # its thread waits for output that never comes
            ends.append(fg.said)
        assert ends[0] == ends[1]


def test_reload_starts_everything_anew() -> None:
    with side_by_side([Prog("web", "sleep 100000", {"startsecs": 0})]) as both:
        both.settle(web="RUNNING")
        pids = [side.rpc("supervisor.getProcessInfo", "web")["pid"] for side in both.sides]
        compare(both, "reload x", "reload")

        def again(side: Side, before: int) -> bool:
            with contextlib.suppress(OSError, Exception):
                info = side.rpc("supervisor.getProcessInfo", "web")
                return bool(info["statename"] == "RUNNING" and info["pid"] != before)
            return False

        for side, pid in zip(both.sides, pids, strict=True):
            wait_until(lambda s=side, p=pid: again(s, p), 20, "it is started anew")  # type: ignore[misc]
        compare(both, "status", "shutdown x")


def test_reload_of_a_broken_configuration_stops_nothing() -> None:
    with side_by_side([Prog("web", "sleep 100000", {"startsecs": 0})]) as both:
        both.settle(web="RUNNING")
        pid = both.ours.rpc("supervisor.getProcessInfo", "web")["pid"]
        both.daemon.configure("[program.web]\ncommand = 5\n")
        ran = both.ours.ctl("reload")
        assert ran.code == 1
        assert "CANT_REREAD" in ran.raw
        assert both.ours.rpc("supervisor.getProcessInfo", "web")["pid"] == pid


def test_shutdown_ends_the_daemon_and_then_nobody_answers() -> None:
    with side_by_side([Prog("web", "sleep 100000", {"startsecs": 0})]) as both:
        both.settle(web="RUNNING")
        compare(both, "shutdown")
        assert both.daemon.wait_exit() == 0
        assert both.ours.ctl("status").code == 1  # the gateway says that there is no daemon
        assert ask(both.gateway.socket, "GET", "/healthz").status == 503
        both.gateway.close()
        wait_until(lambda: not both.theirs.socket.exists(), what="supervisord has ended")
        compare(both, "status", "start web", "pid", "stop web", "shutdown", "tail web")


def test_a_gateway_that_is_killed_leaves_a_socket_that_refuses(daemons: Daemons) -> None:
    gateway = Gateway(daemons(program("web", "sleep 100000")))
    with contextlib.closing(gateway.start()):
        assert gateway.process is not None
        gateway.process.kill()
        gateway.process.wait()
        assert gateway.socket.exists()
        gateway.log.unlink()
        gateway.start()
        assert gateway.rpc("supervisor.getVersion") == "3.0"


def test_supervisorctl_comes_over_tcp_with_a_password(daemons: Daemons) -> None:
    daemon = daemons(program("web", echoer("web"), startsecs=0))
    port = free_port()
    table = f'[gateway]\nlisten = ["http://127.0.0.1:{port}"]\n' + users(operate="secret")
    with contextlib.closing(Gateway(daemon, table).start()):

        def ctl(*words: str, password: str = "secret") -> tuple[int, str]:
            command = [str(supervisor_bin() / "supervisorctl"), "-s", f"http://127.0.0.1:{port}"]
            done = subprocess.run(
                [*command, "-u", "operate", "-p", password, *words], cwd="/", timeout=60,
                check=False, capture_output=True, text=True,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )  # fmt: skip
            return done.returncode, done.stdout

        code, said = ctl("status")
        assert code == 0
        assert "RUNNING" in said
        assert ctl("restart", "web") == (0, "web: stopped\nweb: started\n")
        code, said = ctl("status", password="wrong")
        assert code != 0
        assert "Server requires authentication" in said
        code, said = ctl("reread")
        assert code == 1
        assert "needs the role admin" in said
        assert "needs the role admin" not in ctl("tail", "web")[1]
