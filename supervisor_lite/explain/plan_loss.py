"""What an operator reads when a new configuration would take away more than may be meant."""

from __future__ import annotations

from supervisor_lite.rules.plan_loss import PlanLoss
from supervisor_lite.text import plural

_SHOWN = 5
"""Groups that are named."""


def loss_text(verb: str, loss: PlanLoss) -> str:
    """Return why this was not done, and what does it all the same."""
    names = ", ".join(loss.removed[:_SHOWN])
    if len(loss.removed) > _SHOWN:
        names += f" and {len(loss.removed) - _SHOWN} more"
    groups = plural(len(loss.removed), "group", "groups")
    if loss.patterns:
        which = ", ".join(f'"{pattern}"' for pattern in loss.patterns)
        match = "matches" if len(loss.patterns) == 1 else "match"
        why = f"{which} {match} no file any more: {groups} would be stopped and removed: {names}"
    else:
        why = f"nothing would be left: {groups} would be stopped and removed: {names}"
    return f"cannot {verb}: {why}; nothing was changed. If that is meant: slctl update --yes"
