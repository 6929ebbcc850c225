"""A daemon that answers from a table: a thread behind a real Unix socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

Params = dict[str, Any]
Answer = Callable[["Connection", Any, Params], None]


class Connection:
    """One client of the fake, as an answer sees it."""

    def __init__(self, peer: socket.socket) -> None:
        self.peer = peer

    def send(self, message: Mapping[str, Any]) -> None:
        self.raw(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def raw(self, data: bytes) -> None:
        self.peer.sendall(data)

    def hang_up(self) -> None:
        self.peer.shutdown(socket.SHUT_RDWR)


class FakeDaemon:
    """Answers each method from `table` and keeps what it was asked in `asked`."""

    def __init__(self, path: str, table: Mapping[str, Answer]) -> None:
        self.path = path
        self.asked: list[tuple[str, Params]] = []
        self._table = table
        self._peers: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen(16)
        self._run(self._accept)

    def stop_listening(self) -> None:
        """Refuse new clients from now on."""
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def close(self) -> None:
        """Hang up on everyone and wait for the threads."""
        self.stop_listening()
        for peer in self._peers:
            try:
                peer.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the client was faster
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        for peer in self._peers:
            peer.close()

    def _run(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._peers.append(peer)
            self._run(self._serve, peer)

    def _serve(self, peer: socket.socket) -> None:
        connection = Connection(peer)
        try:
            with peer.makefile("rb") as lines:
                for line in lines:
                    request = json.loads(line)
                    self.asked.append((request["method"], request["params"]))
                    answer = self._table.get(request["method"], error(-32601, "no such method"))
                    answer(connection, request["id"], request["params"])
        except OSError:
            return  # the client hung up while we were answering


def result(value: Params, *notes: tuple[str, Params]) -> Answer:
    """Answer with a result, then send notifications."""

    def answer(connection: Connection, number: Any, params: Params) -> None:
        connection.send({"id": number, "result": value})
        for method, fields in notes:
            connection.send({"method": method, "params": {"subscription": 1, **fields}})

    return answer


def error(code: int, message: str, data: Params | list[str] | None = None) -> Answer:
    """Answer with an error; `data` is a list where the daemon is from before error codes."""

    def answer(connection: Connection, number: Any, params: Params) -> None:
        fields: Params = {"code": code, "message": message}
        if data is not None:
            fields["data"] = data
        connection.send({"id": number, "error": fields})

    return answer


def older(answer: Answer, *unknown: str) -> Answer:
    """Answer as a daemon does that does not know these parameters yet."""

    def choose(connection: Connection, number: Any, params: Params) -> None:
        refuses = any(name in params for name in unknown)
        (error(-32602, "unknown parameter") if refuses else answer)(connection, number, params)

    return choose


def raw(data: bytes) -> Answer:
    """Answer with these very bytes."""
    return lambda connection, number, params: connection.raw(data)


def hang_up(connection: Connection, number: Any, params: Params) -> None:
    """Answer by closing the connection."""
    connection.hang_up()


def silence(connection: Connection, number: Any, params: Params) -> None:
    """Never answer."""


def process(name: str, state: str = "RUNNING", **fields: Any) -> Params:
    """A process as the daemon describes it."""
    group = fields.pop("group", name)
    return {
        "name": name, "group": group, "fullname": name if name == group else f"{group}:{name}",
        "program": name, "state": state, "statecode": 20, "wanted": True,
        "pid": 123 if state == "RUNNING" else None, "run": 7,
        "up_since": 98.0 if state == "RUNNING" else None,
        "started": "2025-11-21T10:00:00Z", "since": "2025-11-21T10:00:01Z", "exitcode": None,
        "signal": None, "failures": 0, "restarts": 0, "next_try": None, "reason": "",
        "autostart": True, "priority": 999, "stdout_logfile": None, "stderr_logfile": None,
        "stale": False, **fields,
    }  # fmt: skip


def done(name: str, word: str, **fields: Any) -> Params:
    """One result of a verb that went well."""
    return {"name": name, "group": name, "fullname": name, "ok": True, "result": word,
            "reason": "", **fields}  # fmt: skip


def failed(name: str, word: str, reason: str = "") -> Params:
    """One result of a verb that went wrong."""
    return done(name, word, ok=False, reason=reason)
