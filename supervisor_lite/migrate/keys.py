"""Supervisor's keys: what each is called here, and how its value is converted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from supervisor_lite.config.schema import TABLES
from supervisor_lite.config.schema.key import Key
from supervisor_lite.migrate import values as v
from supervisor_lite.migrate.ini import Section, Setting
from supervisor_lite.migrate.percent import PercentError, sample
from supervisor_lite.migrate.report import Findings, Say
from supervisor_lite.migrate.toml_writer import Line, Toml
from supervisor_lite.text import suggest


@dataclass(frozen=True, slots=True)
class Option:
    """One key of Supervisor's."""

    convert: v.Convert
    to: str = ""
    """Its name here, if that differs."""
    twice: bool = False
    """Supervisor expands the value twice."""
    text: bool = False
    """A string here too; all other values are strings only where they hold an expansion."""
    off: tuple[Toml, ...] = ()
    """Values that ask for nothing, so that nothing is lost where the key is not known here."""
    advice: str = "has no equivalent yet"
    """What to say where the key is not known here."""
    apart: bool = False
    """It becomes no key of its own, so `Keys.convert` passes over it."""


_CAPTURE = "capture mode has no equivalent yet: write what must be caught to a file of its own"
_EVENTS = "events of output have no equivalent yet; `slctl logs -f` and `tail -f` show it"

DAEMON: Mapping[str, Option] = {
    "logfile": Option(v.daemon_log, text=True),
    "logfile_maxbytes": Option(v.size),
    "logfile_backups": Option(v.count),
    "loglevel": Option(v.level, "log_level"),
    "pidfile": Option(v.path, text=True),
    "umask": Option(v.octal),
    "nodaemon": Option(v.boolean),
    "silent": Option(v.boolean),
    "minfds": Option(v.count),
    "minprocs": Option(v.count),
    "nocleanup": Option(v.boolean, off=(False, True)),  # logs are never removed at a start here
    "childlogdir": Option(v.path, "log_dir", text=True),
    "user": Option(v.user, text=True),
    "directory": Option(v.path, text=True),
    "strip_ansi": Option(v.boolean, off=(False,), advice="logs keep every byte here"),
    "environment": Option(v.environment, twice=True, text=True),
    "identifier": Option(v.plain, text=True),
}

PROGRAM: Mapping[str, Option] = {
    "command": Option(v.command, text=True),
    "process_name": Option(v.process_name, text=True),
    "numprocs": Option(v.numprocs),
    "numprocs_start": Option(v.first_number),
    "priority": Option(v.number),
    "autostart": Option(v.boolean),
    "startsecs": Option(v.count),
    "startretries": Option(v.count),
    "autorestart": Option(v.autorestart),
    "exitcodes": Option(v.exitcodes),
    "stopsignal": Option(v.signal),
    "stopwaitsecs": Option(v.count),
    "stopasgroup": Option(v.boolean),
    "killasgroup": Option(v.boolean),
    "user": Option(v.user, text=True),
    "redirect_stderr": Option(v.boolean),
    **{
        f"{stream}_{key}": option
        for stream in ("stdout", "stderr")
        for key, option in {
            "logfile": Option(v.log_file, twice=True, text=True),
            "logfile_maxbytes": Option(v.size),
            "logfile_backups": Option(v.count),
            "capture_maxbytes": Option(v.size, off=(0,), advice=_CAPTURE),
            "events_enabled": Option(v.boolean, off=(False,), advice=_EVENTS),
            "syslog": Option(v.boolean),
        }.items()
    },
    "environment": Option(v.environment, text=True),
    "directory": Option(v.directory, text=True),
    "umask": Option(v.octal),
    "serverurl": Option(v.plain, text=True),
}

GROUP: Mapping[str, Option] = {"programs": Option(v.words, text=True), "priority": Option(v.number)}

