"""How a test talks to a daemon: over the control socket, and with the environment of a client."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

MARK = "SL_TEST_MARK"
"""The environment variable that every process of a test's daemon inherits."""


def environment_of(mark: str, **extra: str) -> dict[str, str]:
    """Return the environment for a daemon or client under test."""
    private = ("XDG_", "SUPERVISOR_", "NOTIFY_SOCKET", "PYTEST_", "FORCE_COLOR", "NO_COLOR")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(private)}
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**kept, "PYTHONPATH": path, MARK: mark, **extra}


def slctl_command() -> list[str]:
    """Return how `slctl` is run: the installed script, or the module from the checkout."""
    script = Path(sys.executable).with_name("slctl")
    if script.exists():
        return [str(script)]
    return [
        sys.executable,
        "-c",
        "import sys; from supervisor_lite.ctl.main import main; sys.exit(main())",
    ]


class CallError(Exception):
    """The daemon answered a request with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']}: {error['message']} {error.get('data', '')}")
        self.code: int = error["code"]
        self.text: str = error["message"]
        self.data: dict[str, Any] = error.get("data", {})


class Connection:
    """One connection to a control socket."""

    def __init__(self, path: str | Path, limit: float = 30.0) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(limit)
        self._buffer = b""
        try:
            self.socket.connect(str(path))
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(
        self, method: str, params: Mapping[str, object] | None = None, number: int = 1
    ) -> None:
        """Send a request."""
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> dict[str, Any] | None:
        """Return the next message, None at the end of the stream."""
        while b"\n" not in self._buffer:
            data = self.socket.recv(1 << 16)
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def call(self, method: str, **params: object) -> Any:
        """Send a request and return its result; raises CallError."""
        with contextlib.suppress(BrokenPipeError):  # it hung up on us; it may have said why
            self.send(method, params)
        message = self.receive()
        assert message is not None, f"the daemon hung up on {method}"
        if "error" in message:
            raise CallError(message["error"])
        return message["result"]
