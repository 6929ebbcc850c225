"""What names mean, and what it may cost to find out."""

from __future__ import annotations

import pytest

from supervisor_lite.control import limits, names
from supervisor_lite.control.names import resolve
from supervisor_lite.core.process import Process
from supervisor_lite.errors import LimitExceeded, NoSuchProcess
from supervisor_lite.model.program import Program


def table(count: int) -> dict[str, Process]:
    """Return processes `site:web_0` … of the program `web`, and one that is called `db`."""
    found = [
        Process(Program(name=f"web_{n}", group="site", program="web", command=("x",)), 0.0)
        for n in range(count)
    ]
    found.append(Process(Program(name="db", group="db", program="db", command=("x",)), 0.0))
    return {process.name: process for process in found}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("site:web_1", ["site:web_1"]),
        ("db", ["db"]),
        ("db:db", ["db"]),
        ("web", ["site:web_0", "site:web_1"]),
        ("site", ["site:web_0", "site:web_1"]),
        ("site:", ["site:web_0", "site:web_1"]),
        ("*", ["db", "site:web_0", "site:web_1"]),
        ("db:?b", ["db"]),
        ("*[0]", ["site:web_0"]),
        ("web_1", ["site:web_1"]),
        ("site:web", ["site:web_0", "site:web_1"]),
        ("s*:web", ["site:web_0", "site:web_1"]),
        ("web*", ["site:web_0", "site:web_1"]),
        ("web_?", ["site:web_0", "site:web_1"]),
        ("we[b]", ["site:web_0", "site:web_1"]),
        ("sit?", ["site:web_0", "site:web_1"]),
        ("d*", ["db"]),
    ],
)
def test_what_a_name_means(name: str, meant: list[str]) -> None:
    assert [process.name for process in resolve([name, name], table(2))] == meant


def test_all_is_every_process_and_what_is_not_there_is_named() -> None:
    assert len(resolve(["all", "*", "db"], table(3))) == 4
    assert resolve(["all"], {}) == []
    with pytest.raises(NoSuchProcess) as caught:
        resolve(["db", "nope", "web_9", "x*", "db:nope", "nope:"], table(3))
    assert caught.value.names == ("nope", "web_9", "x*", "db:nope", "nope:")


@pytest.mark.parametrize(
    "asked",
    [
        [f"*{number}*x" for number in range(94_000)],
        ["*a*a*a*a*a*a*a*a*b"],
        ["x" * 300 + "*"],
        [f"[{number}" for number in range(65)],
    ],
    ids=["many", "asterisks", "long", "brackets"],
)
def test_what_patterns_may_cost(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before a single one is compared."""
    monkeypatch.setattr(names, "translate", lambda _: pytest.fail("compared"))
    with pytest.raises(LimitExceeded):
        resolve(asked, table(200))


def test_fewer_patterns_where_there_are_more_processes() -> None:
    patterns = [f"*{number}" for number in range(limits.MAX_PATTERNS)]
    assert resolve(["*", *patterns[1:10]], table(200))
    with pytest.raises(LimitExceeded, match="too many for this many processes"):
        resolve(patterns, table(10_000))
    assert len(resolve(["*_7"], table(10_000))) == 1


def test_many_names_cost_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is gone through once, however many names there are of whatever kind."""
    found = table(50)
    looks: list[int] = []

    class Counted(dict[str, Process]):
        def values(self):  # type: ignore[no-untyped-def]
            looks.append(1)
            return super().values()

    counted = Counted(found)
    for kind in ("{}", "{}:", "{}:x", "nope{}:*"):
        with pytest.raises(NoSuchProcess):
            resolve([kind.format(number) for number in range(5000)], counted)
    assert len(looks) <= 4 * 2
