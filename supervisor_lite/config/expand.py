"""Expansions in values: %(program_name)s, %(process_num)02d, %(ENV_HOME)s, %%.

Supervisor's syntax (Python's % formatting) with two differences: a value is expanded once, and
the message about an unknown name shows names only, never the value of a variable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from supervisor_lite.text import suggest

# The width is limited, so that no configuration can ask for a gigabyte of blanks.
_PIECE = re.compile(
    r"%(?:%|\((?P<name>[^()]*)\)(?P<format>[-+ #0]*[0-9]{0,3}(?:\.[0-9]{1,3})?[sdiuoxX])?)?"
)


class ExpansionError(ValueError):
    """A value holds an expansion that cannot be done; the text says which and why."""


class UnknownNameError(ExpansionError):
    """There is no value of this name."""


class Names:
    """What a value may refer to: plain names, and ENV_X for variables of some environments.

    Of several environments the first that has the variable wins.
    """

    __slots__ = ("_environments", "_values")

    def __init__(self, values: Mapping[str, str | int], *environments: Mapping[str, str]) -> None:
        self._values = values
        self._environments = environments

    def plus(
        self, values: Mapping[str, str | int], environment: Mapping[str, str] | None = None
    ) -> Names:
        """Return these names with more values, and with an environment that goes before."""
        more = (environment,) if environment else ()
        return Names({**self._values, **values}, *more, *self._environments)

    def look_up(self, name: str) -> str | int:
        """Return the value of `name`. Raises UnknownNameError with a suggestion."""
        if name.startswith("ENV_"):
            for environment in self._environments:
                if name[4:] in environment:
                    return environment[name[4:]]
            raise UnknownNameError(self._no_variable(name))
        if name in self._values:
            return self._values[name]
        known = sorted(self._values)
        raise UnknownNameError(
            f"unknown expansion %({name})s{suggest(name, known, '%({})s')} "
            f"(known here: {', '.join(known)}, and ENV_X for the environment variable X)"
        )

    def _no_variable(self, name: str) -> str:
        known = sorted({variable for names in self._environments for variable in names})
        return (
            f'there is no environment variable "{name[4:]}" for %({name})s'
            f"{suggest(name[4:], known, '%(ENV_{})s')}"
        )


def expand(text: str, names: Names) -> str:
    """Return `text` with every expansion done, once.

    Raises ExpansionError; for unknown names one that tells all of them.
    """
    if "%" not in text:
        return text

    missing: dict[str, None] = {}

    def one(match: re.Match[str]) -> str:
        name, form = match["name"], match["format"]
        if match[0] == "%%":
            return "%"
        if name is None:
            raise ExpansionError('a percent sign is written "%%" (or begins %(name)s)')
        if form is None:
            raise ExpansionError(f'%({name}) lacks its format: write %({name})s, or "%%" for "%"')
        try:
            value = names.look_up(name)
        except UnknownNameError as error:
            missing[str(error)] = None
            return ""
        try:
            return f"%{form}" % value
        except (TypeError, ValueError):
            raise ExpansionError(
                f"%({name}){form} wants a number and {name} is text: write %({name})s"
            ) from None

    expanded = _PIECE.sub(one, text)
    if missing:
        raise ExpansionError("; ".join(missing))
    return expanded
