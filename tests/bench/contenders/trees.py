"""runit, s6 and daemontools: a directory per program, and a small process that watches over each.

Their packages are unpacked, not installed. Output is captured where a log is asked for, by the
logger that belongs to each of them; otherwise it goes where the daemon's own goes.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from tests.bench.contenders.base import Contender, Program
from tests.bench.measure import DAEMONTOOLS, RUNIT, S6_NAME
from tests.bench.place import Place, find, runs, wait_until
from tests.bench.venvs import Cache


def write_script(path: Path, command: Sequence[str]) -> None:
    """Write an executable that becomes this command."""
    path.write_text(f"#!/bin/sh\nexec {shlex.join(command)}\n")
    path.chmod(0o755)


class Tree(Contender):
    """A scanner of a directory of services, with a supervising process for each."""

    packages: ClassVar[tuple[str, ...]]
    own: ClassVar[frozenset[str]]
    """Names of the processes that belong to the supervisor and not to a program."""
    up: ClassVar[tuple[str, ...]]
    """The command that brings up the services whose directories follow."""

    def __init__(self, bin_directory: Path, place: Place) -> None:
        super().__init__(bin_directory, place)
        libraries = ":".join(map(str, bin_directory.parent.glob("lib/*-linux-*")))
        self._found = {"LD_LIBRARY_PATH": libraries} if libraries else {}
        place.environment |= {"PATH": f"{self.bin}:{place.environment['PATH']}", **self._found}

    @classmethod
    def installed(cls, cache: Cache) -> Path:
        """See `Contender.installed`."""
        return cache.debian(cls.packages)

    @property
    def services(self) -> Path:
        """The directory that is scanned."""
        return self.place.dir / "services"

    def configure(self, programs: Sequence[Program]) -> None:
        """See `Contender.configure`."""
        self.services.mkdir()
        self._directories = [self.services / program.name for program in programs]
        for directory, program in zip(self._directories, programs, strict=True):
            directory.mkdir()
            write_script(directory / "run", program.command)
            if not program.autostart:
                (directory / "down").touch()
            if program.log is not None:
                (directory / "log").mkdir()
                logs = program.log.parent  # they choose the names of the files themselves
                write_script(directory / "log" / "run", self.logger(program, logs))
        # runsvdir waits for the next second before it reads what was changed in this one.
        os.utime(self.services, (0, time.time() - 60))

    def logger(self, program: Program, directory: Path) -> list[str]:
        """Return the command that writes stdin to rotated files in `directory`."""
        raise NotImplementedError

    def pids(self) -> list[int]:
        """See `Contender.pids`."""
        return find(str(self.place.dir), self.own)

    def environment(self) -> dict[str, str]:
        """See `Contender.environment`."""
        return super().environment() | self._found

    def answers(self) -> bool:
        """Tell whether there is somebody behind every service's control FIFO."""
        return all(_is_served(place / "supervise" / "control") for place in self._directories)

    def each(self, *words: str) -> list[str]:
        """Return a command with all services as its last arguments."""
        return [str(self.bin / words[0]), *words[1:], *map(str, self._directories)]

    def terminate(self, limit: float = 120.0) -> None:
        """See `Contender.terminate`: it is over when the last of its processes is gone."""
        own = self.pids()
        self.bring_down()
        assert self.process is not None
        self.process.wait(limit)
        for pid in own:
            wait_until(partial(_is_gone, pid), limit, f"{self.name} ends")

    def bring_down(self) -> None:
        """Ask everything to end."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def start_all(self) -> None:
        """See `Contender.start_all`."""
        self._run(self.each(*self.up))

    def _run(self, command: Sequence[str]) -> None:
        subprocess.run(
            command, env=self.environment(), check=True, timeout=60,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip


class Runit(Tree):
    """runit: runsvdir and a runsv for each."""

    name = RUNIT
    packages = ("runit",)
    own = frozenset({"runsvdir", "runsv", "svlogd"})
    up = ("sv", "up")

    def command(self) -> list[str]:
        """See `Contender.command`."""
        return [str(self.bin / "runsvdir"), "-P", str(self.services)]

    def logger(self, program: Program, directory: Path) -> list[str]:
        """See `Tree.logger`; svlogd reads the file "config"."""
        (directory / "config").write_text(f"s{program.maxbytes}\nn{program.backups + 1}\n")
        return [str(self.bin / "svlogd"), str(directory)]

    def status_command(self) -> list[str]:
        """See `Contender.status_command`."""
        return self.each("sv", "status")

    def restart_command(self, program: str) -> list[str]:
        """See `Contender.restart_command`."""
        return [str(self.bin / "sv"), "restart", str(self.services / program)]


class S6(Tree):
    """s6: s6-svscan and an s6-supervise for each."""

    name = S6_NAME
    packages = ("s6", "libs6-2.11", "libexecline2.9", "libskarnet2.13")
    own = frozenset({"s6-svscan", "s6-supervise", "s6-log"})

    def command(self) -> list[str]:
        """See `Contender.command`; it has to be told that there are more than 500.

        It knows s6-supervise by the one path /usr/bin: in a mount namespace of its own it finds
        it there, and nobody else does. That takes root.
        """
        scanner = [str(self.bin / "s6-svscan"), "-c", "3000", str(self.services)]
        overlay = f"mount -t overlay -o lowerdir={self.bin}:/usr/bin overlay /usr/bin"
        return ["unshare", "--mount", "/bin/sh", "-c", f'{overlay} && exec "$@"', "sh", *scanner]

    def logger(self, program: Program, directory: Path) -> list[str]:
        """See `Tree.logger`."""
        line = [str(self.bin / "s6-log"), f"n{program.backups}", f"s{program.maxbytes}"]
        return [*line, str(directory)]

    def bring_down(self) -> None:
        """See `Tree.bring_down`."""
        self._run([str(self.bin / "s6-svscanctl"), "-t", str(self.services)])

    def _for_each(self, *words: str) -> list[str]:
        """Return the loop that an operator has to write: these commands take one service."""
        loop = f'for service in "$1"/*; do {shlex.join(words)} "$service"; done'
        return ["/bin/sh", "-c", loop, "sh", str(self.services)]

    def start_all(self) -> None:
        """See `Contender.start_all`."""
        self._run(self._for_each(str(self.bin / "s6-svc"), "-u"))

    def status_command(self) -> list[str]:
        """See `Contender.status_command`."""
        return self._for_each(str(self.bin / "s6-svstat"))

    def restart_command(self, program: str) -> list[str]:
        """See `Contender.restart_command`."""
        return [str(self.bin / "s6-svc"), "-r", str(self.services / program)]


class Daemontools(Tree):
    """daemontools: svscan and a supervise for each, 1000 at most."""

    name = DAEMONTOOLS
    packages = ("daemontools",)
    own = frozenset({"svscan", "supervise", "multilog"})
    up = ("svc", "-u")
    largest: ClassVar[int] = 16_777_215
    """Bytes that one file of multilog may have."""

    def command(self) -> list[str]:
        """See `Contender.command`."""
        return [str(self.bin / "svscan"), str(self.services)]

    def logger(self, program: Program, directory: Path) -> list[str]:
        """See `Tree.logger`; more and smaller files, as it has a limit."""
        size = min(program.maxbytes, self.largest)
        count = program.maxbytes * (program.backups + 1) // size + 1
        return [str(self.bin / "multilog"), f"s{size}", f"n{count}", str(directory)]

    def bring_down(self) -> None:
        """See `Tree.bring_down`: the scanner first, lest it start them again."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)
        self._run(self.each("svc", "-dx"))
        logs = [str(place / "log") for place in self._directories if (place / "log").exists()]
        if logs:
            self._run([str(self.bin / "svc"), "-dx", *logs])

    def status_command(self) -> list[str]:
        """See `Contender.status_command`."""
        return self.each("svstat")

    def restart_command(self, program: str) -> list[str]:
        """See `Contender.restart_command`."""
        return [str(self.bin / "svc"), "-t", str(self.services / program)]


def _is_gone(pid: int) -> bool:
    return not runs(pid)


def _is_served(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True
