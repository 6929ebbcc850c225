"""A process shows what is true, whichever of its methods has changed it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from supervisor_lite.core.process import Process
from supervisor_lite.core.view import rfc3339
from supervisor_lite.model.program import Program
from supervisor_lite.model.states import State

WEB = Program(name="web", command=("web",))
NEWER = WEB._replace(priority=5)


def _begin(process: Process) -> None:
    process.begin_run(os.open("/dev/null", os.O_RDONLY), 20.0)
    process.end_run()


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (lambda p: p.move_to(p.record._replace(state=State.FATAL), 7.0),
         {"state": "FATAL", "statecode": 200, "since": rfc3339(7.0), "reason": ""}),
        (lambda p: p.move_to(p.record._replace(wanted=True)), {"wanted": True}),
        (_begin, {"started": rfc3339(20.0)}),
        (lambda p: p.redefine(NEWER), {"priority": 5}),
        (lambda p: p.redefine_at_spawn(NEWER), {"stale": True}),
        (lambda p: p.compare_with_disk(NEWER), {"stale": True}),
        (lambda p: p.compare_with_disk(None), {}),
        (lambda p: p.compare_with_disk(WEB), {}),
    ],
)  # fmt: skip
def test_what_it_shows_follows_what_it_is(
    change: Callable[[Process], None], shown: dict[str, Any]
) -> None:
    process = Process(WEB, 3.0)
    before = json.loads(process.view())
    assert process.view() is process.view(), "made once"
    change(process)
    assert json.loads(process.view()) == {**before, **shown}


def test_a_newer_definition_is_not_outdated() -> None:
    process = Process(WEB, 3.0)
    process.compare_with_disk(NEWER)
    process.redefine_at_spawn(NEWER)
    process.compare_with_disk(NEWER)
    assert json.loads(process.view())["stale"], "the live run has the old one"
    process.redefine(NEWER)
    assert not json.loads(process.view())["stale"]


def test_the_end_of_a_run_closes_its_pidfd() -> None:
    process = Process(WEB, 3.0)
    fd = os.open("/dev/null", os.O_RDONLY)
    process.adopt_run(fd, child=False)
    assert (process.pidfd, process.adopted) == (fd, True)
    process.end_run()
    process.end_run()
    assert (process.pidfd, process.adopted) == (None, False)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
