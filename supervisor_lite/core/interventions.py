"""What somebody does to a process that changes no state: a signal, input, an empty log.

Each leaves a change from its state to the same state, with who asked for it: in the journal, for
subscribers, and in the daemon's log.
"""

from __future__ import annotations

from collections.abc import Callable

from supervisor_lite.core.bus import Bus
from supervisor_lite.core.channels import ProcessChannels
from supervisor_lite.core.context import EngineContext
from supervisor_lite.core.process import Process
from supervisor_lite.errors import OperationFailed
from supervisor_lite.host.exit_status import signal_name
from supervisor_lite.host.signals import send
from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.model.change import Change
from supervisor_lite.protocol.codes import ErrorCode

_ONE_INPUT = 60.0
"""Seconds in which the input of one asker is one change, of which the journal has the sum: a file
that is sent line by line must not displace the history."""


class Interventions:
    """Does it, and says who has asked for it."""

    def __init__(
        self,
        context: EngineContext,
        bus: Bus,
        channels: ProcessChannels,
        schedule_flush: Callable[[], None],
    ) -> None:
        self._clock = context.clock
        self._journal = context.journal
        self._bus = bus
        self._channels = channels
        self._schedule_flush = schedule_flush
        self._inputs: dict[str, Change] = {}
        """The last one that each process was sent, by its name, while it is not long ago."""

    def signal(self, process: Process, number: int, by: str) -> None:
        """Send a signal to the main process. Raises OperationFailed if there is none."""
        if process.pidfd is None:
            raise OperationFailed("not running", ErrorCode.NOT_RUNNING)
        try:
            send(process.pidfd, number)
        except ProcessLookupError:
            raise OperationFailed("not running", ErrorCode.NOT_RUNNING) from None
        except OSError as error:
            raise OperationFailed(f"cannot signal: {error.strerror}") from error
        if number:  # 0 only asks whether it may be signalled
            name = signal_name(number)
            process.note_signal(name, by)
            self.note(process, Cause(CauseKind.SIGNAL_SENT, signal=name), by)

    def clear(self, process: Process, by: str) -> None:
        """Empty the logs of a process. Raises OperationFailed."""
        self._channels.logs_of(process).clear()
        self.note(process, Cause(CauseKind.LOG_CLEARED), by)

    def send(self, process: Process, data: bytes, by: str) -> int:
        """Write to the input of a process; return how many bytes it took.

        Raises OperationFailed.
        """
        sent = self._channels.send_input(process, data)
        last = self._inputs.get(process.name)
        if last is None or not self._is_one(last, process, by):
            cause = Cause(CauseKind.INPUT_SENT, used=sent)
            self._inputs[process.name] = self.note(process, cause, by)
            return sent
        assert last.cause is not None
        cause = last.cause._replace(used=(last.cause.used or 0) + sent)
        self._inputs[process.name] = more = last._replace(cause=cause)
        self._journal.amend_change(more)
        self._schedule_flush()
        return sent

    def _is_one(self, last: Change, process: Process, by: str) -> bool:
        """Does the input go on with which the change began?"""
        same = (last.by, last.run) == (by, process.record.run)
        return same and 0 <= self._clock.wall() - last.time < _ONE_INPUT

    def note(self, process: Process, cause: Cause, by: str) -> Change:
        """Keep and publish that something was done which is no change of state."""
        state, serial = process.record.state.name, self._journal.next_serial()
        change = Change(
            serial=serial,
            time=self._clock.wall(),
            name=process.name,
            process=process.program.name,
            group=process.group,
            from_state=state,
            to_state=state,
            cause=cause,
            by=by,
            run=process.record.run,
            pid=process.record.pid,
        )
        self._journal.add_change(change)
        self._schedule_flush()
        self._bus.publish(change)
        return change
