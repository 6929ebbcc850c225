"""Supervisor's keys: what each is called here, and how its value is converted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from supervisor_lite.config.schema.daemon import DAEMON
from supervisor_lite.config.schema.eventlistener import LISTENER
from supervisor_lite.config.schema.group import GROUP
from supervisor_lite.config.schema.key import Key, TableSchema
from supervisor_lite.config.schema.program import PROGRAM
from supervisor_lite.config.types import basic, command, events, output, restart, text, units, users
from supervisor_lite.config.types.base import ValueType
from supervisor_lite.migrate import values as v
from supervisor_lite.migrate.environment import environment
from supervisor_lite.migrate.percent import PercentError, escaped, sample
from supervisor_lite.migrate.report import KeyNotes, Notes, shown_key
from supervisor_lite.migrate.sections import Section, Setting
from supervisor_lite.migrate.toml_writer import Line, Toml
from supervisor_lite.text import suggest

_PLAIN = re.compile(r"[\w.,/+-]{,30}")
"""Values that are shown when they are wrong: no other could be a secret."""


@dataclass(frozen=True, slots=True)
class Option:
    """One key of Supervisor's, and how its value is converted."""

    convert: v.Convert
    key: Key | None = None
    """Ours; None: it becomes a part of another one, and `Keys.convert` passes over it."""
    twice: bool = False
    """Supervisor expands the value twice."""
    text: bool = False
    """A string here too; all other values are strings only where they hold an expansion."""
    kept: bool = False
    """A value that Supervisor refuses is written all the same, and refused here, too."""


_BY_TYPE: Mapping[ValueType, Option] = {
    basic.BOOLEAN: Option(v.boolean),
    basic.NUMBER: Option(v.number),
    basic.COUNT: Option(v.count),
    basic.POSITIVE: Option(v.number),
    basic.NUMPROCS: Option(v.numprocs),
    units.SIZE: Option(v.size),
    units.DURATION: Option(v.count),
    units.OCTAL: Option(v.octal),
    text.TEXT: Option(v.plain, text=True),
    text.SERVER_URL: Option(v.plain, text=True),
    text.NAME: Option(v.process_name, text=True),
    text.NAMES: Option(v.words, text=True),
    text.PATH: Option(v.path, text=True),
    text.ENVIRONMENT: Option(environment, text=True),
    command.COMMAND: Option(v.command, text=True),
    users.USER: Option(v.user, text=True, kept=True),
    restart.SIGNAL: Option(v.signal),
    restart.EXIT_CODES: Option(v.exitcodes),
    restart.AUTORESTART: Option(v.autorestart),
    output.LOG_FILE: Option(v.log_file, twice=True, text=True),
    output.DAEMON_LOG: Option(v.daemon_log, text=True),
    output.LOG_LEVEL: Option(v.level),
    events.EVENTS: Option(v.upper_words),
    events.HANDLER: Option(v.plain, text=True),
}
"""How a value becomes one of this type."""

_BY_NAME: Mapping[str, Mapping[str, Option]] = {
    "daemon": {"environment": Option(environment, twice=True, text=True)},
    "program": {
        "numprocs_start": Option(v.first_number),
        "directory": Option(v.directory, text=True),
    },
}
"""What differs from that, by table and Supervisor's name of the key."""


def _options(table: TableSchema) -> dict[str, Option]:
    """Return what Supervisor knows of a table, by its names, from the facts of our keys."""
    special = _BY_NAME.get("program" if table.name == "eventlistener" else table.name, {})
    return {
        name: replace(special.get(name) or _BY_TYPE[key.value_type], key=key)
        for key in table.keys
        if (name := key.supervisor_name)
    }


_PROGRAM = _options(PROGRAM)

KINDS: Mapping[str, tuple[str, Mapping[str, Option]]] = {
    "supervisord": ("daemon", _options(DAEMON)),
    "program": ("program", _PROGRAM),
    "group": ("group", _options(GROUP)),
    "fcgi-program": (
        "program",
        {
            **_PROGRAM,
            "socket": Option(v.plain, text=True),
            "socket_backlog": Option(v.number),
            "socket_owner": Option(v.plain, text=True),
            "socket_mode": Option(v.octal),
        },
    ),
    "eventlistener": ("eventlistener", _options(LISTENER)),
}
"""By kind of section: the table it becomes, and its keys."""


