"""Which section a group's name belongs to: of several that would make one, Supervisor uses one.

A [group:x], a [program:x] that no group lists, an [eventlistener:x] and a [fcgi-program:x] that no
group lists are groups. Supervisor sorts them by priority and name, and adds one after the other;
one whose name is taken by then is dropped without a word. Equals stay in the order of the kinds.
"""

from __future__ import annotations

from collections.abc import Container

from supervisor_lite.migrate.sections import Ini, Section

_KINDS = ("group", "program", "eventlistener", "fcgi-program")
_DEFAULTS = {"eventlistener": -1}
_USUAL = 999


def owners(ini: Ini, listed: Container[str]) -> dict[str, Section]:
    """Return the section that Supervisor makes the group of each name from.

    `listed` are the programs that a group lists: these are no groups of their own.
    """
    found: dict[str, Section] = {}
    for kind in _KINDS:
        for section in ini.sections.values():
            name = section.own_name
            if section.kind != kind or (kind in ("program", "fcgi-program") and name in listed):
                continue
            if name not in found or _priority(section) < _priority(found[name]):
                found[name] = section
    return found


def _priority(section: Section) -> int:
    usual = _DEFAULTS.get(section.kind, _USUAL)
    try:
        return int(section.text("priority") or usual)
    except ValueError:
        return usual
