"""A stage that also keeps what the journal would: changes and runs, made by the real rules.

So a story is told from what the machine really does: a cause of another kind, or one that is
missing, changes the story.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from supervisor_lite.explain import episodes, story
from supervisor_lite.model.actions import Action
from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.model.change import Change
from supervisor_lite.model.events import Event, Exited, Spawned, SpawnFailed
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Program
from supervisor_lite.model.run import RunRow
from supervisor_lite.rules.lifecycle import is_spawn_next
from supervisor_lite.rules.published import change_of, has_last_words
from tests.rules.stage import Run, Stage


def clock(seconds: float) -> str:
    """Show times as seconds, which is easy to follow in a test."""
    return f"@{seconds:g}"


class Chronicle(Stage):
    """Plays a program and writes its chronicle; `said`: the last words of its runs."""

    def __init__(
        self, program: Program, runs: Iterable[Run], said: Mapping[int, str] | None = None
    ) -> None:
        super().__init__(program, runs)
        self.changes: list[Change] = []
        self.rows: dict[int, RunRow] = {}
        self._said = said or {}

    def _step(self, event: Event) -> tuple[Action, ...]:
        before = self.record
        actions = super()._step(event)
        self._keep_run(event)
        if self.record.state is not before.state:
            change = change_of(
                self.program, before, self.record, serial=len(self.changes) + 1, time=self.now
            )
            if has_last_words(change):
                change = change._replace(last_words=self._said.get(change.run or 0, ""))
            self.changes.append(change)
        return actions

    def _keep_run(self, event: Event) -> None:
        match event:
            case Spawned(run, pid):
                self.rows[run] = RunRow(run, "web", self.now, pid=pid, spawned=self.now)
            case SpawnFailed(run, error):
                cause = Cause(CauseKind.SPAWN_FAILED, error=error)
                self.rows[run] = RunRow(run, "web", self.now, ended=self.now, cause=cause)
            case Exited(run, ended) if self.rows[run].ended is None:
                self.rows[run] = self.rows[run]._replace(
                    ended=self.now,
                    code=ended.code,
                    signal=ended.signal,
                    cause=Cause(CauseKind.EXITED, exit=ended),
                )

    def note(self, kind: CauseKind, pid: int, version: str = "") -> None:
        """Write down that a daemon has taken the process over, or found it ended."""
        record = self.record
        change = change_of(
            self.program, record, record, serial=len(self.changes) + 1, time=self.now
        )
        self.changes.append(change._replace(cause=Cause(kind, pid=pid, version=version), by=""))

    def ends_unseen(self, exit_status: Exit) -> None:
        """Let its run end now."""
        assert self.record.run is not None
        self.ask(Exited(self.record.run, exit_status))

    def known(self, *, complete: bool = True) -> episodes.Known:
        """Return what is known of the process now."""
        due = self.record.deadline if is_spawn_next(self.program, self.record) else None
        return episodes.Known(
            program=self.program,
            record=self.record,
            since=self.changes[-1].time if self.changes else 0.0,
            due=due,
            changes=self.changes,
            runs=list(self.rows.values()),
            complete=complete,
        )

    def story(self, *, complete: bool = True, show: Callable[[float], str] = clock) -> list[str]:
        """Return the story as it is told now."""
        return story.tell(self.known(complete=complete), self.now, show)


def played(
    program: Program,
    runs: Iterable[Run],
    asks: Mapping[float, Event],
    until: float,
    said: Mapping[int, str] | None = None,
) -> Chronicle:
    """Return the chronicle of a program that is asked for these at these times."""
    chronicle = Chronicle(program, runs, said)
    for at, event in asks.items():
        chronicle.ask(event, at)
    chronicle.play(until)
    return chronicle
