"""Supervisor's XML-RPC interface: supervisor.* and system.*, without HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from supervisor_lite.client.errors import ClientError, RemoteError, Unreachable
from supervisor_lite.gateway.rpc import daemon, info, logs, signals, start_stop, stdin
from supervisor_lite.gateway.rpc.session import Background, Session
from supervisor_lite.gateway.rpc.table import TABLE, Method, Param
from supervisor_lite.gateway.xmlrpc import Code, Fault
from supervisor_lite.protocol import codes

__all__ = [
    "Background",
    "Dispatcher",
    "Session",
    "daemon",
    "info",
    "logs",
    "signals",
    "start_stop",
    "stdin",
]

_SYSTEM: dict[str, tuple[str, tuple[Param, ...], str]] = {
    "system.listMethods": ("array", (), "Tell the names of all methods."),
    "system.methodHelp": ("string", (Param("string", "name"),), "Tell what a method does."),
    "system.methodSignature": (
        "array",
        (Param("string", "name"),),
        "Tell the types of a method: what it returns, then its parameters.",
    ),
    "system.multicall": (
        "array",
        (Param("array", "calls"),),
        "Do several calls, {methodName, params} each, one after the other; tell the result of"
        " each, or {faultCode, faultString}.",
    ),
}


class Dispatcher:
    """Answers calls in one session. `may` tells whether the caller has a role."""

    def __init__(self, session: Session, may: Callable[[str], bool]) -> None:
        self._session = session
        self._may = may

    async def call(self, name: str, params: list[Any]) -> object:
        """Return the result of a call. Raises Fault; Unreachable if there is no daemon."""
        if name == "system.multicall":
            return await self._multicall(params)
        if name in _SYSTEM:
            return _system(name, params)
        method = TABLE.methods.get(name)
        if method is None:
            raise Fault(Code.UNKNOWN_METHOD)
        method.count(params)
        if not self._may(method.role):
            raise Fault(Code.FAILED, f"not permitted: {name} needs the role {method.role}")
        try:
            try:
                arguments = method.arguments(params)
            except Fault:
                await self._session.check()  # which comes first
                raise
            return await method.answer(self._session, *arguments)
        except Unreachable:
            raise
        except RemoteError as error:
            if error.number == codes.NO_SUCH_PROCESS:
                raise Fault(Code.BAD_NAME, error) from error
            raise Fault(Code.FAILED, error) from error
        except ClientError as error:
            raise Fault(Code.FAILED, error) from error

    async def _multicall(self, params: list[Any]) -> list[object]:
        if len(params) != 1 or not isinstance(params[0], list):
            raise Fault(Code.INCORRECT_PARAMETERS)
        results: list[object] = []
        for call in params[0]:
            try:
                results.append(await self._one_of_many(call))
            except Fault as fault:
                results.append({"faultCode": int(fault.code), "faultString": fault.text})
        return results

    async def _one_of_many(self, call: object) -> object:
        if not isinstance(call, dict) or not isinstance(call.get("methodName"), str):
            raise Fault(Code.INCORRECT_PARAMETERS, "No methodName")
        name, params = call["methodName"], call.get("params", [])
        if name == "system.multicall":
            raise Fault(Code.INCORRECT_PARAMETERS, "Recursive system.multicall forbidden")
        if not isinstance(params, list):
            raise Fault(Code.INCORRECT_PARAMETERS)
        return await self.call(name, params)


def _system(name: str, params: list[Any]) -> object:
    if name == "system.listMethods":
        if params:
            raise Fault(Code.INCORRECT_PARAMETERS)
        return sorted([*TABLE.methods, *_SYSTEM])
    if len(params) != 1:
        raise Fault(Code.INCORRECT_PARAMETERS)
    method = _published(params[0])
    if name == "system.methodHelp":
        return method.text
    # A signal is a string there; whoever sends a number is understood all the same.
    types = ["string" if param.type == "signal" else param.type for param in method.params]
    return [method.returns, *types]


def _published(name: object) -> Method:
    if not isinstance(name, str):
        raise Fault(Code.INCORRECT_PARAMETERS)
    method = TABLE.methods.get(name)
    if method is not None:
        return method
    if name not in _SYSTEM:
        raise Fault(Code.SIGNATURE_UNSUPPORTED)
    returns, params, text = _SYSTEM[name]
    return Method(name, "view", returns, params, text, _nothing)


async def _nothing(*_: object) -> None:
    """Stand for the methods that this module answers itself."""
