"""What systemd's store of descriptors does for a service, without systemd."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from tests.client import environment_of
from tests.support import Daemon, wait_until


class DescriptorStore:
    """Keeps descriptors for the next daemon, as systemd does."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.fds: dict[str, int] = {}
        self._service = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._service.bind(str(daemon.dir / "notify"))
        self._service.setblocking(False)
        daemon.environment["NOTIFY_SOCKET"] = str(daemon.dir / "notify")

    def take(self) -> None:
        """Read what the daemon has sent so far."""
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self._service, 4096, 1)
            except BlockingIOError:
                return
            said = dict(line.split("=", 1) for line in data.decode().splitlines())
            if "FDSTORE" in said:
                os.close(self.fds.pop(said["FDNAME"], os.open("/dev/null", os.O_RDONLY)))
                (self.fds[said["FDNAME"]],) = fds
            elif said.get("FDNAME") in self.fds:  # FDSTOREREMOVE
                os.close(self.fds.pop(said["FDNAME"]))

    def launch(self) -> None:
        """Start the next daemon with all that is kept."""
        passed = list(self.fds.values())
        script = (
            "import fcntl, os, sys\n"
            "fds = [fcntl.fcntl(int(w), fcntl.F_DUPFD, 200) for w in sys.argv[1].split(',')]\n"
            "for number, fd in enumerate(fds, 3): os.dup2(fd, number)\n"
            "os.environ['LISTEN_PID'] = str(os.getpid())\n"
            "os.closerange(3 + len(fds), 1000)\n"
            "os.execv(sys.argv[2], sys.argv[2:])\n"
        )
        listen = {"LISTEN_FDS": str(len(passed)), "LISTEN_FDNAMES": ":".join(self.fds)}
        words = [sys.executable, "-c", script, ",".join(map(str, passed)), *self.daemon.command()]
        with self.daemon.stderr.open("ab") as err:
            self.daemon.process = subprocess.Popen(
                words, cwd=self.daemon.dir, stdin=subprocess.DEVNULL, stderr=err, pass_fds=passed,
                env=environment_of(str(self.daemon.dir), **self.daemon.environment, **listen),
                start_new_session=True,
            )  # fmt: skip
        wait_until(self.daemon.answers, 30)

    def close(self) -> None:
        """Let go of everything."""
        for fd in self.fds.values():
            os.close(fd)
        self._service.close()
