"""Real gateways, real daemons, real clients."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import xmlrpc.client
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor_lite.passwords import make_hash
from tests.client import environment_of
from tests.gateway.peers import Prog, config_ini, config_toml, same
from tests.peer import supervisor_bin
from tests.support import Daemon, wait_until

CHEAP = 10
"""log2 of the work factor for the passwords of tests."""


class Gateway:
    """A gateway with the configuration of a daemon of a test."""

    def __init__(self, daemon: Daemon, table: str = "", arguments: Sequence[str] = ()) -> None:
        self.daemon = daemon
        self.socket = daemon.dir / "http.sock"
        self.table = table or f'[gateway]\nlisten = ["unix://{self.socket}"]\n'
        self.arguments = list(arguments)
        self.log = daemon.dir / "gateway.log"
        self.command = [sys.executable, "-m", "supervisor_lite.gateway"]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Gateway:
        """Start it and wait until it answers."""
        config = self.daemon.dir / "gateway.toml"
        config.write_text(f'[daemon]\nruntime_dir = "{self.daemon.dir / "run"}"\n\n{self.table}')
        command = [*self.command, "-c", str(config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment_of(str(self.daemon.dir)), start_new_session=True,
            )  # fmt: skip
        process = self.process

        def listens() -> bool:
            assert process.poll() is None, self.log.read_text()
            return "serves" in self.log.read_text()

        wait_until(listens, 20, "the gateway listens")
        return self

    def close(self) -> None:
        """End it as an operator would; fail unless it ends well and said nothing bad."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the gateway did not end\n{self.log.read_text()}") from None
        said = self.log.read_text()
        assert code == 0, f"the gateway ended with {code}\n{said}"
        assert "Traceback" not in said, said

    def rpc(self, method: str, *params: object) -> Any:
        """Call an XML-RPC method over the Unix socket."""
        return call(self.socket, method, *params)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str | Path, timeout: float = 60.0) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = UnixConnection(self._path)
        self._connection = host, connection  # what the transport closes
        return connection


def unix_proxy(path: str | Path) -> xmlrpc.client.ServerProxy:
    """Return an XML-RPC client over a Unix socket, to be used with `with`."""
    transport = _UnixTransport(path)
    return xmlrpc.client.ServerProxy("http://localhost", transport=transport, allow_none=True)


def call(path: str | Path, method: str, *params: object) -> Any:
    """Call an XML-RPC method over a Unix socket."""
    with unix_proxy(path) as proxy:
        return getattr(proxy, method)(*params)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def ask(
    where: str | Path | tuple[str, int],
    method: str,
    path: str,
    body: bytes | str | None = None,
    **headers: str,
) -> Answer:
    """Send one request; `X_Supervisor_Lite="1"` is the header X-Supervisor-Lite."""
    connection = (
        http.client.HTTPConnection(*where, timeout=30)
        if isinstance(where, tuple)
        else UnixConnection(where, timeout=30)
    )
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    data = body.encode() if isinstance(body, str) else body
    with contextlib.closing(connection):
        connection.request(method, path, data, named)
        reply = connection.getresponse()
        return Answer(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())


def users(**passwords: str) -> str:
    """Return [[gateway.users]]; each user's name is its role, too."""
    return "".join(
        f'[[gateway.users]]\nname = "{name}"\nrole = "{name}"\n'
        f'password_hash = "{make_hash(password, CHEAP)}"\n'
        for name, password in passwords.items()
    )


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    lines: list[str]
    raw: str


