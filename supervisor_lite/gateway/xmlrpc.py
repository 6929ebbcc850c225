"""XML-RPC on the wire: a request's bytes in, a reply's bytes out; and Supervisor's faults.

Nothing here knows the daemon. A document type declaration is refused before it is read, because
entities are how XML is used against its readers.
"""

from __future__ import annotations

import re
import xmlrpc.client
from enum import IntEnum
from typing import Any
from xml.parsers import expat


class Code(IntEnum):
    """Supervisor's fault codes."""

    UNKNOWN_METHOD = 1
    INCORRECT_PARAMETERS = 2
    BAD_ARGUMENTS = 3
    SIGNATURE_UNSUPPORTED = 4
    SHUTDOWN_STATE = 6
    BAD_NAME = 10
    BAD_SIGNAL = 11
    NO_FILE = 20
    NOT_EXECUTABLE = 21
    FAILED = 30
    ABNORMAL_TERMINATION = 40
    SPAWN_ERROR = 50
    ALREADY_STARTED = 60
    NOT_RUNNING = 70
    SUCCESS = 80
    ALREADY_ADDED = 90
    STILL_RUNNING = 91
    CANT_REREAD = 92


class Fault(Exception):
    """An answer that is a fault; the text is the code's name, and what is added."""

    def __init__(self, code: Code, extra: object = None) -> None:
        super().__init__(code.name if extra is None else f"{code.name}: {extra}")
        self.code = code

    @property
    def text(self) -> str:
        """Return the faultString."""
        return str(self)


class NotXmlRpc(Exception):
    """The body is not an XML-RPC request."""


_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to carry, not even escaped."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
"""Terminal sequences: colours, cursor movements, titles."""

_MAX_INT = 2**31 - 1


def parse_request(body: bytes) -> tuple[str, list[Any]]:
    """Return method and parameters. Raises NotXmlRpc."""
    target = xmlrpc.client.Unmarshaller(use_builtin_types=False)
    target.xml(None, None)  # type: ignore[arg-type]  # what comes is text, decoded by expat
    parser = expat.ParserCreate()
    parser.StartElementHandler = target.start
    parser.EndElementHandler = target.end
    parser.CharacterDataHandler = target.data
    parser.StartDoctypeDeclHandler = _refuse
    parser.buffer_text = True
    try:
        parser.Parse(body, True)
        params = target.close()
    except NotXmlRpc:
        raise
    except Exception as error:  # a hundred ways to be wrong, and one answer
        raise NotXmlRpc(f"not an XML-RPC request: {type(error).__name__}") from error
    method = target.getmethodname()
    if not isinstance(method, str) or not method:
        raise NotXmlRpc("not an XML-RPC request: it names no method")
    return method, [_plain(value) for value in params]


def _refuse(*_: object) -> None:
    raise NotXmlRpc("document types and entities are not accepted")


def _plain(value: object) -> object:
    """Return base64 as text, as Supervisor takes it; everything else as it came."""
    if isinstance(value, xmlrpc.client.Binary):
        return value.data.decode("utf-8", "replace")
    return value


def dump_result(value: object) -> bytes:
    """Return the body of a reply."""
    text = xmlrpc.client.dumps((_carried(value),), methodresponse=True)
    return text.encode("utf-8")


def dump_fault(fault: Fault) -> bytes:
    """Return the body of a reply that is a fault."""
    carried = xmlrpc.client.Fault(int(fault.code), clean(fault.text))
    return xmlrpc.client.dumps(carried, methodresponse=True).encode("utf-8")


def _carried(value: object) -> Any:
    """Return the value as XML-RPC can carry it: 32 bits, and characters that XML has."""
    match value:
        case bool():
            return value
        case str():
            return clean(value)
        case int():
            return max(-_MAX_INT - 1, min(_MAX_INT, int(value)))
        case dict():
            return {clean(str(key)): _carried(item) for key, item in value.items()}
        case list() | tuple():
            return [_carried(item) for item in value]
        case _:
            return value


def clean(text: str) -> str:
    """Return the text without terminal sequences, and what XML cannot carry replaced."""
    if _ILLEGAL.search(text) is None:
        return text
    return _ILLEGAL.sub("\ufffd", _ESCAPES.sub("", text))
