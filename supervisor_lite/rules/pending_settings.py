"""Which settings of the daemon a running one cannot take up, and what makes them true. Pure."""

from __future__ import annotations

from supervisor_lite.model.settings import DaemonSettings

IMMUTABLE = ("runtime_dir", "state_dir", "socket", "user")
"""Settings that bind the processes to their daemon: an upgrade is refused if one has changed."""

_OF_SOCKET = ("socket_mode", "socket_owner", "socket_group")
"""An upgrade hands the control socket on as it is."""

_BY_UPDATE = ("environment", "strip_ansi", "output_prefix", "log_dir")
"""Settings that are part of the definitions of programs."""

_INSIDE = ("socket", "pidfile")
"""Paths that move with runtime_dir unless they are set."""


def pending_settings(old: DaemonSettings, new: DaemonSettings) -> tuple[str, ...]:
    """Return the keys that differ and wait for the next daemon; "access" for all its tables."""
    found = [
        name
        for name in DaemonSettings._fields
        if name not in _BY_UPDATE and getattr(old, name) != getattr(new, name)
    ]
    if "runtime_dir" in found:
        for name in _INSIDE:
            moved = getattr(old, name).removeprefix(old.runtime_dir)
            if name in found and getattr(new, name) == new.runtime_dir + moved:
                found.remove(name)
    return tuple(found)


def notes(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return in words what makes the changes of these keys true: a line each for two ways."""
    bound = [name for name in names if name in IMMUTABLE]
    late = names if bound else tuple(name for name in names if name in _OF_SOCKET)
    soon = tuple(name for name in names if name not in late)
    lines = []
    if soon:
        lines.append(f"{_takes_effect(soon)} with the next daemon (slctl upgrade)")
    if late:
        why = f": an upgrade cannot change {', '.join(bound)}" if bound else ""
        lines.append(f"{_takes_effect(late)} after a restart of the daemon{why}")
    return tuple(lines)


def _takes_effect(names: tuple[str, ...]) -> str:
    own = ", ".join(name for name in names if name != "access")
    places = [f"[daemon] {own}"] if own else []
    if "access" in names:
        places.append("[[access]]")
    return f"{' and '.join(places)}: {'take' if len(names) > 1 else 'takes'} effect"
