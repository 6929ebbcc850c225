"""[program:x], [fcgi-program:x] and [eventlistener:x]: their tables, or why there is none."""

from __future__ import annotations

import re
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

_HANDLER = (
    "has a result_handler, which is Python code for Supervisor's insides. If it brings the output "
    'of programs to that of the daemon, as in containers: here stdout_logfile = "/dev/stdout" of '
    "each program does that, and output_prefix = true in [daemon] puts their names before the lines"
)

_CLIENT = re.compile(r"(?<![\w.-])supervisorctl(?![\w.-])")
_PROXY = re.compile(r"(?<![\w.-])pidproxy(?![\w.-])")
_OF_USER = ("HOME", "USER", "LOGNAME")


class ProgramConverter:
    """Converts what runs; of two with one name, the one that Supervisor runs."""

    def __init__(self, ini: Ini, keys: Keys, groups: GroupConverter) -> None:
        self._keys = keys
        self._groups = groups
        self._sockets = Sockets(keys)
        self._ordinary = {s.own_name for s in ini.sections.values() if s.kind == "program"}
        self.converted: dict[str, Converted] = {}
        """Programs by name, without event listeners."""
        self.listeners: list[Converted] = []

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
        self._tell(section, lines)
        lines["leftovers"] = Line("keep")
        if kind in _STDIN:
            lines["stdin"] = Line(_STDIN[kind])
        table = TomlTable((KINDS[kind][0], name), lines, section.above)
        if kind == "eventlistener":
            self.listeners.append(Converted(name, section, table, []))
        else:
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
        fcgi_of_group = section.kind == "fcgi-program" and self._groups.of(name)
        if section.kind != "eventlistener" and (
            name in self.converted or (name in self._ordinary and fcgi_of_group)
        ):
            return "has the name of another program, which Supervisor runs instead"
        why = self._groups.conflict(section)
        return f"{why}, so Supervisor never runs it" if why.startswith("has ") else why

    def _lines(self, section: Section) -> dict[str, Line]:
        """Return the lines of its table. Raises Refused, saying why it can never run."""
        try:
            lines = self._keys.convert(section)
        except BadValueError as error:
            why = f"can never be started: its command {error.hint.removeprefix(', which ')}"
            if section.settings["command"].beside:
                why += " (to Supervisor what follows a blank and ; or # is a comment)"
            raise Refused(why) from None
        if "command" not in lines:
            raise Refused("has no command that could be written here")
        if section.kind == "eventlistener" and not _has_events(lines):
            raise Refused("has no events, or some that do not exist")
        if section.kind == "eventlistener" and not _has_usual_handler(section):
            raise Refused(_HANDLER)
        if section.kind == "fcgi-program":
            lines["sockets"] = self._sockets.of(section)
        return lines

    def _tell(self, section: Section, lines: dict[str, Line]) -> None:
        """Say what else than the configuration makes a difference to it."""
        notes = self._keys.notes(section, "command")
        command = section.text("command") or ""
        if _CLIENT.search(command):
            notes.todo(
                "calls supervisorctl, which needs the gateway and its old configuration: write "
                "slctl there, which takes the same words"
            )
        if _PROXY.search(command):
            notes.note("calls pidproxy, which is a part of Supervisor: keep that installed")
        if re.search(r"\\\s*\n", command):
            notes.note(
                "to Supervisor a backslash at the end of a line makes a line end the beginning of "
                "the next argument; here it joins the lines"
            )
        environment = lines.get("environment")
        own = environment.value if environment and isinstance(environment.value, dict) else {}
        given = [name for name in _OF_USER if name not in own]
        if "user" in lines and given:
            self._keys.notes(section, "user").warn_lossy(
                f"{', '.join(given)} are those of the user here, and in Supervisor those of the "
                "daemon; what environment sets goes before"
            )

    def _mend(self, section: Section, lines: dict[str, Line]) -> None:
        """Change what contradicts itself, which Supervisor refuses."""
        numprocs, pattern = lines.get("numprocs"), lines.get("process_name")
        several = numprocs is not None and isinstance(numprocs.value, int) and numprocs.value > 1
        if several and (pattern is None or "%(process_num)" not in str(pattern.value)):
            made = "%(program_name)s_%(process_num)02d"
            text = f"Supervisor refuses several processes with one name; {made} is written"
            self._keys.notes(section, "numprocs").warn_lossy(text)
            lines["process_name"] = Line(made)
        if section.kind == "eventlistener":
            redirected = lines.pop("redirect_stderr", None)
            if redirected is not None and redirected.value is not False:
                text = "Supervisor refuses true for an event listener; left out"
                self._keys.notes(section, "redirect_stderr").warn_lossy(text)
        as_group, killed = lines.get("stopasgroup"), lines.get("killasgroup")
        if as_group and killed and as_group.value is True and killed.value is False:
            text = "Supervisor refuses false with stopasgroup=true; left out, so it is true"
            self._keys.notes(section, "killasgroup").warn_lossy(text)
            del lines["killasgroup"]


def _has_usual_handler(section: Section) -> bool:
    """Does Supervisor itself judge what the listener answers?"""
    handler = (section.text("result_handler") or "").strip()
    return handler in ("", "supervisor.dispatchers:default_handler")


def _has_events(lines: dict[str, Line]) -> bool:
    """Are there events, and does each of them exist?"""
    events = lines["events"].value if "events" in lines else []
    words = [events] if isinstance(events, str) else events
    return isinstance(words, list | tuple) and bool(words) and all(w in MEANINGS for w in words)