class Keys:
    """Converts the keys of sections."""

    def __init__(self, notes: Notes, targets: Mapping[str, str | None], base: str) -> None:
        self._notes = notes
        self._targets = targets
        """By label of the old file: the directory of the new one."""
        self._main = next(iter(targets))
        self.base = base
        """What relative paths are relative to."""

    def notes(self, section: Section, key: str = "") -> KeyNotes:
        """Return what speaks about a section or one of its keys."""
        setting = section.settings.get(key)
        file, line = (section.file, section.line) if setting is None else (
            setting.file, setting.line)  # fmt: skip
        return KeyNotes(self._notes, file.label, line, section.name, key)

    def context(self, section: Section, key: str, names: frozenset[str]) -> v.ConvertContext:
        """Return what a converter must know about a key that is set."""
        # The tables of these stand in the main file, wherever the sections stood.
        main = section.kind in ("supervisord", "unix_http_server", "inet_http_server")
        target = self._targets[self._main if main else section.file.label]
        here = section.settings[key].file.here
        return v.ConvertContext(here, self.base, target, names, self.notes(section, key))

    def convert(self, section: Section) -> dict[str, Line]:
        """Return the lines of the table that a section becomes, in the old order.

        Raises BadValueError if it has a command that can never be started.
        """
        table, options = KINDS[section.kind]
        lines: dict[str, Line] = {}
        for name, setting in section.settings.items():
            option = options.get(name)
            if option is None:
                if not setting.inherited:
                    place = self.notes(section, name)._replace(key=shown_key(name))
                    near = suggest(name, options) if place.key else ""
                    place.note(f"Supervisor has no such key and ignores it{near}")
                    _keep_comments(lines, name, setting)
                continue
            if option.key is None:
                continue
            value = self._value(section, name, setting, option, names_of(table, option.key))
            if value is not None:
                lines[option.key.name] = Line(value, setting.above, setting.beside)
            else:
                _keep_comments(lines, name, setting)
        if section.below:
            lines["#"] = Line("", section.below, remark=True)
        return lines

    def value(self, section: Section, name: str, names: frozenset[str]) -> Toml | None:
        """Return the value of one key as TOML, which may refer to `names`; None without one."""
        setting = section.settings.get(name)
        if setting is None:
            return None
        return self._value(section, name, setting, KINDS[section.kind][1][name], names)

    def _value(
        self, section: Section, name: str, setting: Setting, option: Option, names: frozenset[str]
    ) -> Toml | None:
        """Return a value as TOML; say why and return None if it is left out."""
        notes = self.notes(section, name)
        context = self.context(section, name, names)
        try:
            value = v.expansions(setting.value, context, twice=option.twice)
            if "%(" not in value or option.text:
                return option.convert(value, context)
            tried = sample(value, section.own_name)
            if tried is not None and option.convert(tried, context) is None:
                return None
            return value
        except (PercentError, v.Refused) as error:
            if option.kept:
                notes.note("Supervisor refuses this, and so does supervisor-lite")
                return escaped(setting.value)
            wanted = str(error)
            if isinstance(error, v.Refused):
                shown = f' "{setting.value}"' if _PLAIN.fullmatch(setting.value) else " this"
                wanted = f"Supervisor refuses{shown}: it wants {error}"
            notes.warn_lossy(f"{wanted}; left out")
        return None


def _keep_comments(lines: dict[str, Line], name: str, setting: Setting) -> None:
    """Leave the comments above a key where they are, though the key has no counterpart."""
    if setting.above and not setting.inherited:
        lines[f"# {name}"] = Line("", setting.above, remark=True)


def names_of(table: str, key: Key) -> frozenset[str]:
    """Return what a value may refer to, besides variables; the same for Supervisor and here."""
    names = {"here", "host_node_name"}
    if table not in ("daemon", "group"):
        names |= {"program_name", "group_name"}
        if key.per_process:
            names |= {"process_num", "numprocs"}
    return frozenset(names)
