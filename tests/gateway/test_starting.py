"""How the gateway starts, and when it refuses to."""

from __future__ import annotations

import os
import subprocess
import sys
import xmlrpc.client
from contextlib import closing
from pathlib import Path

import pytest

from tests.client import environment_of
from tests.gateway.conftest import Served
from tests.gateway.tools import Gateway
from tests.programs import program
from tests.support import Daemons


def run(*arguments: str, cwd: str = "/") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "supervisor_lite.gateway", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment_of("gateway"), timeout=30, check=False,
        capture_output=True, text=True,
    )  # fmt: skip


def test_without_a_table_nothing_is_served(daemons: Daemons) -> None:
    daemon = daemons.prepare(program("web", "sleep 1"))
    done = run("-c", str(daemon.config))
    assert done.returncode == 2
    assert "no [gateway] table" in done.stderr


SOCKET = 'listen = ["unix:///x.sock"]\n'


@pytest.mark.parametrize(("table", "said"), [
    ('listen = ["http://9001"]', "needs a port"),
    ('listen = ["http://127.0.0.1:9001"]', "needs users with passwords"),
    ('listen = ["unix:///x/y.sock"]\nsocket_password = true', "needs users with passwords"),
    ("listen = []", "expected a list of addresses"),
    ('listen = ["https://127.0.0.1:9001"]', "no TLS"),
    ('listen = ["unix://relative"]', "must be absolute"),
    (f'{SOCKET}users = [{{ name = "a", password_hash = "plain" }}]', "slctl passwd"),
    (f'{SOCKET}users = [{{ name = "a", rolle = "view" }}]', 'did you mean "role"'),
    (f'{SOCKET}socket_rolle = "view"', 'did you mean "socket_role"'),
    ('hosts = ["x"]', "listen: is missing"),
])  # fmt: skip
def test_a_mistake_in_the_table_is_told_with_its_place(
    daemons: Daemons, table: str, said: str
) -> None:
    daemon = daemons.prepare()
    daemon.config.write_text(f"[gateway]\n{table}\n")
    done = run("-c", str(daemon.config))
    assert done.returncode == 2
    assert "supervisor.toml:" in done.stderr
    assert said in done.stderr
    assert "plain" not in done.stderr  # a hash, or what was meant to be one, is not shown


def test_two_gateways_do_not_share_a_socket(served: Served) -> None:
    done = run("-c", str(served.daemon.dir / "gateway.toml"))
    assert done.returncode == 1
    assert "listening there already" in done.stderr
    assert served.unix("GET", "/healthz").status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_gateway_of_root_becomes_an_unprivileged_user(daemons: Daemons) -> None:
    settings = 'socket_mode = "666"\n'
    rules = '[[access]]\nrole = "operate"\nusers = ["nobody"]\n'
    # The daemon knows that nobody is whom the gateway becomes.
    rules += '[gateway]\nlisten = ["unix://%(here)s/http.sock"]\nuser = "nobody"\n'
    rules += "autostart = false\n"
    daemon = daemons(rules + program("web", "sleep 100000", startsecs=0), settings=settings)
    (daemon.dir / "run").chmod(0o755)
    table = f'[gateway]\nlisten = ["unix://{daemon.dir}/http.sock"]\nuser = "nobody"\n'
    with closing(Gateway(daemon, table).start()) as gateway:
        assert gateway.process is not None
        status = Path(f"/proc/{gateway.process.pid}/status").read_text()
        assert "Uid:\t65534\t65534\t65534\t65534" in status
        assert gateway.rpc("supervisor.stopProcess", "web") is True
        assert "for uid 0 over HTTP" in daemon.call("events", limit=3)["changes"][-1]["by"]
        with pytest.raises(xmlrpc.client.Fault, match="may not"):
            gateway.rpc("supervisor.reloadConfig")
