"""No signal is sent before the journal knows of the stop."""

from __future__ import annotations

import pytest

from supervisor_lite.model.program import Program
from supervisor_lite.model.states import State
from supervisor_lite.store.journal import open_journal
from tests.core.fake import Life, Play, Stage


@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_a_stop_is_in_the_journal_before_its_signals(
    play: Play, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Of all processes of a wave, in one commit: a daemon killed there knows what it was doing."""

    async def scene(stage: Stage) -> None:
        names = ("a", "b", "c")
        processes = [stage.add(Program(name, (name,), startsecs=0), Life()) for name in names]
        await stage.operations.start(processes, "me", wait=True, timeout=None)
        await stage.until(1)
        seen: list[set[State]] = []
        unsent: list[frozenset[int]] = []
        send, commit = stage.runs.send_signal, stage.journal.commit
        commits: list[None] = []

        def sending(*args: object, **options: object) -> None:
            later = open_journal(stage.journal.path, stage.reports.append)
            seen.append({stored.record.state for stored in later.history.processes()})
            unsent.append(later.unsent_signals.pending())
            later.close()
            send(*args, **options)  # type: ignore[arg-type]

        def committing() -> bool:
            commits.append(None)
            return commit()

        monkeypatch.setattr(stage.runs, "send_signal", sending)
        monkeypatch.setattr(stage.journal, "commit", committing)
        operation = stage.operations.stop if verb == "stop" else stage.operations.restart
        await operation(processes, "me", wait=False, timeout=None)
        assert seen == [{State.STOPPING}] * 3
        assert len(commits) == 1
        assert unsent == [frozenset(p.record.run for p in processes)] * 3
        stage.supervisor.flush()
        assert stage.journal.unsent_signals.pending() == frozenset()

    play(scene)
