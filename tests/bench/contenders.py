"""Who is measured: supervisor-lite, Supervisor, and a bare loop in Python.

A further supervisor is one more subclass of `Contender`; the scenarios take whatever they are
given and leave out what a contender cannot do.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests.bench.measure import BARE, LITE, PEER
from tests.bench.place import Place, wait_until
from tests.bench.venvs import BenchError
from tests.client import Connection

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Program:
    """What each contender is told to run; everything else is left at its own defaults."""

    name: str
    command: list[str]
    autostart: bool = True
    startsecs: int = 1
    log: Path | None = None
    """Where its stdout goes; None for the contender's own choice, which is to keep it."""
    maxbytes: int = 50 << 20
    backups: int = 10


class Contender:
    """A supervisor at work in a place of its own."""

    name: ClassVar[str]
    has_client: ClassVar[bool] = True
    """Is there a daemon to ask, and a command to ask it with?"""

    def __init__(self, bin_directory: Path, place: Place) -> None:
        self.bin = bin_directory
        self.place = place
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The pid of the daemon."""
        assert self.process is not None
        return self.process.pid

    def configure(self, programs: Sequence[Program]) -> None:
        """Write down what is to run."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """Return the command that starts the daemon in the foreground."""
        raise NotImplementedError

    def launch(self) -> None:
        """Start the daemon and return at once."""
        self.process = self.place.popen(self.command())

    def answers(self) -> bool:
        """Ask it once; False while nobody answers."""
        raise NotImplementedError

    def wait_answer(self, limit: float = 60.0) -> None:
        """Wait until it answers."""

        def answered() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                raise BenchError(f"{self.name} ended: {self.place.said()}")
            return self.answers()

        wait_until(answered, limit, f"{self.name} answers")

    def start_all(self) -> None:
        """Ask that everything be started, and do not wait for it."""
        raise NotImplementedError

    def status_command(self) -> list[str]:
        """Return the command with which an operator looks."""
        raise NotImplementedError

    def lister(self) -> tuple[str, Path]:
        """Return what lister.py has to know: which protocol, which socket."""
        raise NotImplementedError

    def terminate(self, limit: float = 120.0) -> None:
        """End the daemon as an operator would, and wait until it is gone."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{self.name} did not end within {limit:g} s") from None

    def remove(self) -> None:
        """Get rid of it and of everything that it started."""
        self.place.remove()
        if self.process is not None:
            self.process.wait()


