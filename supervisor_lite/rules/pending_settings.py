"""Which settings of [daemon] a running daemon cannot take up, and what can: pure decisions."""

from __future__ import annotations

from supervisor_lite.model.settings import DaemonSettings

IMMUTABLE = ("runtime_dir", "state_dir", "socket", "user")
"""Settings that bind the processes to their daemon: an upgrade is refused if one has changed."""

_OF_SOCKET = ("socket_mode", "socket_owner", "socket_group")
"""An upgrade hands the control socket on as it is."""

_BY_UPDATE = (
    "environment", "strip_ansi", "output_prefix", "on_full", "log_dir", "gateway_group",
)  # fmt: skip
"""Settings that are part of the definitions of programs, or are taken up at once."""

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


def split_by_remedy(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return those of the keys that an upgrade takes up, and those that need a fresh start.

    An upgrade is refused as long as there is one of IMMUTABLE: then all need a fresh start.
    """
    if any(name in IMMUTABLE for name in names):
        return (), names
    return (
        tuple(name for name in names if name not in _OF_SOCKET),
        tuple(name for name in names if name in _OF_SOCKET),
    )
