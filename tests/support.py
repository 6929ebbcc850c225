"""A real daemon in a directory of its own, and ways to talk to it and to look at it.

Tests that use it can run side by side: everything a daemon owns lies below its own directory,
and every process it starts carries a mark in its environment by which it is found again.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from tests.client import MARK, Connection, environment_of, slctl_command

T = TypeVar("T")

TICK = 0.02
"""Seconds by which two readings of /proc/uptime may be too close (its resolution is 10 ms)."""


def moment(text: str) -> float:
    """Return a time that the daemon tells (RFC 3339), in seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


def wait_until(condition: Callable[[], T], limit: float = 10.0, what: str = "") -> T:
    """Return what `condition` returns once that is true; fail after `limit` seconds."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit} s: {what or condition}; last: {value!r}")
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Tell whether this process exists and is more than a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def comm(pid: int) -> str:
    """Return the name of the program that a process runs, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def children(pid: int) -> list[int]:
    """Return the live children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == pid and fields[0] not in "ZX":
                    found.append(int(entry.name))
    return sorted(found)


def free_port() -> int:
    """Return a TCP port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Daemon:
    """A daemon with a configuration, directories and a socket of its own."""

    def __init__(
        self,
        programs: str = "",
        *,
        settings: str = "",
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        nofile: int | None = None,
        survivors: bool = False,
    ) -> None:
        self.dir = Path(tempfile.mkdtemp(dir="/tmp", prefix="sl-"))
        self.dir.chmod(0o755)
        self.settings = settings
        self.environment = dict(environment or {})
        self.arguments = list(arguments)
        self.nofile = nofile
        self.survivors_allowed = survivors
        self.config = self.dir / "supervisor.toml"
        self.socket = self.dir / "run" / "supervisor.sock"
        self.stdout = self.dir / "stdout"
        self.stderr = self.dir / "stderr"
        self.process: subprocess.Popen[bytes] | None = None
        self._pipes: dict[str, io.FileIO] = {}
        self.configure(programs)

    def configure(self, programs: str) -> None:
        """Write the configuration, without telling the daemon."""
        head = "\n".join(
            ["[daemon]"]
            + [f'{name}_dir = "{self.dir / folder}"' for name, folder in
               (("runtime", "run"), ("state", "state"), ("log", "log"))]
            + [self.settings]
        )  # fmt: skip
        self.config.write_text(f"{head}\n\n{programs}")

    def command(self) -> list[str]:
        """Return the command line of the daemon."""
        line = [sys.executable, "-m", "supervisor_lite", "-c", str(self.config), *self.arguments]
        if self.nofile is None:
            return line
        return ["sh", "-c", f'ulimit -S -n {self.nofile}; exec "$@"', "sh", *line]

    def launch(self, stderr: int | None = None) -> subprocess.Popen[bytes]:
        """Start the daemon without waiting for it; with a descriptor for its stderr."""
        with self.stdout.open("ab") as out, self.stderr.open("ab") as err:
            self.process = subprocess.Popen(
                self.command(), cwd=self.dir, stdin=subprocess.DEVNULL, stdout=out,
                stderr=err if stderr is None else stderr,
                env=environment_of(str(self.dir), **self.environment), start_new_session=True,
            )  # fmt: skip
        return self.process

    def launch_second(self) -> subprocess.CompletedProcess[str]:
        """Start another daemon with the same configuration, and wait for its end."""
        return subprocess.run(
            self.command(), cwd=self.dir, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            env=environment_of(str(self.dir), **self.environment), timeout=60,
        )  # fmt: skip

    def start(self, limit: float = 30.0) -> Daemon:
        """Start the daemon and wait until it answers."""
        process = self.launch()

        def answers() -> bool:
            code = process.poll()
            assert code is None, f"the daemon ended with {code}:\n{self.stderr.read_text()}"
            return self.answers()

        wait_until(answers, limit, "the daemon answers")
        return self

    def answers(self) -> bool:
        """Tell whether the control socket is served."""
        try:
            self.call("version")
        except OSError:
            return False
        return True

    @property
    def pid(self) -> int:
        """The pid of the daemon."""
        assert self.process is not None
        return self.process.pid

    # talking to it

    def connect(self, limit: float = 30.0) -> Connection:
        """Open a connection to the control socket."""
        return Connection(self.socket, limit)

    def call(self, method: str, **params: object) -> Any:
        """Return the result of one request; raises CallError."""
        with self.connect(60.0) as connection:
            return connection.call(method, **params)

    def status(self, name: str) -> dict[str, Any]:
        """Return what the daemon says about one process."""
        found: dict[str, Any]
        (found,) = self.call("status", names=[name])["processes"]
        return found

    def states(self) -> dict[str, str]:
        """Return the state of every process."""
        return {p["fullname"]: p["state"] for p in self.call("status")["processes"]}

    def spawn_ctl(self, *args: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start `slctl` for this daemon, its output on pipes unless the options say otherwise."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        options = {"stdin": subprocess.DEVNULL, **pipes, **options}
        line = [*slctl_command(), "-c", str(self.config), *args]
        return subprocess.Popen(line, cwd=self.dir, env=environment_of("client"), **options)

    def ctl(self, *args: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run `slctl` and return what it said; fail unless it ends with `code`."""
        with self.spawn_ctl(*args) as client:
            try:
                out, err = client.communicate(timeout=60)
            except BaseException:
                client.kill()
                raise
        done = subprocess.CompletedProcess(
            args, client.returncode, out.decode(errors="surrogateescape"), err.decode()
        )
        if code is not None:
            assert done.returncode == code, f"slctl {args}: {done}\n{self.log()[-3000:]}"
        return done

    def wait_state(self, name: str, *states: str, limit: float = 10.0) -> dict[str, Any]:
        """Wait until a process is in one of these states; return its status."""
        end = time.monotonic() + limit
        while True:
            status = self.status(name)
            if status["state"] in states:
                return status
            if time.monotonic() > end:
                text = f"{name} not {states} within {limit} s: {status}\n{self.log()[-3000:]}"
                raise AssertionError(text)
            time.sleep(0.02)

    def wait_running(self, *names: str) -> dict[str, int]:
        """Wait until all these are RUNNING; return their pids."""
        return {name: self.wait_state(name, "RUNNING")["pid"] for name in names}

    def wait_said(self, name: str, *texts: str) -> None:
        """Wait until the process has printed all of this to stdout."""
        log = f"log/{name}.stdout.log"
        wait_until(lambda: all(text in self.text(log) for text in texts), what=f"{name}: {texts}")

    def planned_pauses(self, name: str, *ends: str, limit: float = 60.0) -> list[float]:
        """Watch a process until it is in one of these states; return the pauses it planned.

        A pause is seconds from the state in which it waits to `next_try`: what the daemon means to
        do, however busy the machine is. One that was too short to be seen is missing.
        """
        pauses: dict[int, float] = {}
        end = time.monotonic() + limit
        while (status := self.status(name))["state"] not in ends:
            assert time.monotonic() < end, f"{name} not {ends} within {limit} s: {status}"
            if status["next_try"] is not None:
                pauses[status["run"]] = moment(status["next_try"]) - moment(status["since"])
            time.sleep(0.02)
        return [pauses[run] for run in sorted(pauses)]

    def signal(self, number: int) -> None:
        """Send a signal to the daemon."""
        os.kill(self.pid, number)

    def say(self, name: str, data: str | bytes) -> None:
        """Make the `echoer` called `name` print `data`."""
        pipe = self.dir / f"{name}.pipe"
        if name not in self._pipes:  # kept open: what is in a pipe that nobody holds is lost
            wait_until(pipe.exists, what=f"{pipe} exists")
            self._pipes[name] = pipe.open("r+b", buffering=0)
        self._pipes[name].write(data.encode() if isinstance(data, str) else data)

    # looking at what it did

    def stamps(self, name: str) -> list[tuple[float, int]]:
        """Return (time, pid) of each run of a `stamper`."""
        path = self.dir / f"{name}.stamp"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(float(up), int(pid)) for up, pid in map(str.split, lines)]

    def text(self, name: str) -> str:
        """Return a file in the daemon's directory, empty if there is none."""
        path = self.dir / name
        return path.read_text(errors="surrogateescape") if path.exists() else ""

    def log(self) -> str:
        """Return the daemon's own log."""
        return self.text("log/supervisor-lite.log") or self.text("stderr")

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Return the changes of these processes that the daemon has published, the oldest first."""
        changes = self.call("events", limit=1000)["changes"]
        return [change for change in changes if not names or change["name"] in names]

    def changes(self, name: str) -> list[tuple[str, str]]:
        """Return the changes of state of a process, from what to what."""
        return [(event["from"], event["to"]) for event in self.events(name)]

    def marked(self, *variables: str) -> list[int]:
        """Return the live processes below this daemon whose environment has these entries."""
        return sorted(_marked([f"{MARK}={self.dir}", *variables]))

    def pids_of(self, name: str, program: str | None = None) -> list[int]:
        """Return the live processes of `name`, descendants included; only those of `program`."""
        pids = self.marked(f"SUPERVISOR_PROCESS_NAME={name}")
        return [pid for pid in pids if program is None or comm(pid) == program]

    # ending it

    def wait_exit(self, limit: float = 40.0) -> int:
        """Wait for the end of the daemon and return its exit code."""
        assert self.process is not None
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            text = f"the daemon did not end within {limit} s\n{self.log()[-3000:]}"
            raise AssertionError(text) from None

    def close(self) -> None:
        """Stop the daemon as an operator would; fail unless it ends well and leaves nothing."""
        try:
            if self.process is not None and self.process.poll() is None:
                self.process.terminate()
                assert self.wait_exit() == 0, self.log()[-3000:]
            if self.process is not None and self.process.returncode == 0:
                left = [_describe(pid) for pid in self.marked()]
                assert self.survivors_allowed or not left, f"survivors: {left}"
            said = self.text("stderr") + self.log()
            place = said.find("Traceback")
            assert place < 0, said[max(0, place - 500) : place + 5000]
        finally:
            wait_until(self._kill_all, what="every process is gone")
            if self.process is not None:
                self.process.wait()
            for pipe in self._pipes.values():
                pipe.close()
            shutil.rmtree(self.dir, ignore_errors=True)

    def _kill_all(self) -> bool:
        pids = self.marked()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids


class Daemons:
    """Makes daemons for one test and ends them after it."""

    def __init__(self) -> None:
        self._made: list[Daemon] = []

    def prepare(self, programs: str = "", **options: Any) -> Daemon:
        """Return a daemon that is configured but not started."""
        daemon = Daemon(programs, **options)
        self._made.append(daemon)
        return daemon

    def __call__(self, programs: str = "", **options: Any) -> Daemon:
        """Return a daemon that answers."""
        return self.prepare(programs, **options).start()

    def close(self) -> None:
        """End them all; every one is ended even if another fails."""
        with contextlib.ExitStack() as stack:
            for daemon in self._made:
                stack.callback(daemon.close)


def _marked(entries: Sequence[str]) -> Iterator[int]:
    wanted = {entry.encode() for entry in entries}
    first = next(iter(wanted))
    for name in filter(str.isdigit, os.listdir("/proc")):  # a Path for each takes thrice as long
        with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb", 0) as file:
            environment = file.read(1 << 20)  # a process can claim to have any size of it
            if first in environment and wanted <= set(environment.split(b"\0")):
                yield int(name)


def _describe(pid: int) -> str:
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return f"{pid}: {b' '.join(words).decode(errors='replace')}"
    return str(pid)