FCGI: Mapping[str, Option] = {
    **PROGRAM,
    "socket": Option(v.plain, text=True, apart=True),
    "socket_backlog": Option(v.number, apart=True),
    "socket_owner": Option(v.plain, text=True, apart=True),
    "socket_mode": Option(v.octal, apart=True),
}

LISTENER: Mapping[str, Option] = {
    **PROGRAM,
    "events": Option(v.upper_words),
    "buffer_size": Option(v.number),
    "result_handler": Option(v.plain, text=True),
}

KINDS: Mapping[str, tuple[str, Mapping[str, Option]]] = {
    "supervisord": ("daemon", DAEMON),
    "program": ("program", PROGRAM),
    "group": ("group", GROUP),
    "fcgi-program": ("program", FCGI),
    "eventlistener": ("eventlistener", LISTENER),
}
"""By kind of section: the table it becomes, if that is known here, and its keys."""


def known_keys(table: str) -> Mapping[str, Key]:
    """Return the keys that a table may hold here, by every name; none if there is no such one."""
    return TABLES[table].by_name() if table in TABLES else {}


class Keys:
    """Converts the keys of sections."""

    def __init__(self, findings: Findings, targets: Mapping[str, str | None], base: str) -> None:
        self._findings = findings
        self._targets = targets
        """By label of the old file: the directory of the new one."""
        self._main = next(iter(targets))
        self.base = base
        """What relative paths are relative to."""

    def say(self, section: Section, key: str = "") -> Say:
        """Return what speaks about a section or one of its keys."""
        setting = section.settings.get(key)
        file, line = (section.file, section.line) if setting is None else (
            setting.file, setting.line)  # fmt: skip
        return Say(self._findings, file.label, line, section.name, key)

    def place(self, section: Section, key: str, names: frozenset[str]) -> v.Place:
        """Return what a converter must know about a key that is set."""
        # The tables of these stand in the main file, wherever the sections stood.
        main = section.kind in ("supervisord", "unix_http_server", "inet_http_server")
        target = self._targets[self._main if main else section.file.label]
        here = section.settings[key].file.here
        return v.Place(here, self.base, target, names, self.say(section, key))

    def convert(self, section: Section) -> dict[str, Line]:
        """Return the lines of the table that a section becomes, in the old order.

        Raises BadValueError if it has a command that can never be started.
        """
        table, options = KINDS[section.kind]
        known = known_keys(table)
        lines: dict[str, Line] = {}
        for name, setting in section.settings.items():
            option = options.get(name)
            if option is None:
                if not setting.inherited:
                    self.say(section, name).note(
                        f"Supervisor has no such key and ignores it{suggest(name, options)}"
                    )
                continue
            if option.apart:
                continue
            to = option.to or name
            names = _names(table, known.get(to))
            value = self._value(section, name, setting, option, names)
            if value is None:
                continue
            if to in known:
                lines[to] = Line(value, setting.above, setting.beside)
            elif value not in option.off:
                self.say(section, name).lose(option.advice)
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
        say = self.say(section, name)
        place = self.place(section, name, names)
        try:
            value = v.expansions(setting.value, place, twice=option.twice)
            if "%(" not in value or option.text:
                return option.convert(value, place)
            tried = sample(value, section.name.partition(":")[2].strip())
            if tried is not None and option.convert(tried, place) is None:
                return None
            return value
        except PercentError as error:
            say.lose(f"{error}; left out")
        except v.Refused as error:
            shown = "" if name == "environment" else f' "{setting.value}"'
            say.lose(f"Supervisor refuses{shown}: it wants {error}; left out")
        return None


def _names(table: str, key: Key | None) -> frozenset[str]:
    """Return what a value may refer to, besides variables; the same for Supervisor and here."""
    names = {"here", "host_node_name"}
    if table not in ("daemon", "group"):
        names |= {"program_name", "group_name"}
        if key is None or key.per_process:
            names |= {"process_num", "numprocs"}
    return frozenset(names)
