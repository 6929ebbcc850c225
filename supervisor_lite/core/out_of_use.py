"""Groups of the configuration that an operator has taken out of use: kept so by the next daemon."""

from __future__ import annotations

from collections.abc import Callable

from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.model.plan import Plan
from supervisor_lite.rules.plan_diff import without_groups
from supervisor_lite.store.unused_groups import UnusedGroups


class OutOfUse:
    """The groups that are out of use, here and in the journal."""

    def __init__(
        self, supervisor: Supervisor, groups: UnusedGroups, report: Callable[[str], None]
    ) -> None:
        self._supervisor = supervisor
        self._groups = groups
        self._report = report

    def add(self, name: str) -> None:
        """It is out of use, with the next commit."""
        self._groups.add(name)

    def forget_all(self) -> None:
        """Everything in the configuration is to be used."""
        self._groups.forget_all()

    def without(self, plan: Plan) -> Plan:
        """Return what of the plan is in use; called after the adoption.

        A group of which something runs is in use after all: an older version, which knows nothing
        of this, has started it.
        """
        left_out = [name for name in plan.groups if name in self._groups.names]
        left_out = [name for name in left_out if self._is_down(plan, name)]
        for name in left_out:
            self._report(f"{name}: not started, it was taken out of use (slctl remove)")
        return without_groups(plan, left_out)

    def _is_down(self, plan: Plan, name: str) -> bool:
        """Is nothing of it up? Then nothing of it stays on the table either."""
        table, names = self._supervisor.processes, plan.groups[name].processes
        present = [table[p.fullname] for p in names if p.fullname in table]
        if not all(process.is_down() for process in present):
            return False
        for process in present:
            self._supervisor.drop(process)
        return True

    def settle(self, active: Plan, available: Plan, *, is_on_disk: bool) -> None:
        """Forget those that are in use again, or gone from the configuration.

        Which ones are gone nobody knows unless `available` is what is on disk.
        """
        for name in self._groups.names:
            gone = is_on_disk and name not in available.groups
            if gone or name in active.groups:
                self._groups.discard(name)
