"""circus, from the package index: one process, and a ZeroMQ socket to ask it."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from pathlib import Path

from tests.bench import lister
from tests.bench.contenders.base import Contender, Program
from tests.bench.contenders.trees import write_script
from tests.bench.measure import CIRCUS
from tests.bench.venvs import Cache


class Circus(Contender):
    """circus with its own check_delay (5 s); it captures output only where a log is asked for."""

    name = CIRCUS
    has_list = True

    @classmethod
    def installed(cls, cache: Cache) -> Path:
        """See `Contender.installed`."""
        return cache.circus()

    @property
    def _config(self) -> Path:
        return self.place.dir / "circus.ini"

    @property
    def _socket(self) -> Path:
        return self.place.dir / "circus.sock"

    def configure(self, programs: Sequence[Program]) -> None:
        """See `Contender.configure`. Commands are scripts: circus expands what looks like $(…)."""
        here = self.place.dir
        self._names = [program.name for program in programs]
        lines = [
            "[circus]", f"endpoint = ipc://{self._socket}",
            f"pubsub_endpoint = ipc://{here / 'circus.pub'}", "statsd = False",
        ]  # fmt: skip
        for program in programs:
            script = here / f"run-{program.name}"
            write_script(script, program.command)
            lines += [
                f"[watcher:{program.name}]", f"cmd = {script}", "copy_env = True",
                f"autostart = {program.autostart}",
            ]  # fmt: skip
            if program.log is not None:
                lines += [
                    "stdout_stream.class = FileStream",
                    f"stdout_stream.filename = {program.log}",
                    f"stdout_stream.max_bytes = {program.maxbytes}",
                    f"stdout_stream.backup_count = {program.backups}",
                ]
        self._config.write_text("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        """See `Contender.command`."""
        return [str(self.bin / "circusd"), str(self._config)]

    def _ask(self, *messages: bytes) -> bytes:
        """Return the answer to the last one."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60.0)
            connection.connect(str(self._socket))
            lister.greet(connection)
            return [lister.ask_circus(connection, message) for message in messages][-1]

    def answers(self) -> bool:
        """See `Contender.answers`."""
        try:
            return b'"ok"' in self._ask(b'{"id": "1", "command": "numwatchers", "properties": {}}')
        except OSError:
            return False

    def start_all(self) -> None:
        """See `Contender.start_all`."""
        # All at once would only start those that are meant to start by themselves, and while
        # one is on its way the next would be refused.
        messages = [
            json.dumps({"id": "1", "command": "start", "properties": {"name": n, "waiting": True}})
            for n in self._names
        ]
        self._ask(*map(str.encode, messages))

    def _client(self, *words: str) -> list[str]:
        line = [str(self.bin / "circusctl"), "--timeout", "60"]
        return [*line, "--endpoint", f"ipc://{self._socket}", *words]

    def status_command(self) -> list[str]:
        """See `Contender.status_command`."""
        return self._client("status")

    def restart_command(self, program: str) -> list[str]:
        """See `Contender.restart_command`."""
        return self._client("restart", program, "--waiting")

    def lister(self) -> tuple[str, Path]:
        """See `Contender.lister`."""
        return "circus", self._socket
