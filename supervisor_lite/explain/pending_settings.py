"""What an operator reads about settings that the running daemon cannot take up."""

from __future__ import annotations

from supervisor_lite.rules.pending_settings import IMMUTABLE, split_by_remedy


def notes(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return what makes the changes of these keys true: at most a line for each of two ways."""
    by_upgrade, by_start = split_by_remedy(names)
    lines = []
    if by_upgrade:
        lines.append(f"{_takes_effect(by_upgrade)} with the next daemon (slctl upgrade)")
    if by_start:
        immutable = ", ".join(name for name in by_start if name in IMMUTABLE)
        why = f": an upgrade cannot change {immutable}" if immutable else ""
        lines.append(f"{_takes_effect(by_start)} after a restart of the daemon{why}")
    return tuple(lines)


def _takes_effect(names: tuple[str, ...]) -> str:
    own = ", ".join(name for name in names if name != "access")
    places = [f"[daemon] {own}"] if own else []
    if "access" in names:
        places.append("[[access]]")
    return f"{' and '.join(places)}: {'take' if len(names) > 1 else 'takes'} effect"
