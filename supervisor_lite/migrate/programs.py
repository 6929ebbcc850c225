"""[program:x], [fcgi-program:x] and [eventlistener:x]: their tables, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator

from supervisor_lite.config.types.text import name as check_name
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.migrate.fcgi import Sockets
from supervisor_lite.migrate.groups import GroupConverter, note_renamed
from supervisor_lite.migrate.keys import KINDS, Keys
from supervisor_lite.migrate.logs import Converted
from supervisor_lite.migrate.sections import Ini, Section
from supervisor_lite.migrate.toml_writer import Line, TomlTable, comment
from supervisor_lite.migrate.values import Refused
from supervisor_lite.rules.event_listener.types import MEANINGS

_STDIN = {"program": "pipe", "fcgi-program": "socket"}
"""What the kinds read from; an event listener has nothing to choose."""


class ProgramConverter:
    """Converts what runs; of two with one name, the one that Supervisor runs."""

    def __init__(self, ini: Ini, keys: Keys, groups: GroupConverter) -> None:
        self._keys = keys
        self._groups = groups
        self._sockets = Sockets(keys)
        self._ordinary = {s.own_name for s in ini.sections.values() if s.kind == "program"}
        self.converted: dict[str, Converted] = {}
        """Programs by name, without event listeners."""

    def convert(self, section: Section) -> Iterator[TomlTable]:
        """Yield a program, or a comment that it was left out."""
        name, kind = section.own_name, section.kind
        notes = self._keys.notes(section)
        lines: dict[str, Line] = {}
        why = self._conflict(section, name)
        if not why:
            try:
                lines = self._lines(section)
            except Refused as error:
                why = str(error)
        if why:
            notes.warn_lossy(f"{why}; left out")
            left_out = comment(f"[{section.name}] was left out: {why}.")
            yield TomlTable((), above=[*section.above, left_out])
            return
        note_renamed(section, notes)
        self._mend(section, lines)
        lines["leftovers"] = Line("keep")
        if kind in _STDIN:
            lines["stdin"] = Line(_STDIN[kind])
        table = TomlTable((KINDS[kind][0], name), lines, section.above)
        if kind != "eventlistener":
            groups = self._groups.of(name)
            self.converted[name] = Converted(name, section, table, groups)
            if groups and kind == "fcgi-program":
                text = "Supervisor 4.3 gives it no socket in a group; here it has its socket"
                notes.warn_lossy(text)
        yield table

    def _conflict(self, section: Section, name: str) -> str:
        """Return why its name keeps a program from being here; empty if it does not."""
        try:
            check_name(name)
        except BadValueError as error:
            return f"cannot be named like that: expected {error.expected or 'a name'}"
        if name in self.converted or (name in self._ordinary and section.kind == "fcgi-program"):
            return "has the name of another program, which Supervisor runs instead"
        group = self._groups.section(name)
        if group is not None and not self._groups.of(name):
            return f"has the name of [{group.name}], so Supervisor never runs it"
        return ""

    def _lines(self, section: Section) -> dict[str, Line]:
        """Return the lines of its table. Raises Refused, saying why it can never run."""
        try:
            lines = self._keys.convert(section)
        except BadValueError as error:
            why = f"can never be started: its command {error.hint.removeprefix(', which ')}"
            if beside := section.settings["command"].beside:
                why += f" (to Supervisor the rest is a comment: {beside[0][2:]})"
            raise Refused(why) from None
        if "command" not in lines:
            raise Refused("has no command that could be written here")
        if section.kind == "eventlistener" and not _has_events(lines):
            raise Refused("has no events, or some that do not exist")
        if section.kind == "fcgi-program":
            lines["sockets"] = self._sockets.of(section)
        return lines

    def _mend(self, section: Section, lines: dict[str, Line]) -> None:
        """Change what contradicts itself, which Supervisor refuses."""
        numprocs, pattern = lines.get("numprocs"), lines.get("process_name")
        several = numprocs is not None and isinstance(numprocs.value, int) and numprocs.value > 1
        if several and (pattern is None or "%(process_num)" not in str(pattern.value)):
            made = "%(program_name)s_%(process_num)02d"
            text = f"Supervisor refuses several processes with one name; {made} is written"
            self._keys.notes(section, "numprocs").warn_lossy(text)
            lines["process_name"] = Line(made)
        as_group, killed = lines.get("stopasgroup"), lines.get("killasgroup")
        if as_group and killed and as_group.value is True and killed.value is False:
            text = "Supervisor refuses false with stopasgroup=true; left out, so it is true"
            self._keys.notes(section, "killasgroup").warn_lossy(text)
            del lines["killasgroup"]


def _has_events(lines: dict[str, Line]) -> bool:
    """Are there events, and does each of them exist?"""
    events = lines["events"].value if "events" in lines else []
    words = [events] if isinstance(events, str) else events
    return isinstance(words, list | tuple) and bool(words) and all(w in MEANINGS for w in words)
