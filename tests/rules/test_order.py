"""Who goes first: waves of equal priority, groups before programs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisor_lite.model.plan import Group
from supervisor_lite.model.program import Program
from supervisor_lite.rules.order import start_waves, stop_waves


def process(name: str, priority: int = 999, group: str = "") -> Program:
    return Program(name=name, group=group, command=("x",), priority=priority)


def names(waves: list[tuple[Program, ...]]) -> list[list[str]]:
    return [[program.fullname for program in wave] for wave in waves]


def test_equal_priorities_are_one_wave_in_order_of_name() -> None:
    """What has no priority of its own starts together."""
    waves = start_waves([process("c"), process("a"), process("b")], {})
    assert names(waves) == [["a", "b", "c"]]


def test_start_ascends_and_stop_descends() -> None:
    """What started first is stopped last."""
    table = [process("web", 20), process("db", 1), process("cache", 20), process("cron", 30)]
    assert names(start_waves(table, {})) == [["db"], ["cache", "web"], ["cron"]]
    assert names(stop_waves(table, {})) == [["cron"], ["cache", "web"], ["db"]]


def test_the_priority_of_the_group_comes_before_that_of_the_program() -> None:
    """Inside a group the priority of the program decides, unlike in Supervisor."""
    table = [
        process("a", 1, "late"),
        process("b", 900, "early"),
        process("c", 5, "early"),
        process("single", 50),
    ]
    groups = {
        "late": Group(name="late", priority=100),
        "early": Group(name="early", priority=10),
        "single": Group(name="single", priority=50),
    }
    expected = [["early:c"], ["early:b"], ["single"], ["late:a"]]
    assert names(start_waves(table, groups)) == expected
    assert names(stop_waves(table, groups)) == expected[::-1]


def test_an_unknown_group_counts_as_the_program_itself() -> None:
    """A process whose group is being removed still has its place."""
    table = [process("a", 20, "gone"), process("b", 10)]
    assert names(start_waves(table, {})) == [["b"], ["gone:a"]]


def test_in_a_group_equal_priorities_start_as_its_programs_are_listed() -> None:
    """As in Supervisor: names decide between groups, and the list of `programs` in one."""
    listed = [process(name, group="site") for name in ("zulu", "web_10", "alpha", "web_2")]
    first = process("first", 1, "site")
    groups = {
        "site": Group(name="site", processes=(*listed, first)),
        "one": Group(name="one", processes=(process("one"),)),
    }
    table = [process("one"), *sorted((*listed, first))]
    assert names(start_waves(table, groups)) == [
        ["site:first"],
        ["one", "site:zulu", "site:web_10", "site:alpha", "site:web_2"],
    ]
    some = [listed[2], listed[0]]
    assert names(start_waves(some, groups)) == [["site:zulu", "site:alpha"]]


def test_negative_priorities_go_first() -> None:
    assert names(start_waves([process("a", 0), process("b", -1)], {})) == [["b"], ["a"]]


def test_nothing_gives_no_wave() -> None:
    assert start_waves([], {}) == []
    assert stop_waves([], {}) == []


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz"), st.integers(0, 3)),
        unique_by=lambda entry: entry[:2],
    ),
    st.dictionaries(st.sampled_from("xyz"), st.integers(0, 3)),
)
def test_every_process_is_in_one_wave(
    table: list[tuple[str, str, int]], priorities: dict[str, int]
) -> None:
    """Nothing is lost; waves are sorted; stop is start backwards."""
    programs = [process(name, priority, group) for name, group, priority in table]
    groups = {name: Group(name=name, priority=number) for name, number in priorities.items()}
    waves = start_waves(programs, groups)
    assert sorted(p.fullname for wave in waves for p in wave) == sorted(
        p.fullname for p in programs
    )
    keys = [{(priorities.get(p.group, p.priority), p.priority) for p in wave} for wave in waves]
    assert all(len(key) == 1 for key in keys)
    flat = [key.pop() for key in keys]
    assert flat == sorted(set(flat))
    assert stop_waves(programs, groups) == waves[::-1]
