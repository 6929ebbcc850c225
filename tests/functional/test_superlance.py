"""Unmodified programs of superlance as listeners: what users of Supervisor run."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.programs import SLEEPER, exits, program, toml
from tests.superlance import superlance_bin
from tests.support import Daemon, Daemons, free_port, wait_until


def listener(name: str, words: list[str], events: list[str]) -> str:
    """Return the table of one of them."""
    return (
        f"[eventlistener.{name}]\ncommand = {toml([str(superlance_bin() / name), *words])}\n"
        f"events = {toml(events)}\nstartsecs = 0\n\n"
    )


def sendmail(daemon: Daemon) -> tuple[Path, Path]:
    """Return a program that takes mails, and where it puts them."""
    script, box = daemon.dir / "sendmail", daemon.dir / "mails"
    script.write_text(f"#!/bin/sh\ncat >{box}.new && mv {box}.new {box}\n")
    script.chmod(0o755)
    return script, box


def gateway(daemon: Daemon) -> str:
    """Return the tables of a gateway that the daemon runs itself."""
    pytest.importorskip("uvicorn")
    pytest.importorskip("starlette")
    words = [sys.executable, "-m", "supervisor_lite.gateway", "-c", str(daemon.config)]
    return f'[gateway]\nlisten = ["unix://{daemon.dir}/http.sock"]\n\n' + program(
        "gateway", words, startsecs=0, priority=0
    )


@contextmanager
def mail_server() -> Iterator[tuple[int, list[str]]]:
    """Take mails by SMTP; yields the port, and what came."""
    mails: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)

        def serve() -> None:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer, peer.makefile("rw", newline="\r\n") as file:

                def say(text: str) -> None:
                    file.write(text + "\n")
                    file.flush()

                say("220 hello")
                while line := file.readline():
                    word = line.split()[0].upper() if line.split() else ""
                    if word == "DATA":
                        say("354 go on")
                        body = []
                        while (line := file.readline()).strip() != ".":
                            body.append(line)
                        mails.append("".join(body))
                    say("221 bye" if word == "QUIT" else "250 ok")
                    if word == "QUIT":
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], mails
        finally:
            server.close()
            thread.join(40)


def test_crashmail(daemons: Daemons) -> None:
    """It reads our EXITED, which says more than Supervisor's."""
    daemon = daemons.prepare()
    script, box = sendmail(daemon)
    daemon.configure(
        listener("crashmail", ["-a", "-m", "ops@example.org", "-s", str(script)],
                 ["PROCESS_STATE_EXITED"])
        + program("bad", exits(3), startsecs=0, autorestart=False)
        + program("good", exits(0), startsecs=0, autorestart=False)
    )  # fmt: skip
    daemon.start()
    wait_until(box.exists, what="a mail")
    pid = daemon.call("runs", names=["bad"])["runs"][0]["pid"]
    mail = box.read_text()
    assert "To: ops@example.org" in mail
    assert f"Process bad in group bad exited unexpectedly (pid {pid}) from state RUNNING" in mail
    daemon.wait_state("crashmail", "RUNNING")
    assert "unexpected exit, mailing" in daemon.text("log/crashmail.stderr.log")


def test_fatalmailbatch(daemons: Daemons) -> None:
    with mail_server() as (port, mails):
        words = ["-t", "ops@example.org", "-f", "me@example.org", "-i", "0.01", "-e", "TICK_5",
                 "-H", f"127.0.0.1:{port}"]  # fmt: skip
        daemon = daemons(
            listener("fatalmailbatch", words, ["PROCESS_STATE", "TICK_5"])
            + program("bad", exits(3), startretries=0)
        )
        wait_until(lambda: mails, 25, "a mail")
        assert "Process bad:bad failed to start too many times" in mails[0].replace("=\n", "")
        assert daemon.status("fatalmailbatch")["state"] == "RUNNING"


@pytest.mark.skipif(shutil.which("ps") is None, reason="memmon asks ps(1)")
def test_memmon(daemons: Daemons) -> None:
    """It restarts what is too large, over the XML-RPC of the gateway."""
    daemon = daemons.prepare()
    daemon.configure(
        gateway(daemon)
        + listener("memmon", ["-p", "large=1KB"], ["TICK_5"])
        + program("large", SLEEPER, startsecs=0)
        + program("other", SLEEPER, startsecs=0)
    )
    daemon.start()
    pids = {name: daemon.wait_state(name, "RUNNING")["pid"] for name in ("large", "other")}
    wait_until(lambda: daemon.status("large")["pid"] not in (None, pids["large"]), 25)
    assert daemon.status("other")["pid"] == pids["other"]
    assert "Restarting large:large" in daemon.text("log/memmon.stderr.log")
    assert daemon.status("memmon")["state"] == "RUNNING"


def test_httpok(daemons: Daemons) -> None:
    """It restarts what does not answer as it should."""
    daemon = daemons.prepare()
    port = free_port()
    root = daemon.dir / "www"
    root.mkdir()
    server = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "-d", str(root),
              str(port)]  # fmt: skip
    url = f"http://127.0.0.1:{port}/ok"
    daemon.configure(
        gateway(daemon)
        + listener("httpok", ["-p", "web", "-t", "3", url], ["TICK_5"])
        + program("web", server, startsecs=0)
    )
    (root / "ok").write_text("fine")
    daemon.start()
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    wait_until(lambda: "GET /ok" in daemon.text("log/web.stderr.log"), 20, "httpok has asked")
    assert daemon.status("web")["pid"] == pid
    (root / "ok").unlink()
    wait_until(lambda: daemon.status("web")["pid"] not in (None, pid), 25, "a restart")
    assert "Restarting selected processes" in daemon.text("log/httpok.stderr.log")
    why = daemon.ctl("why", "web").stdout
    assert "gateway" in why or str(os.geteuid()) in why
