"""This checkout, installed as a user would."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.bench.contenders.base import Contender, Program
from tests.bench.measure import LITE
from tests.bench.venvs import BenchError
from tests.client import Connection


class Lite(Contender):
    """This checkout; its journal is on disk."""

    name = LITE
    has_list = True

    @property
    def _config(self) -> Path:
        return self.place.dir / "supervisor.toml"

    @property
    def socket(self) -> Path:
        """The control socket."""
        return self.place.dir / "run" / "supervisor.sock"

    def configure(self, programs: Sequence[Program], **settings: object) -> None:
        """See `Contender.configure`; `settings`: more of the table `[daemon]`."""
        lines = ["[daemon]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
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
        with Connection(self.socket, 60.0) as connection:
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

    def restart_command(self, program: str) -> list[str]:
        """See `Contender.restart_command`."""
        return [str(self.bin / "slctl"), "-c", str(self._config), "restart", program]

    def kill(self) -> None:
        """End the daemon as nobody should; what it has started goes on."""
        assert self.process is not None
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()

    def upgrade(self) -> None:
        """Ask the daemon to execute itself anew; it hangs up when it does."""
        with Connection(self.socket, 60.0) as connection:
            connection.send("upgrade")
            answer = connection.receive()
        if answer is not None:
            raise BenchError(f"the upgrade did not happen: {answer}")

    def children(self) -> dict[str, int]:
        """Return the pid of every process that it has in its care."""
        result = self.call("status")
        assert isinstance(result, dict)
        return {process["fullname"]: process["pid"] for process in result["processes"]}

    def lister(self) -> tuple[str, Path]:
        """See `Contender.lister`."""
        return "lite", self.socket
