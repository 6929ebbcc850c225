"""Supervisor, which the goals are compared with."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Sequence
from pathlib import Path

from tests.bench.contenders.base import Contender, Program
from tests.bench.measure import PEER
from tests.bench.venvs import Cache


class Supervisor(Contender):
    """Supervisor 4.3, with minfds no larger than it needs: every child closes that many."""

    name = PEER
    has_list = True

    @classmethod
    def installed(cls, cache: Cache) -> Path:
        """See `Contender.installed`."""
        return cache.peer()

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

    def restart_command(self, program: str) -> list[str]:
        """See `Contender.restart_command`."""
        return [str(self.bin / "supervisorctl"), "-c", str(self._config), "restart", program]

    def lister(self) -> tuple[str, Path]:
        """See `Contender.lister`."""
        return "supervisor", self._socket
