"""What has to change to get from one plan to another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisor_lite.model.output import Output
from supervisor_lite.model.plan import Group, Plan
from supervisor_lite.model.program import Program
from supervisor_lite.rules.plan_diff import difference, with_groups, without_groups


def process(name: str, group: str = "", priority: int = 999) -> Program:
    return Program(name=name, group=group, priority=priority, command=("x",))


def plan(*groups: Group) -> Plan:
    return Plan(groups={group.name: group for group in groups})


def single(name: str, priority: int = 999) -> Group:
    return Group(name=name, processes=(process(name, priority=priority),))


def numbered(name: str, count: int, priority: int = 999) -> Group:
    members = tuple(process(f"{name}_{number}", name, priority) for number in range(count))
    return Group(name=name, processes=members)


def fullnames(programs: tuple[Program, ...]) -> list[str]:
    return [program.fullname for program in programs]


def test_the_same_plan_is_no_difference() -> None:
    """A reread without an edit finds nothing, also when the plan is another object."""
    found = difference(plan(single("a"), numbered("b", 3)), plan(single("a"), numbered("b", 3)))
    assert not found
    assert found == difference(plan(), plan())


def test_added_and_removed_groups() -> None:
    """Names are sorted; the processes come with them, with the definition that counts."""
    old, new = plan(single("b"), single("a")), plan(single("d"), single("a"), single("c"))
    found = difference(old, new)
    assert (found.groups_added, found.groups_changed, found.groups_removed) == (
        ("c", "d"),
        (),
        ("b",),
    )
    assert fullnames(found.added) == ["c", "d"]
    assert fullnames(found.removed) == ["b"]
    assert found.changed == ()
    assert found


def test_a_changed_program_is_changed_alone() -> None:
    """The others of its group are not to be touched."""
    old = numbered("web", 3)
    first, second, third = old.processes
    edited = second._replace(stdout=Output(path="/var/log/web.log"))
    found = difference(plan(old), plan(old._replace(processes=(first, edited, third))))
    assert found.groups_changed == ("web",)
    assert found.changed == (edited,)
    assert (found.added, found.removed) == ((), ())


def test_more_processes_leave_the_old_ones_alone() -> None:
    """numprocs 2 -> 3 adds one."""
    found = difference(plan(numbered("web", 2)), plan(numbered("web", 3)))
    assert found.groups_changed == ("web",)
    assert fullnames(found.added) == ["web:web_2"]
    assert (found.changed, found.removed) == ((), ())


def test_fewer_processes_remove_the_last_ones() -> None:
    """numprocs 3 -> 1 removes two, with their old definitions."""
    found = difference(plan(numbered("web", 3)), plan(numbered("web", 1)))
    assert found.groups_changed == ("web",)
    assert fullnames(found.removed) == ["web:web_1", "web:web_2"]
    assert (found.changed, found.added) == ((), ())


def test_another_priority_of_a_group_touches_no_process() -> None:
    """The group differs, no process does."""
    old = numbered("web", 2)
    found = difference(plan(old), plan(old._replace(priority=5)))
    assert found.groups_changed == ("web",)
    assert (found.added, found.changed, found.removed) == ((), (), ())
    assert found


def test_a_program_that_moves_to_a_group_has_another_name() -> None:
    """It is another process: removed here, added there."""
    found = difference(
        plan(single("web")), plan(Group(name="site", processes=(process("web", "site"),)))
    )
    assert (found.groups_added, found.groups_removed) == (("site",), ("web",))
    assert fullnames(found.added) == ["site:web"]
    assert fullnames(found.removed) == ["web"]


def test_parts_of_a_plan() -> None:
    """`update NAME` works with parts: groups put in, replaced, taken out of a copy."""
    before = plan(single("a"), single("b"))
    after = with_groups(before, [single("b", priority=1), single("c")])
    assert sorted(after.groups) == ["a", "b", "c"]
    assert after.groups["b"].processes[0].priority == 1
    assert sorted(without_groups(after, ["a", "x"]).groups) == ["b", "c"]
    assert before == plan(single("a"), single("b"))


plans = st.dictionaries(
    st.sampled_from("abcd"), st.tuples(st.integers(1, 3), st.integers(1, 2))
).map(
    lambda groups: plan(
        *(numbered(name, count, priority=number) for name, (count, number) in groups.items())
    )
)


@given(plans, plans)
def test_doing_the_difference_makes_the_new_plan_true(old: Plan, new: Plan) -> None:
    """Old, minus removed and changed, plus added and changed, is new; groups the same."""
    found = difference(old, new)
    table = {p.fullname: p for p in old.processes()}
    for gone in found.removed:
        assert table.pop(gone.fullname) == gone
    for fresh in found.added:
        assert fresh.fullname not in table
        table[fresh.fullname] = fresh
    for other in found.changed:
        assert table[other.fullname] != other
        table[other.fullname] = other
    assert table == {p.fullname: p for p in new.processes()}
    touched = {*found.groups_added, *found.groups_changed}
    step = with_groups(old, [new.groups[name] for name in touched])
    assert without_groups(step, found.groups_removed) == new
    assert bool(found) == (old != new)
