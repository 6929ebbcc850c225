"""The end of the daemon: one way for everybody who asks for it, and what it guarantees.

A signal, `slctl shutdown` and `exit_when` all come to `Shutdown.request`. What holds then:

- **It happens once.** Who asks again waits for the same end. A second signal does not wait: every
  process that is left is killed at once, and the end goes on as before.
- **From the first moment nothing starts.** `Supervisor.stopping` refuses every start, so a program
  that dies meanwhile stays down, and an update or an upgrade is refused.
- **Stopped means stopped.** Processes stop by descending priority, event listeners after those
  that they listen to; the end waits until all of them and their leftovers are gone, however long
  `stopwaitsecs` lets that be. Only then the journal forgets them.
- **It is no wish about a program.** A daemon that is killed before all are down leaves to the next
  one which programs were wanted; they run again then. What an operator had stopped stays stopped.
- **Or nothing is touched.** With `leave_running` no process gets a signal, and the journal keeps
  everything for the next daemon.
- **Everybody gets an answer.** Whoever asked on the control socket has the reply before the
  connection is closed; a client that does not read it cannot keep the daemon for more than 2 s.
- **The exit code** is 0, or what `exit_when` has made of the programs' exit codes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from supervisor_lite.control.server import ControlServer
from supervisor_lite.core.bus import Bus
from supervisor_lite.core.operations import Operations
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.core.topics import DaemonStateChanged
from supervisor_lite.daemon.log import Log
from supervisor_lite.daemon.systemd import Notifier
from supervisor_lite.daemon.tasks import BackgroundTasks
from supervisor_lite.errors import OperationFailed
from supervisor_lite.model.operation import Operation, OperationKind
from supervisor_lite.model.states import State
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.store.journal import Journal

_MAX_FLUSH = 2.0
"""Seconds that clients have to read their last reply before the daemon is gone."""

_LAST_ROUNDS = 32
"""Iterations of the event loop in which followers get the last output, 64 KB of a log in each."""

_FLUSH_CHECK = 0.005
"""Seconds between two checks: asyncio does not report when a transport is flushed."""


class Shutdown:
    """Ends everything once, whoever asks for it, and how often."""

    def __init__(
        self,
        supervisor: Supervisor,
        operations: Operations,
        bus: Bus,
        journal: Journal,
        notifier: Notifier,
        log: Log,
        tasks: BackgroundTasks,
    ) -> None:
        self.exit_code = 0
        """What the daemon exits with."""
        self.leave_running = False
        """The end has begun, and the programs stay."""
        self._by_condition = False
        """It is `exit_when` that ends the daemon."""
        self._supervisor = supervisor
        self._operations = operations
        self._bus = bus
        self._journal = journal
        self._notifier = notifier
        self._log = log
        self._tasks = tasks
        self._done = asyncio.Event()

    async def request(self, by: str, leave_running: bool) -> None:
        """Stop everything in order, or leave everything running; return when that is done.

        `by` is who asked, for the journal. Raises OperationFailed where the programs are to stay
        and are being stopped already.
        """
        supervisor = self._supervisor
        if leave_running and supervisor.stopping:
            raise OperationFailed("the daemon is shutting down already", ErrorCode.SHUTTING_DOWN)
        if supervisor.stopping:
            await self._done.wait()
            return
        supervisor.stopping = True
        self.leave_running = leave_running
        self._bus.publish(DaemonStateChanged("STOPPING"))
        self._notifier.send("STOPPING=1", "STATUS=stopping")
        if not leave_running:
            everything = list(supervisor.processes.values())
            supervisor.unfinished.begin(self._operation(by, everything))
            await self._operations.stop_in_order(everything, by)
            await self._operations.all_down()
            supervisor.flush()
            self._journal.forget_all()
        # In the next iteration of the loop: the caller's reply is written before.
        asyncio.get_running_loop().call_soon(self._done.set)

    def _operation(self, by: str, everything: Iterable[Process]) -> Operation:
        """Return what the next daemon has to know if this one dies before it is done.

        What met `exit_when` starts with the next daemon, as it does after an end in full.
        """
        return Operation(
            OperationKind.SHUTDOWN,
            by,
            wanted=tuple(p.name for p in everything if p.record.wanted),
            ended=tuple(p.name for p in everything if self._by_condition and _has_ended(p)),
        )

    def begin(self, by: str) -> None:
        """Request it, for somebody who does not wait."""
        self._tasks.start(self.request(by, leave_running=False))

    def on_exit_condition(self, condition: str, reason: str, code: int) -> None:
        """End with this code because `exit_when` is true; only the first reason counts."""
        if self._supervisor.stopping or self.exit_code:
            return
        self._log.warning(f"exit_when {condition}: {reason}, ending with exit code {code}")
        self.exit_code = code
        self._by_condition = True
        self.begin(f"exit_when {condition}: {reason}")

    def kill_now(self, by: str) -> None:
        """Kill everything that is left, at once."""
        everything = list(self._supervisor.processes.values())
        with self._supervisor.signals.together():
            for process in everything:
                self._supervisor.stop(process, by)
        self._supervisor.kill_now(everything)

    async def wait(self) -> None:
        """Wait until somebody has requested the end and everything is as it should be then."""
        await self._done.wait()


def _has_ended(process: Process) -> bool:
    """Has it ended by itself, and would the next daemon start it?"""
    ended = process.record.state in (State.EXITED, State.FATAL)
    return ended and process.program.autostart


async def hang_up(server: ControlServer, *, for_good: bool) -> None:
    """Close the control socket, and every connection as soon as its replies are read.

    If it is for good, who follows something is told that nothing more will come; if not, they wait
    for the next daemon.
    """
    for _ in range(_LAST_ROUNDS):
        await asyncio.sleep(0)
    server.close("the daemon has been shut down" if for_good else "")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _MAX_FLUSH
    while server.connections and loop.time() < deadline:
        await asyncio.sleep(_FLUSH_CHECK)
