"""The table of XML-RPC methods: name, role, types, help, and the function that answers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from supervisor_lite.gateway.rpc.session import Session
from supervisor_lite.gateway.xmlrpc import Code, Fault

Answer = Callable[..., Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter: XML-RPC's word for its type, its name, whether it may be left out."""

    type: str
    name: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Method:
    """One method as it is published."""

    name: str
    role: str
    returns: str
    params: tuple[Param, ...]
    help: str
    answer: Answer

    def count(self, given: list[Any]) -> None:
        """Raise Fault if there are too many arguments, or too few."""
        least = sum(not param.optional for param in self.params)
        if not least <= len(given) <= len(self.params):
            raise Fault(Code.INCORRECT_PARAMETERS)

    def arguments(self, given: list[Any]) -> list[Any]:
        """Return the arguments as the function takes them. Raises Fault."""
        return [_typed(p, value) for p, value in zip(self.params, given, strict=False)]

    @property
    def text(self) -> str:
        """Return what system.methodHelp tells."""
        lines = [f"@param {p.type} {p.name}" for p in self.params]
        return "\n".join([self.help, "", *lines, f"@return {self.returns} result"])


def _typed(param: Param, value: Any) -> Any:
    match param.type, value:
        case ("string", str()) | ("int", int()) | ("boolean", bool()) | ("array", list()):
            return value
        case "boolean", int():
            return bool(value)
        case "int", str() if re.fullmatch(r"\s*[-+]?[0-9]{1,18}\s*", value):
            return int(value)
        case "signal", str() | int():
            return str(value)
        case _:
            scalar = isinstance(value, int | float | str)
            extra = value if scalar else f"{param.name} must be a {param.type}"
            raise Fault(Code.INCORRECT_PARAMETERS, extra)


_PARAM = re.compile(r"(\w+) (\w+)(\?)?")


class MethodTable:
    """Methods by name; filled by the decorator `method` of each module."""

    def __init__(self) -> None:
        self.methods: dict[str, Method] = {}

    def method(
        self, names: str, role: str, returns: str, params: str = ""
    ) -> Callable[[Answer], Answer]:
        """Publish a function under the names of a word list, the first being the proper one.

        `params` reads like "string name, boolean wait?".
        """
        parsed = tuple(
            Param(kind, name, bool(optional)) for kind, name, optional in _PARAM.findall(params)
        )

        def publish(answer: Answer) -> Answer:
            text = " ".join((answer.__doc__ or "").split())
            for name in names.split():
                full = f"supervisor.{name}"
                self.methods[full] = Method(full, role, returns, parsed, text, answer)
            return answer

        return publish


TABLE = MethodTable()

__all__ = ["TABLE", "Method", "MethodTable", "Param", "Session"]
