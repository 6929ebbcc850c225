"""Does the gateway work? Tried before it gives up root, and as the user that it has become.

What it needs is loaded by the first try: the user may not be able to read where Python lives, and
many modules, of others too, are only loaded where they are used. The second try tells, at the start
and in words, what a client would have been told by an error 500.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import resource
from typing import Any

from starlette.types import ASGIApp, Message

from supervisor_lite.errors import StartupError
from supervisor_lite.gateway import app
from supervisor_lite.gateway.daemon import Daemon
from supervisor_lite.gateway.hub import Hub
from supervisor_lite.model.settings import GatewaySettings, GatewayUser
from supervisor_lite.passwords import make_hash

_NOWHERE = "/nonexistent/supervisor.sock"
"""Nobody is asked anything."""

_XML = b"<methodCall><methodName>supervisor.getState</methodName><params/></methodCall>"

_REQUESTS = (
    ("GET", "/healthz", b"", ""),
    ("GET", "/", b"", "text/html"),
    ("GET", "/app.js", b"", ""),
    ("GET", "/metrics", b"", ""),
    ("GET", "/api/v1/processes", b"", ""),
    ("GET", "/api/v1/openapi.json", b"", ""),
    ("POST", "/api/v1/processes/web/start", b"{}", "application/json"),
    ("POST", "/RPC2", _XML, "text/xml"),
    ("GET", "/logtail/web", b"", ""),
    ("GET", "/nope", b"", ""),
)

_DESCRIPTORS = 4096
"""What two full listeners, and as many connections to the daemon, need by far."""


class SelfTest:
    """An application like the one that will be served, whose daemon is nowhere."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None

    def run(self) -> None:
        """Try requests of each kind, with a right and a wrong password. Raises StartupError."""
        log = logging.getLogger("supervisor_lite.gateway")
        log.disabled = True  # of the wrong passwords
        try:
            if self._app is None:
                self._app = _make_app()
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(_try(self._app))
        except Exception as error:
            text = f"cannot serve as uid {os.geteuid()}: {type(error).__name__}: {error}"
            hint = "can that user read where Python and its packages are?"
            raise StartupError(f"{text}; {hint}") from error
        finally:
            log.disabled = False


def _make_app() -> ASGIApp:
    user = GatewayUser(name="test", password_hash=make_hash("right", 10), role="admin")
    daemon = Daemon(_NOWHERE)
    return app.make_app(GatewaySettings(listen=(), users=(user,)), daemon, Hub(daemon))


def raise_descriptors() -> None:
    """Have as many descriptors as may be, up to what is ever needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if 0 <= soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _try(served: ASGIApp) -> None:
    for method, path, body, kind in _REQUESTS:
        for password in ("right", "wrong"):
            status = await _status(served, method, path, body, kind, password)
            if status == 500:
                raise RuntimeError(f"{method} {path} is answered with 500")
            if (status == 401) is not (password == "wrong" and path != "/healthz"):
                raise RuntimeError(f"the {password} password is answered with {status}")


async def _status(
    served: ASGIApp, method: str, path: str, body: bytes, kind: str, password: str
) -> int:
    """Return the status that a request is answered with."""
    found: list[int] = []
    sent = False
    headers = {
        "host": "localhost",
        "authorization": "Basic " + base64.b64encode(f"test:{password}".encode()).decode(),
        "content-type": kind,
        "content-length": str(len(body)),
    }

    async def receive() -> Message:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()  # it stays connected
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            found.append(message["status"])

    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "",
        "query_string": b"", "client": None, "server": None, "state": {},
        "headers": [(name.encode(), value.encode()) for name, value in headers.items() if value],
    }  # fmt: skip
    await served(scope, receive, send)
    return found[0]
