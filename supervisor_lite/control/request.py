"""One request on its way to the method that answers it: who asks for what, over which connection.

A family of methods is a class in control/methods/; each of its methods is decorated with the name
that it has in protocol/commands.py:

    method = Methods()

    class HistoryMethods:
        @method("runs")
        def runs(self, request: Request) -> Result: ...
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from supervisor_lite.control.access import Caller
from supervisor_lite.control.jsonrpc import Result
from supervisor_lite.control.left_out import LeftOut
from supervisor_lite.control.names import resolve
from supervisor_lite.control.params import Params
from supervisor_lite.core.process import Process
from supervisor_lite.errors import NotPermitted, OperationFailed
from supervisor_lite.protocol.codes import ErrorCode

if TYPE_CHECKING:
    from supervisor_lite.control.connection import Connection

MAX_TYPED = 200
"""Characters of what a caller typed that are kept."""


class Request(NamedTuple):
    """One call: who asks for what, and the connection for a subscription's notifications."""

    method: str
    params: Params
    caller: Caller
    connection: Connection

    def by(self, *words: str, command: str = "") -> str:
        """Name the caller and what it typed, for the record of who did what.

        `command` is that of slctl where it is not the name of the method.
        """
        typed = " ".join(("slctl", command or self.method, *words))
        if len(typed) > MAX_TYPED:
            typed = f"{typed[:MAX_TYPED]}…"  # it is kept with every change that it causes
        return f"{self.caller.words}: {typed}"

    def chosen(
        self,
        names: Sequence[str],
        table: Mapping[str, Process],
        left_out: LeftOut | None = None,
    ) -> list[Process]:
        """Return the processes that the names mean, if the caller may do this to all of them.

        Without those who are `left_out`. Raises NoSuchProcess, NotPermitted, LimitExceeded.
        """
        spares = left_out.spares if left_out is not None else None
        processes = resolve(names, table, self.seen(), spares)
        for process in processes:
            self.require(process.name)
        return processes

    def seen(self) -> Callable[[str], bool] | None:
        """Return what tells whether the caller sees a process; None if he sees all of them."""
        connection = self.connection
        return None if connection.sees_all("status") else partial(connection.sees, "status")

    def chosen_one(self, name: str, table: Mapping[str, Process]) -> Process:
        """Return the one process that the name means.

        Raises OperationFailed if it means several; NoSuchProcess, NotPermitted.
        """
        processes = self.chosen([name], table)
        if len(processes) != 1:
            text = f'"{name}" is {len(processes)} processes; name one'
            raise OperationFailed(text, ErrorCode.AMBIGUOUS_NAME)
        return processes[0]

    def require(self, name: str | None = None) -> None:
        """Raise NotPermitted if the caller may not do this to the process, or to the daemon."""
        if not self.connection.granted.may(self.method, name):
            what = f' on "{name}"' if name is not None else ""
            self.connection.denied(self.method, name)
            raise NotPermitted(
                f'{self.caller.user} may not use "{self.method}"{what}; see [[access]]'
            )


Handler = Callable[[Request], Result | Awaitable[Result]]
"""Answers a method: parameters in, result out, at once or later."""

_F = TypeVar("_F", bound=Callable[..., Result | Awaitable[Result]])


class Methods:
    """The methods of one family by their name on the socket."""

    def __init__(self) -> None:
        self._functions: dict[str, Callable[..., Result | Awaitable[Result]]] = {}

    def __call__(self, name: str) -> Callable[[_F], _F]:
        """Return a decorator that makes a function of the family's class the one of this name."""

        def register(function: _F) -> _F:
            self._functions[name] = function
            return function

        return register

    def of(self, family: Any) -> dict[str, Handler]:
        """Return what answers each method, bound to an instance of the family's class."""
        return {name: partial(function, family) for name, function in self._functions.items()}
