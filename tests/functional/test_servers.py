"""Real servers, as operators run them: nginx, redis and gunicorn."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import sys
from http.client import HTTPConnection, HTTPException

import pytest

from tests.programs import program
from tests.support import Daemon, Daemons, alive, children, free_port, wait_until

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
REDIS = shutil.which("redis-server")

NGINX_CONFIG = """\
daemon off;
worker_processes 2;
pid {dir}/nginx.pid;
error_log /dev/stderr notice;
events {{ worker_connections 64; }}
http {{
  access_log /dev/stdout;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "{text}"; }} }}
}}
"""

APPLICATION = """\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    print("asked for", environ["PATH_INFO"], flush=True)
    return [b"{text}"]
"""


def get(port: int, path: str = "/") -> str:
    """Return the body of a page, empty while nobody serves it."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    except (OSError, HTTPException):
        return ""
    finally:
        connection.close()


def kill_and_wait(daemon: Daemon, name: str) -> int:
    """kill -9 the main process and return the pid of its replacement, RUNNING."""
    old: int = daemon.wait_state(name, "RUNNING")["pid"]
    helpers = children(old)
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: daemon.status(name)["pid"] not in (None, old), limit=30)
    assert not any(alive(pid) for pid in helpers), "no worker of the old server is left"
    status = daemon.wait_state(name, "RUNNING", limit=30)
    assert status["signal"] == "SIGKILL"
    assert status["restarts"] == 1
    new: int = status["pid"]
    return new


def stop_and_check(daemon: Daemon, name: str) -> None:
    """Stop it; fail if any process of it is left."""
    pid = daemon.status(name)["pid"]
    everyone = [pid, *children(pid)]
    daemon.ctl("stop", name)
    assert daemon.status(name)["state"] == "STOPPED"
    assert not [pid for pid in everyone if alive(pid)]
    assert daemon.pids_of(name) == []


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx-light)")
def test_nginx(daemons: Daemons) -> None:
    """Served, killed and back, reloaded with a changed configuration, stopped with its workers."""
    daemon = daemons.prepare()
    port = free_port()
    config = daemon.dir / "nginx.conf"

    def configure(text: str) -> None:
        config.write_text(NGINX_CONFIG.format(dir=daemon.dir, port=port, text=text))

    configure("one")
    command = [str(NGINX), "-e", "stderr", "-p", str(daemon.dir), "-c", str(config)]
    daemon.configure(program("nginx", command, stopsignal="QUIT"))
    daemon.start()
    daemon.wait_state("nginx", "RUNNING")
    wait_until(lambda: get(port) == "one")

    master = kill_and_wait(daemon, "nginx")
    wait_until(lambda: get(port, "/after-the-kill") == "one")

    wait_until(lambda: len(children(master)) == 2)
    workers = children(master)
    configure("two")
    daemon.ctl("signal", "HUP", "nginx")
    wait_until(lambda: get(port) == "two")
    wait_until(lambda: not set(children(master)) & set(workers))
    assert daemon.status("nginx")["pid"] == master
    assert daemon.status("nginx")["restarts"] == 1

    stop_and_check(daemon, "nginx")
    assert get(port) == ""
    assert "GET /after-the-kill" in daemon.text("log/nginx.stdout.log")
    assert "start worker process" in daemon.text("log/nginx.stderr.log")


def redis(port: int, *words: str) -> str:
    """Send a command to redis and return the first line of its answer, empty without one."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(" ".join(words).encode() + b"\r\n")
            data = connection.recv(4096).decode()
    except OSError:
        return ""
    lines = data.split("\r\n")
    return lines[1] if lines[0].startswith("$") else lines[0]


@pytest.mark.skipif(REDIS is None, reason="redis is not installed (Debian: redis-server)")
def test_redis(daemons: Daemons) -> None:
    """Served, killed and back with its data, stopped in an orderly way."""
    port = free_port()
    command = [str(REDIS), "--port", str(port), "--bind", "127.0.0.1", "--dir", "%(here)s",
               "--save", "", "--appendonly", "yes", "--appendfsync", "always"]  # fmt: skip
    daemon = daemons(program("redis", command))
    daemon.wait_state("redis", "RUNNING")
    wait_until(lambda: redis(port, "PING") == "+PONG")
    assert redis(port, "SET", "colour", "green") == "+OK"

    pid = kill_and_wait(daemon, "redis")
    wait_until(lambda: redis(port, "GET", "colour") == "green")

    daemon.ctl("signal", "HUP", "redis")  # redis ignores it
    assert redis(port, "PING") == "+PONG"
    assert daemon.status("redis")["pid"] == pid

    stop_and_check(daemon, "redis")
    assert redis(port, "PING") == ""
    assert daemon.status("redis")["exitcode"] == 0
    log = daemon.text("log/redis.stdout.log")
    assert log.count("Ready to accept connections") == 2
    assert "ready to exit, bye bye" in log


@pytest.mark.skipif(
    importlib.util.find_spec("gunicorn") is None, reason="gunicorn is not installed (PyPI)"
)
def test_gunicorn(daemons: Daemons) -> None:
    """Served, killed and back, reloaded with new workers and new code, stopped with them."""
    daemon = daemons.prepare()
    port = free_port()
    module = daemon.dir / "application.py"
    module.write_text(APPLICATION.format(text="one"))
    command = [sys.executable, "-B", "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}",
               "application:app"]  # fmt: skip
    daemon.configure(program("site", command, directory="%(here)s"))
    daemon.start()
    daemon.wait_state("site", "RUNNING")
    wait_until(lambda: get(port, "/first") == "one", limit=30)

    master = kill_and_wait(daemon, "site")
    wait_until(lambda: get(port) == "one", limit=30)

    wait_until(lambda: len(children(master)) == 2)
    workers = children(master)
    module.write_text(APPLICATION.format(text="two"))
    daemon.ctl("signal", "HUP", "site")
    wait_until(lambda: len(children(master)) == 2 and not set(children(master)) & set(workers), 30)
    wait_until(lambda: get(port) == "two")
    assert daemon.status("site")["pid"] == master

    stop_and_check(daemon, "site")
    assert get(port) == ""
    assert "asked for /first" in daemon.text("log/site.stdout.log")
    assert daemon.text("log/site.stderr.log").count("Booting worker") >= 6
