"""[fcgi-program:x]: a program whose standard input is a socket, as docs/sockets.md describes it."""

from __future__ import annotations

import os
import re

from supervisor_lite.config.types import sockets
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.migrate import values as v
from supervisor_lite.migrate.keys import Keys
from supervisor_lite.migrate.percent import sample
from supervisor_lite.migrate.sections import Section
from supervisor_lite.migrate.toml_writer import Line, Toml

_NAMES = frozenset({"here", "program_name"})
"""What Supervisor expands in the address, besides variables."""

_TCP = re.compile(r"tcp://([^\s:]+):([^\s:]+)")
_MODE = "0700"
"""The mode that Supervisor gives a Unix socket; ours is another."""

_KEYS = ("socket", "socket_owner", "socket_mode", "socket_backlog")


class Sockets:
    """Converts the sockets of all FastCGI programs: no two of them may have one address."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._taken: dict[str, str] = {}
        """By address: the section that listens there."""

    def of(self, section: Section) -> Line:
        """Return the line `sockets` of a program.

        Raises Refused, saying what is wrong, if there is none: it cannot run without.
        """
        listen = self._address(section)
        made: dict[str, Toml] = {"listen": listen}
        if listen.startswith("unix:"):
            self._permissions(section, made)
        else:
            for key in ("socket_owner", "socket_mode"):
                if key in section.settings:
                    text = "Supervisor refuses this for tcp://, which has no file; left out"
                    self._keys.notes(section, key).warn_lossy(text)
        backlog = self._backlog(section)
        if backlog is not None:
            made["backlog"] = backlog
        given = [section.settings[key] for key in _KEYS if key in section.settings]
        comments = [text for each in given for text in (*each.above, *each.beside)]
        return Line([listen if len(made) == 1 else made], comments)

    def _address(self, section: Section) -> str:
        text = self._keys.value(section, "socket", _NAMES)
        if not text:
            raise v.Refused("has no socket that could be written here")
        text = str(text)
        if match := _TCP.fullmatch(text):
            text = f"tcp://{match[1].lower()}:{match[2]}" if "%" not in match[1] else text
        elif text.startswith("unix:///") and not text.endswith("/"):
            text = f"unix://{os.path.normpath(text.removeprefix('unix://'))}"
        elif text.startswith("%(ENV_"):
            raise v.Refused("has a socket of which nothing is known; write its tcp:// or unix://")
        elif not text.startswith("unix://%("):
            raise v.Refused("has a socket that Supervisor refuses: tcp://host:port, unix:///path")
        # What depends on the machine is looked at when the file is loaded there.
        known = sample(text, section.own_name)
        if known is not None:
            try:
                known = sockets.address(known)
            except BadValueError as error:
                raise v.Refused(f"has a socket that cannot be here{error.hint}") from None
        address = known or text
        if (other := self._taken.setdefault(address, section.name)) != section.name:
            raise v.Refused(f"listens at {address}, where [{other}] does")
        return text

    def _permissions(self, section: Section, made: dict[str, Toml]) -> None:
        """Add mode, owner and group of a Unix socket."""
        mode = self._keys.value(section, "socket_mode", _NAMES) or _MODE
        made["mode"] = mode
        text = self._keys.value(section, "socket_owner", _NAMES)
        if text is None:
            return
        owner, colon, group = str(text).partition(":")
        notes = self._keys.notes(section, "socket_owner")
        if not owner or (colon and not group):
            notes.warn_lossy("Supervisor refuses this: it wants user or user:group; left out")
            return
        made["owner"] = owner
        if group:
            made["group"] = group
        elif "user" in section.settings and str(mode)[-2:-1] != "0":
            notes.warn_lossy(
                "without a group it is here that of the program's user, not of the daemon"
            )

    def _backlog(self, section: Section) -> Toml | None:
        backlog = self._keys.value(section, "socket_backlog", _NAMES)
        if isinstance(backlog, int) and not 0 < backlog < 65536:
            notes = self._keys.notes(section, "socket_backlog")
            notes.warn_lossy("Supervisor refuses this: it wants a number from 1 to 65535; left out")
            return None
        return backlog
