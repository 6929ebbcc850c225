"""Settings and programs that are commented out, as TOML: without the `#` they are valid."""

from __future__ import annotations

import re

from supervisor_lite.config.wording import BadValueError
from supervisor_lite.migrate import values as v
from supervisor_lite.migrate.keys import KINDS, names_of
from supervisor_lite.migrate.names import usable_name
from supervisor_lite.migrate.percent import PercentError
from supervisor_lite.migrate.report import KeyNotes, Notes
from supervisor_lite.migrate.sections import Section
from supervisor_lite.migrate.toml_writer import comment, key, value

_COMMENT = re.compile(r"\s*[;#]+(?P<indent>[ \t]*)(?P<body>.*)")
_SECTION = re.compile(r"\[(?P<kind>[a-z-]+)(?::(?P<name>[^\]]+))?\]")
_SETTING = re.compile(r"(?P<key>[a-z_]+)\s*=\s*(?P<value>.*)")
_BESIDE = re.compile(r"\s+[;#].*")

_AS_SUPERVISOR = ('leftovers = "keep"', 'stdin = "pipe"')
_CONVERTED = ("supervisord", "program", "group", "eventlistener")


class CommentedOut:
    """Reads comments one after the other, and knows the section that they would be in."""

    def __init__(self, section: Section | None, here: str) -> None:
        self._kind = "" if section is None else section.kind
        self._here = here
        self._program = False
        """Are we in a program that is commented out?"""

    def is_setting(self, line: str) -> bool:
        """Is it a setting of the section in which the comments begin?"""
        match = _COMMENT.fullmatch(line)
        setting = _SETTING.fullmatch(match["body"].strip()) if match else None
        return setting is not None and self._option(setting["key"]) is not None

    def lines(self, block: list[str]) -> list[str]:
        """Return a block of comment lines as TOML's."""
        made: list[str] = []
        rest = list(block)
        while rest:
            first = rest.pop(0)
            match = _COMMENT.fullmatch(first)
            body = match["body"].strip() if match else ""
            if section := _SECTION.fullmatch(_BESIDE.sub("", body)):
                made += [*self._end(), *self._header(section, body)]
                continue
            setting = _SETTING.fullmatch(body)
            if match is None or setting is None or self._option(setting["key"]) is None:
                made.append(comment(plain(first)))
                continue
            more = _continued(rest, match["indent"])
            written = self._setting(setting, more)
            made += written or [comment(plain(line)) for line in (first, *more)]
            del rest[: len(more)]
        return [*made, *self._end()]

    def _end(self) -> list[str]:
        """Return what makes a program that was commented out like Supervisor's."""
        program, self._program = self._program, False
        return list(map(comment, _AS_SUPERVISOR)) if program else []

    def _header(self, section: re.Match[str], body: str) -> list[str]:
        kind, name = section["kind"], (section["name"] or "").strip()
        self._kind = kind
        if kind not in _CONVERTED or (kind != "supervisord" and not name):
            self._kind = ""
            return [comment(body)]
        self._program = kind == "program"
        table = KINDS[kind][0]
        return [comment(f"[{table}.{key(usable_name(name))}]" if name else f"[{table}]")]

    def _option(self, name: str) -> object:
        return KINDS[self._kind][1].get(name) if self._kind in _CONVERTED else None

    def _setting(self, setting: re.Match[str], more: list[str]) -> list[str]:
        """Return a setting with the lines on which it goes on; nothing if it is none."""
        table, options = KINDS[self._kind]
        option = options[setting["key"]]
        if option.key is None:
            return []
        raw = [setting["value"], *(plain(line).strip() for line in more)]
        beside = [found[0].strip() for line in raw if (found := _BESIDE.search(line))]
        text = "\n".join(_BESIDE.sub("", line) for line in raw).rstrip()
        notes = KeyNotes(Notes(), "", 0, "")
        context = v.ConvertContext(self._here, self._here, None, names_of(table, option.key), notes)
        try:
            text = v.expansions(text, context, twice=option.twice)
            plainly = "%(" not in text or option.text
            made = option.convert(text, context) if plainly else text
        except (PercentError, v.Refused, BadValueError):
            return []
        if made is None:
            return []
        lines = f"{option.key.name} = {value(made)}".split("\n")
        if beside:
            lines[-1] += "".join(f"  # {plain(text).strip()}" for text in beside)
        return list(map(comment, lines))


def plain(line: str) -> str:
    """Return what a comment line says; what is indented stays so."""
    body = line.strip().lstrip(";#")
    return body[1:] if body.startswith(" ") else body


def _continued(lines: list[str], indent: str) -> list[str]:
    """Return the lines on which the value of a setting goes on: those that are indented more."""
    found: list[str] = []
    for line in lines:
        match = _COMMENT.fullmatch(line)
        if match is None or len(match["indent"]) <= len(indent) or len(match["indent"]) < 2:
            break
        found.append(line)
    return found