class Side:
    """One of two daemons with the same programs, and supervisorctl for it."""

    def __init__(self, bin_dir: Path, socket_path: Path) -> None:
        self.bin = bin_dir
        self.socket = socket_path
        self.url = f"unix://{socket_path}"

    def spawn(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start the real supervisorctl."""
        command = [str(self.bin / "supervisorctl"), "-s", self.url, *words]
        settings: dict[str, Any] = {
            "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT,
            "text": True, "cwd": "/", "env": {**os.environ, "LC_ALL": "C.UTF-8"},
        }  # fmt: skip
        return subprocess.Popen(command, **{**settings, **options})

    def finish(self, process: subprocess.Popen[str], text: str | None = None) -> Ran:
        """Wait for it."""
        with process:
            try:
                said, _ = process.communicate(text, timeout=60)
            except BaseException:
                process.kill()
                raise
        return Ran(process.returncode, same(said), said)

    def ctl(self, *words: str) -> Ran:
        """Run the real supervisorctl."""
        return self.finish(self.spawn(*words))

    def rpc(self, method: str, *params: object) -> Any:
        """Call an XML-RPC method."""
        return call(self.socket, method, *params)

    def states(self) -> dict[str, str]:
        """Return the state of every process."""
        return {
            f"{p['group']}:{p['name']}": p["statename"]
            for p in self.rpc("supervisor.getAllProcessInfo")
        }


class Both:
    """supervisord 4.3.0, and our daemon with its gateway, with the same programs."""

    def __init__(self, programs: Sequence[Prog], groups: dict[str, list[str]]) -> None:
        bin_dir = supervisor_bin()
        self.daemon = Daemon(config_toml(programs, groups))
        self.gateway = Gateway(self.daemon)
        self.place = Path(tempfile.mkdtemp(dir="/tmp", prefix="sl-peer-"))
        self.ours = Side(bin_dir, self.gateway.socket)
        self.theirs = Side(bin_dir, self.place / "http.sock")
        self.sides = (self.ours, self.theirs)
        self._peer: subprocess.Popen[bytes] | None = None
        self.configure(programs, groups)

    def configure(self, programs: Sequence[Prog], groups: dict[str, list[str]]) -> None:
        """Write both configurations."""
        self.daemon.configure(config_toml(programs, groups))
        ini = config_ini(programs, groups, str(self.theirs.socket))
        (self.place / "supervisord.conf").write_text(ini)

    def start(self) -> None:
        """Start both and wait until both answer."""
        self._peer = subprocess.Popen(
            [str(self.theirs.bin / "supervisord"), "-n", "-c", "supervisord.conf"],
            cwd=self.place, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=environment_of(str(self.place)), start_new_session=True,
        )  # fmt: skip
        self.daemon.start()
        self.gateway.start()

        def answers() -> bool:
            with contextlib.suppress(OSError):
                return bool(self.theirs.rpc("supervisor.getVersion"))
            return False

        wait_until(answers, 20, "supervisord answers")

    def settle(self, **states: str) -> None:
        """Wait until both show these states, of `group:name` or a whole `group`."""

        def settled() -> bool:
            return all(_fits(side.states(), states) for side in self.sides)

        try:
            wait_until(settled, 30, "both are settled")
        except AssertionError as error:
            text = f"{error}\nours {self.ours.states()}\ntheirs {self.theirs.states()}"
            raise AssertionError(text) from None

    def ctl(self, *words: str) -> tuple[Ran, Ran]:
        """Run the real supervisorctl against both at the same time."""
        ours, theirs = self.ours.spawn(*words), self.theirs.spawn(*words)
        return self.ours.finish(ours), self.theirs.finish(theirs)

    def close(self) -> None:
        """End both, and everything that they started."""
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, self.place, ignore_errors=True)
            stack.callback(self._end_peer)
            stack.callback(self.daemon.close)
            stack.callback(self.gateway.close)

    def _end_peer(self) -> None:
        if self._peer is not None:
            self._peer.terminate()
            try:
                self._peer.wait(20)
            except subprocess.TimeoutExpired:
                self._peer.kill()
                self._peer.wait()
        wait_until(lambda: not _kill_below(self.place), what="nothing of supervisord is left")


def _kill_below(place: Path) -> list[int]:
    from tests.support import _marked  # the mark is in the environment of all of them

    found = list(_marked([f"SL_TEST_MARK={place}"]))
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return found


def _fits(now: dict[str, str], wanted: dict[str, str]) -> bool:
    for name, state in wanted.items():
        found = [s for full, s in now.items() if name in (full, full.partition(":")[0])]
        if not found or any(s != state for s in found):
            return False
    return True


@contextlib.contextmanager
def side_by_side(
    programs: Sequence[Prog], groups: dict[str, list[str]] | None = None
) -> Iterator[Both]:
    """Run both daemons with the same programs."""
    both = Both(programs, groups or {})
    try:
        both.start()
        yield both
    finally:
        both.close()


def numbers(text: str) -> list[int]:
    """Return the numbers of a text."""
    return [int(word) for word in re.findall(r"\d+", text)]