class Lite(Contender):
    """This checkout."""

    name = LITE

    @property
    def _config(self) -> Path:
        return self.place.dir / "supervisor.toml"

    @property
    def _socket(self) -> Path:
        return self.place.dir / "run" / "supervisor.sock"

    def configure(self, programs: Sequence[Program]) -> None:
        """See `Contender.configure`."""
        lines = ["[daemon]"]
        place = self.place
        for key, path in (
            ("runtime", place.dir / "run"), ("state", place.disk), ("log", place.dir / "log"),
        ):  # fmt: skip
            lines.append(f"{key}_dir = {json.dumps(str(path))}")
        for program in programs:
            lines += [
                f"[program.{program.name}]",
                f"command = {json.dumps([word.replace('%', '%%') for word in program.command])}",
                f"autostart = {json.dumps(program.autostart)}",
                "autorestart = true",
                f"startsecs = {program.startsecs}",
            ]
            if program.log is not None:
                lines += [
                    f"stdout_logfile = {json.dumps(str(program.log))}",
                    f"stdout_logfile_maxbytes = {program.maxbytes}",
                    f"stdout_logfile_backups = {program.backups}",
                ]
        self._config.write_text("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        """See `Contender.command`."""
        return [str(self.bin / "supervisor-lite"), "-c", str(self._config)]

    def call(self, method: str, **params: object) -> object:
        """Return the result of one request."""
        with Connection(self._socket, 60.0) as connection:
            return connection.call(method, **params)

    def answers(self) -> bool:
        """See `Contender.answers`."""
        try:
            self.call("version")
        except OSError:
            return False
        return True

    def start_all(self) -> None:
        """See `Contender.start_all`."""
        self.call("start", names=["all"], wait=False)

    def status_command(self) -> list[str]:
        """See `Contender.status_command`."""
        return [str(self.bin / "slctl"), "-c", str(self._config), "status"]

    def lister(self) -> tuple[str, Path]:
        """See `Contender.lister`."""
        return "lite", self._socket


class Supervisor(Contender):
    """Supervisor 4.3, with minfds no larger than it needs: every child closes that many."""

    name = PEER

    @property
    def _config(self) -> Path:
        return self.place.dir / "supervisord.conf"

    @property
    def _socket(self) -> Path:
        return self.place.dir / "supervisor.sock"

    def configure(self, programs: Sequence[Program]) -> None:
        """See `Contender.configure`."""
        here = self.place.dir
        lines = [
            "[unix_http_server]", f"file={self._socket}",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
            "[supervisorctl]", f"serverurl=unix://{self._socket}",
            "[supervisord]", f"logfile={here / 'supervisord.log'}", f"childlogdir={here}",
            f"pidfile={here / 'supervisord.pid'}", f"minfds={max(1024, 3 * len(programs) + 100)}",
        ]  # fmt: skip
        for program in programs:
            command = shlex.join(program.command).replace("%", "%%")
            lines += [
                f"[program:{program.name}]",
                f"command={command}",
                f"autostart={str(program.autostart).lower()}",
                "autorestart=true",
                f"startsecs={program.startsecs}",
            ]
            if program.log is not None:
                lines += [
                    f"stdout_logfile={program.log}",
                    f"stdout_logfile_maxbytes={program.maxbytes}",
                    f"stdout_logfile_backups={program.backups}",
                ]
        self._config.write_text("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        """See `Contender.command`."""
        return [str(self.bin / "supervisord"), "-n", "-c", str(self._config)]

    def _post(self, method: str, params: str = "") -> bytes:
        call = f"<methodCall><methodName>supervisor.{method}</methodName>{params}</methodCall>"
        head = f"POST /RPC2 HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: {len(call)}"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60.0)
            connection.connect(str(self._socket))
            connection.sendall(f"{head}\r\n\r\n{call}".encode())
            answer = b""
            while data := connection.recv(1 << 16):
                answer += data
        return answer

    def answers(self) -> bool:
        """See `Contender.answers`."""
        try:
            return b"methodResponse" in self._post("getSupervisorVersion")
        except OSError:
            return False

    def start_all(self) -> None:
        """See `Contender.start_all`."""
        no_wait = "<params><param><value><boolean>0</boolean></value></param></params>"
        self._post("startAllProcesses", no_wait)

    def status_command(self) -> list[str]:
        """See `Contender.status_command`."""
        return [str(self.bin / "supervisorctl"), "-c", str(self._config), "status"]

    def lister(self) -> tuple[str, Path]:
        """See `Contender.lister`."""
        return "supervisor", self._socket


class Bare(Contender):
    """A loop in Python that does only what cannot be left out; run by our own interpreter."""

    name = BARE
    has_client = False

    how = "popen"
    """`popen` is what a Python programmer writes, `spawn` the least that Python can do."""

    def configure(self, programs: Sequence[Program]) -> None:
        """See `Contender.configure`."""
        lines = ["\0".join(program.command) + "\n" for program in programs]
        (self.place.dir / "commands").write_text("".join(lines))
        self._asked = not all(program.autostart for program in programs)

    def command(self) -> list[str]:
        """See `Contender.command`."""
        line = [str(self.bin / "python"), "-I", str(_HERE / "bare.py"), self.how]
        return [*line, str(self.place.dir / "commands"), *(["asked"] if self._asked else [])]

    def launch(self) -> None:
        """See `Contender.launch`."""
        if not self._asked:
            super().launch()
            return
        pipe = subprocess.PIPE
        self.process = self.place.popen(self.command(), stdin=pipe, stdout=pipe)

    def wait_answer(self, limit: float = 60.0) -> None:
        """Wait until it could start."""
        if self._asked:
            assert self.process is not None
            assert self.process.stdout is not None
            self.process.stdout.readline()

    def start_all(self) -> None:
        """See `Contender.start_all`."""
        assert self.process is not None
        assert self.process.stdin is not None
        os.write(self.process.stdin.fileno(), b"\n")

    def remove(self) -> None:
        """See `Contender.remove`."""
        super().remove()
        if self.process is not None:
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()


def interpreter(bin_directory: Path) -> list[str]:
    """Return the command of a Python that does nothing: the floor of every client in Python."""
    return [str(bin_directory / "python"), "-I", "-c", "pass"]
