"""Clients as Supervisor's documentation shows them, over TCP and over the Unix socket."""

from __future__ import annotations

import os
import subprocess
import xmlrpc.client

import pytest

from tests.gateway.conftest import PASSWORDS, Served
from tests.peer import supervisor_bin


def test_server_proxy_over_tcp(served: Served) -> None:
    url = f"http://operate:{PASSWORDS['operate'].replace(' ', '%20')}@localhost:{served.port}/RPC2"
    with xmlrpc.client.ServerProxy(url) as server:
        assert server.supervisor.getState() == {"statecode": 1, "statename": "RUNNING"}
        assert server.supervisor.startProcess("manual") is True
        info = server.supervisor.getProcessInfo("manual")
        assert info["statename"] == "RUNNING"  # type: ignore[call-overload, index]
        assert server.supervisor.stopProcess("manual") is True
        assert "supervisor.startProcess" in server.system.listMethods()  # type: ignore[operator]
        with pytest.raises(xmlrpc.client.Fault) as caught:
            server.supervisor.startProcess("nope")
        assert (caught.value.faultCode, caught.value.faultString) == (10, "BAD_NAME: nope")


def test_a_wrong_password_is_a_protocol_error(served: Served) -> None:
    with xmlrpc.client.ServerProxy(f"http://view:x@localhost:{served.port}/RPC2") as server:
        with pytest.raises(xmlrpc.client.ProtocolError) as caught:
            server.supervisor.getState()
        assert caught.value.errcode == 401


SCRIPT = """
import sys, xmlrpc.client
from supervisor.xmlrpc import SupervisorTransport
from supervisor import childutils
url, user, password = sys.argv[1:]
transport = SupervisorTransport(user or None, password or None, serverurl=url)
proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
print(proxy.supervisor.getVersion(), proxy.supervisor.getProcessInfo("cat")["statename"])
env = {"SUPERVISOR_SERVER_URL": url, "SUPERVISOR_USERNAME": user, "SUPERVISOR_PASSWORD": password}
rpc = childutils.getRPCInterface(env)
count = len(rpc.supervisor.getAllProcessInfo())
print(count, rpc.system.methodSignature("supervisor.startProcess"))
"""


@pytest.mark.parametrize("how", ["unix", "tcp"])
def test_supervisors_own_transport(served: Served, how: str) -> None:
    where = [f"unix://{served.gateway.socket}", "", ""]
    if how == "tcp":
        where = [f"http://127.0.0.1:{served.port}", "admin", PASSWORDS["admin"]]
    done = subprocess.run(
        [str(supervisor_bin() / "python"), "-W", "ignore", "-c", SCRIPT, *where],
        env={**os.environ, "LC_ALL": "C.UTF-8"}, timeout=60, check=False, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.stdout.split("\n")[:2] == [
        "3.0 RUNNING", "7 ['boolean', 'string', 'boolean']"
    ], done.stderr  # fmt: skip
