"""One daemon with its gateway, for all tests of a module: they only look, or put things back."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.gateway.tools import Answer, Gateway, ask, users
from tests.programs import program, sh
from tests.support import Daemon, free_port

PASSWORDS = {"view": "look", "operate": "do it", "admin": "pässwörd:with colon"}

ODD = (
    r"printf 'a\007b\342\200\256c\n1 of 2\r2 of 2\nab\bc\n';"
    " sleep 100000 & exec sleep 100000"
)
"""Writes what is invisible, a line over another, a character over another; has a child."""

PROGRAMS = (
    program("cat", "cat", stdin="pipe", startsecs=0)
    + program(
        "colours", sh("printf '\\033[31mred\\033[0m plain\\n'; exec sleep 100000"), startsecs=0
    )
    + program("odd", sh(ODD), startsecs=0)
    + program("fatal", sh("echo no database >&2; exit 3"), startretries=0)
    + program("manual", "sleep 100000", autostart=False, startsecs=0)
    + program("web", "sleep 100000", numprocs=2, process_name="web_%(process_num)d", startsecs=0)
)


@dataclass(frozen=True)
class Served:
    """A daemon, its gateway, and ways to ask."""

    daemon: Daemon
    gateway: Gateway
    port: int

    def tcp(
        self, method: str, path: str, body: str | bytes | None = None, **headers: str
    ) -> Answer:
        """Ask over TCP."""
        return ask(("127.0.0.1", self.port), method, path, body, **headers)

    def unix(
        self, method: str, path: str, body: str | bytes | None = None, **headers: str
    ) -> Answer:
        """Ask over the Unix socket."""
        return ask(self.gateway.socket, method, path, body, **headers)

    def get(self, path: str) -> Answer:
        """Get something over the Unix socket; it must be there."""
        answer = self.unix("GET", path)
        assert answer.status == 200, answer
        return answer

    def post(self, path: str, body: str = "{}") -> Answer:
        """Post JSON over the Unix socket."""
        return self.unix("POST", path, body, Content_Type="application/json")


def basic(name: str, password: str | None = None) -> dict[str, str]:
    """Return the header of a user."""
    pair = f"{name}:{PASSWORDS[name] if password is None else password}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with contextlib.ExitStack() as stack:
        daemon = Daemon(PROGRAMS)
        stack.callback(daemon.close)
        daemon.start()
        port = free_port()
        urls = f'["unix://{daemon.dir}/http.sock", "http://127.0.0.1:{port}"]'
        table = f'[gateway]\nlisten = {urls}\nhosts = ["super.example"]\n{users(**PASSWORDS)}'
        gateway = Gateway(daemon, table)
        stack.callback(gateway.close)
        gateway.start()
        daemon.wait_state("fatal", "FATAL")
        yield Served(daemon, gateway, port)
