"""What has to be confirmed before it is taken away."""

from __future__ import annotations

from supervisor_lite.model.plan import Group, Plan
from supervisor_lite.model.program import Program
from supervisor_lite.model.sources import Include
from supervisor_lite.rules.plan_diff import difference
from supervisor_lite.rules.plan_loss import PlanLoss, loss

FULL, EMPTY = Include("/etc", "conf.d/*", ("/etc/conf.d/a.toml",)), Include("/etc", "conf.d/*")
OTHER = Include("/etc", "/srv/*", ("/srv/b.toml",))


def plan(*names: str) -> Plan:
    return Plan({n: Group(n, processes=(Program(name=n, group=n, command=("x",)),)) for n in names})


def lost(
    before: Plan, after: Plan, had: tuple[Include, ...], has: tuple[Include, ...]
) -> PlanLoss | None:
    return loss(had, has, difference(before, after), after)


def test_a_pattern_that_matches_nothing_any_more() -> None:
    found = lost(plan("a", "b"), plan("b"), (FULL, OTHER), (EMPTY, OTHER))
    assert found == PlanLoss(("a",), ("/etc/conf.d/*",))


def test_nothing_at_all_is_left() -> None:
    assert lost(plan("a", "b"), plan(), (), ()) == PlanLoss(("a", "b"))


def test_what_somebody_has_meant() -> None:
    """One of several is removed; a pattern was taken out; it matched nothing before."""
    assert lost(plan("a", "b"), plan("b"), (FULL,), (FULL,)) is None
    assert lost(plan("a", "b"), plan("b"), (FULL, OTHER), (OTHER,)) is None
    assert lost(plan("a", "b"), plan("b"), (EMPTY,), (EMPTY,)) is None


def test_nothing_is_removed() -> None:
    assert lost(plan("a"), plan("a", "b"), (FULL,), (EMPTY,)) is None
    assert lost(plan(), plan(), (FULL,), (EMPTY,)) is None
