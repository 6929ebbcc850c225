"""What connects a process with the daemon: its output, its input, its sockets, its environment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence

from supervisor_lite.core.bus import Bus
from supervisor_lite.core.context import EngineContext
from supervisor_lite.core.process import Process
from supervisor_lite.core.topics import OutputSeen
from supervisor_lite.errors import OperationFailed, SpawnError
from supervisor_lite.host import users
from supervisor_lite.host.live_fifo import is_open_in, open_live
from supervisor_lite.host.procfs import RUN_VARIABLE
from supervisor_lite.host.spawn_request import Channels
from supervisor_lite.logs import stdin
from supervisor_lite.logs.fifo import fifo_path, stored_name
from supervisor_lite.logs.filtering import OutputKind
from supervisor_lite.logs.pipes import Pipes
from supervisor_lite.logs.processlogs import STDERR, STDOUT, STREAMS, ProcessLogs
from supervisor_lite.model.program import Program, Stdin
from supervisor_lite.protocol.codes import ErrorCode


class ProcessChannels:
    """The channels of all processes. They outlive runs, and the daemon itself."""

    def __init__(self, context: EngineContext, bus: Bus) -> None:
        self._context = context
        self._bus = bus
        self._pipes = Pipes(context.loop)
        self._directory = context.runtime_dir
        """Where the FIFOs are made."""

    # Output.

    def logs_of(self, process: Process) -> ProcessLogs:
        """Return the output of a process, opened or not."""
        logs = process.logs
        if logs is None:
            context = self._context

            def on_output(stream: str, kind: OutputKind, data: str | bytes) -> None:
                if self._bus.has_subscribers(OutputSeen):
                    self._bus.publish(OutputSeen(process, stream, kind, data))

            logs = ProcessLogs(
                self._pipes,
                self._directory,
                process.program,
                context.report,
                on_output=on_output,
                on_loss=process.show_output_anew,
            )
            process.set_logs(logs)
        return logs

    def resume_output(self, process: Process, pids: Sequence[int] = ()) -> str:
        """Go on with what is in the pipes of a process that an earlier daemon has spawned.

        `pids` is who is alive of its run, the main process first: a pipe whose name is gone, or
        that another daemon has made elsewhere, is taken from them. Returns why that cannot be, so
        that their output is lost; else an empty text.
        """
        if not os.path.isdir(self._directory):
            self._choose_directory()
        logs = self.logs_of(process)
        logs.move_to(self._directory)
        live, lost = _live_pipes(logs.wanted_paths(), pids)
        try:
            logs.open(*users.ids(process.program.user), adopting=True, live=live)
        except SpawnError as error:
            self._context.report(f"{process.name}: {error}")
            lost = lost or str(error)
        return lost

    def fifos_of(self, program: Program) -> frozenset[tuple[int, int]]:
        """Return device and inode of the FIFOs that runs of a process have inherited."""
        paths = (fifo_path(self._directory, program, name) for name in STREAMS)
        found = [os.lstat(path) for path in paths if os.path.lexists(path)]
        return frozenset((status.st_dev, status.st_ino) for status in found)

    # Input.

    def open_input(self, process: Process) -> int:
        """Open the input of a process to write without waiting. Raises OSError."""
        path = fifo_path(self._directory, process.program, "stdin")
        pid = process.record.pid
        if pid is not None and not is_open_in(pid, path, 0):
            with contextlib.suppress(OSError):
                if (fd := open_live((pid,), path, os.O_WRONLY)) is not None:
                    return fd
        return stdin.open_to_write(path)

    def send_input(self, process: Process, data: bytes) -> int:
        """Write to the input of a process; return how many bytes it took.

        Raises OperationFailed.
        """
        if process.pidfd is None:
            raise OperationFailed("not running", ErrorCode.NOT_RUNNING)
        if process.program.listener:
            text = "it is an event listener: it reads events and nothing else"
            raise OperationFailed(text, ErrorCode.NO_INPUT)
        return stdin.send(lambda: self.open_input(process), data)

    # Spawning.

    @contextlib.contextmanager
    def opened(self, process: Process) -> Iterator[Channels]:
        """Open everything that a child is to have; what is open already stays.

        If a directory of ours has vanished, it is made anew. What only the child needs is closed
        at the end. Raises SpawnError.
        """
        if process.program.credentials and not os.path.isdir(self._context.runtime_dir):
            self._context.restore()
        if self._directory != self._context.runtime_dir:
            self._choose_directory()
        with contextlib.ExitStack() as stack:
            try:
                channels = self._open(process, stack)
            except SpawnError:
                restored = self._context.restore()
                if not (self._choose_directory() or restored):
                    raise
                channels = self._open(process, stack)
            yield channels

    def _choose_directory(self) -> bool:
        """Make FIFOs in `runtime_dir`, or elsewhere while that is gone; tell if that changes."""
        usual, spare = self._context.runtime_dir, self._context.spare_dir
        wanted = usual if os.path.isdir(usual) or not spare else spare
        if wanted == self._directory:
            return False
        if wanted == spare:
            try:
                os.makedirs(spare, mode=0o700, exist_ok=True)
            except OSError:
                return False
            self._context.report(f'"{usual}" is gone: pipes of programs are in "{spare}" meanwhile')
        self._directory = wanted
        return True

    def _open(self, process: Process, stack: contextlib.ExitStack) -> Channels:
        program = process.program
        uid, gid = users.ids(program.user)
        logs = self.logs_of(process)
        before = logs.fds()
        logs.move_to(self._directory)
        logs.open(uid, gid)
        for stream, fd in logs.fds().items():
            if stream not in before:
                self._context.store(stored_name(fd), fd)
        source = self._open_stdin(program, uid, gid)
        if source is not None:
            stack.callback(os.close, source)
        stdout, stderr, joined = logs.child_paths()
        # Not by their names: whoever owns a directory above could have others found there.
        fds = {name: f"/proc/self/fd/{fd}" for name, fd in logs.fds().items()}
        channels = Channels(
            source, fds.get(STDOUT) if stdout else None, fds.get(STDERR) if stderr else None, joined
        )
        sockets = self._context.sockets.acquire(process.name, program.sockets, uid, gid)
        if not sockets:
            return channels
        if program.stdin is Stdin.SOCKET:
            return channels._replace(stdin=sockets[0])
        names = tuple(each.name or program.program or program.name for each in program.sockets)
        return channels._replace(sockets=tuple(sockets), socket_names=names)

    def _open_stdin(self, program: Program, uid: int, gid: int) -> int | None:
        if program.listener:
            return stdin.open_fresh_stdin(self._directory, program, uid, gid)
        if program.stdin is Stdin.PIPE:
            return stdin.open_stdin(self._directory, program, uid, gid)
        return None

    # The end.

    def release(self, process: Process) -> None:
        """Close what only a process needs that is not down."""
        self._context.sockets.release(process.name)

    def remove(self, process: Process) -> None:
        """Take away what is kept for a process that is no longer defined."""
        if process.logs is not None:
            for fd in process.logs.fds().values():
                self._context.unstore(stored_name(fd))
            process.logs.remove()
            process.set_logs(None)
        stdin.remove(self._directory, process.program)

    def close(self) -> None:
        """Read nothing any more."""
        self._pipes.close()


def _live_pipes(paths: Mapping[str, str], pids: Sequence[int]) -> tuple[dict[str, int], str]:
    """Return by stream the pipes that these processes have open in place of those at the paths.

    And why one that is not there cannot be had, if so.
    """
    live, lost = {}, ""
    for stream, path in paths.items() if pids else ():
        if is_open_in(pids[0], path, STREAMS.index(stream) + 1):
            continue
        try:
            fd = open_live(pids, path, os.O_RDWR)
        except OSError as error:
            if not os.path.lexists(path):
                lost = f'its pipe "{path}" is gone, and it cannot be opened: {error.strerror}'
            continue
        if fd is not None and _is_at(fd, path):
            os.close(fd)
        elif fd is not None:
            live[stream] = fd
    return live, lost


def _is_at(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except OSError:
        return False


def child_environment(base: Mapping[str, str], program: Program, marker: str) -> dict[str, str]:
    """Return the environment of a child; `marker` is the identity of its run."""
    environment = {
        **base,
        "SUPERVISOR_PROCESS_NAME": program.name,
        "SUPERVISOR_GROUP_NAME": program.group or program.name,
        **program.environment,
        RUN_VARIABLE: marker,
    }
    if program.serverurl is not None:
        environment["SUPERVISOR_SERVER_URL"] = program.serverurl
    return environment
