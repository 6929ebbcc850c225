"""The order of the start, and what becomes of a phase that fails."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from supervisor_lite.daemon import recovery
from supervisor_lite.daemon.app import App
from supervisor_lite.daemon.handover import Inherited
from supervisor_lite.daemon.recovery import PHASES, Recovery, recover
from supervisor_lite.errors import OperationFailed, StartupError
from supervisor_lite.takeover.adoption import Summary


class Witness:
    """Stands in for any part of the daemon: notes what is called, and has all attributes."""

    def __init__(self, calls: list[str], name: str = "") -> None:
        self._calls = calls
        self._name = name

    def __getattr__(self, name: str) -> Witness:
        return Witness(self._calls, f"{self._name}.{name}".removeprefix("."))

    def __call__(self, *_: object, **__: object) -> Witness:
        self._calls.append(self._name)
        return self

    def __iter__(self) -> Iterator[object]:
        return iter(())

    def __ror__(self, names: set[str]) -> set[str]:
        return names


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the phases have called, in order; the functions of the system among it."""
    found: list[str] = []

    class Adopted:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def run(self) -> Summary:
            found.append("adoption")
            return Summary(adopted=2, ended=1)

    def become_subreaper() -> bool:
        found.append("become_subreaper")
        return True

    monkeypatch.setattr(recovery, "become_subreaper", become_subreaper)
    monkeypatch.setattr(recovery, "unblock_signals", lambda: found.append("unblock_signals"))
    monkeypatch.setattr(recovery, "Adoption", Adopted)
    return found


def app_of(calls: list[str], read_end: int = -1) -> App:
    """Return an app of witnesses; `read_end` is a descriptor that was left to us."""
    inherited = Inherited()
    if read_end >= 0:
        inherited.held.append(read_end)
    inherited.stored = {"fifo-7"}
    witness = Witness(calls)
    resources = SimpleNamespace(
        inherited=inherited,
        log=witness.log,
        notifier=witness.notifier,
        journal=witness.journal,
        settings=witness.settings,
        configuration=SimpleNamespace(plan=witness.plan, files=()),
        sock=SimpleNamespace(sock=None),
        on_ready=witness.on_ready,
    )
    app = Witness(calls)

    def finish(unfinished: object, then: Callable[[], object]) -> None:
        calls.append("finish.begin")
        then()

    app.__dict__["resources"] = resources
    app.__dict__["finish"] = SimpleNamespace(begin=finish)
    return cast(App, app)


def test_the_phases_are_those_of_the_description_in_its_order() -> None:
    described = re.findall(r"^\*\*(\w+)\*\*: ", recovery.__doc__ or "", re.MULTILINE)
    assert [phase.__name__ for phase in PHASES] == described
    assert described == ["inherit", "adopt", "tidy", "plan", "serve", "start", "ready"]
    assert all(phase.__doc__ for phase in PHASES)


ORDER = (
    # Orphans come to us before anybody can become one, and no signal is lost in between.
    "become_subreaper", "loop.set_exception_handler", "signals.install", "unblock_signals",
    # The first change of state, which is one of the adoption's, has its listeners.
    "listeners.begin",
    "adoption",
    # Only the adoption tells what is still needed.
    "sockets.discard_unclaimed", "secrets.tidy", "cgroups.tidy", "notifier.unstore",
    "rollout.begin",
    # A dead child that nobody has adopted yet would be reaped as an orphan.
    "supervisor.runs.start_reaping", "listeners.resume",
    # A client sees what is in the journal.
    "supervisor.flush", "server.serve",
    # Before anything needs them.
    "own_files.begin",
    "finish.begin",
    # Before anything was started or finished, everything would look as if it had ended.
    "exit_condition.begin", "memory_limit.begin",
    "supervisor.when_spawned",
)  # fmt: skip


def test_what_depends_on_each_other_comes_in_its_order(calls: list[str]) -> None:
    reader, writer = os.pipe()
    try:
        recover(app_of(calls, reader))
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(reader)  # what was only held for the adoption is closed
    finally:
        os.close(writer)
    assert [call for call in calls if call in ORDER] == list(ORDER)
    # Nobody is told that we are ready before the first ones are spawned.
    assert "on_ready" not in calls


@pytest.mark.parametrize("failing", [phase.__name__ for phase in PHASES])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x"), "No space left on device: /x"),
        (OperationFailed("cannot read the journal"), "cannot read the journal"),
        (KeyError("pid"), "internal error: KeyError('pid')"),
    ],
)
def test_a_phase_that_fails_ends_the_start(
    calls: list[str],
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
    error: Exception,
    reason: str,
) -> None:
    """It is named with its reason, what comes after it is not tried, and a bug is logged."""
    begun: list[str] = []

    def stub(phase: Callable[[Recovery], None]) -> Callable[[Recovery], None]:
        def run(_: Recovery) -> None:
            begun.append(phase.__name__)
            if phase.__name__ == failing:
                raise error

        run.__name__ = phase.__name__
        return run

    monkeypatch.setattr(recovery, "PHASES", tuple(map(stub, PHASES)))
    with pytest.raises(StartupError) as caught:
        recover(app_of(calls))
    assert str(caught.value) == f"cannot start: {failing}: {reason}"
    names = [phase.__name__ for phase in PHASES]
    assert begun == names[: names.index(failing) + 1]
    assert ("errors.bug" in calls) == isinstance(error, KeyError)


def test_a_take_over_is_reported(calls: list[str]) -> None:
    said: list[tuple[str, dict[str, Any]]] = []
    app = app_of(calls)
    log = SimpleNamespace(info=lambda text, **fields: said.append((text, fields)))
    cast(Any, app.resources).log = log
    cast(Any, log).warning = calls.append
    recover(app)
    (_, started), (took_over, _) = said
    assert started["pid"] == os.getpid()
    assert took_over == "took over 2 running processes; 1 had ended meanwhile"
