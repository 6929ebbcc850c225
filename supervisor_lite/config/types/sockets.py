"""Sockets on which the daemon listens for a program: addresses, or tables with more about them."""

from __future__ import annotations

import os
import re

from supervisor_lite.config.types.base import Json, ValueType
from supervisor_lite.config.types.basic import number
from supervisor_lite.config.types.compound import FieldError, ListOf, RecordOf
from supervisor_lite.config.types.units import OCTAL, octal
from supervisor_lite.config.types.users import user, user_group
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.model.sockets import ListenSocket

MAX_PATH = 107
"""Bytes of the path of a Unix socket (unix(7))."""

_MAX_SOCKETS = 32
"""Sockets of one program."""

_ONLY_UNIX = ("mode", "owner", "group")


def address(text: str) -> str:
    """Return an address in its one form: `tcp://host:port` or `unix:///path`."""
    if text.startswith("unix://"):
        return unix_address(text, "unix:///run/x.sock")
    if not text.startswith("tcp://"):
        raise BadValueError(hint="; it begins with tcp:// or unix://")
    host, colon, port = text.removeprefix("tcp://").rpartition(":")
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise BadValueError(hint="; it ends with a port: tcp://127.0.0.1:8000")
    return f"tcp://{_host(host)}:{int(port)}"


def unix_address(text: str, example: str) -> str:
    """Return the address of a Unix socket in its one form; `example` is one that would do."""
    path = os.path.normpath(text.removeprefix("unix://") or ".")
    if not path.startswith("/") or text.endswith("/"):
        raise BadValueError(hint=f"; the path must be absolute: {example}")
    if len(os.fsencode(path)) > MAX_PATH:
        raise BadValueError(hint=f"; the path of a socket may have {MAX_PATH} bytes")
    return f"unix://{path}"


def _host(text: str) -> str:
    if text == "*":
        return text
    if text == "localhost":
        return "127.0.0.1"
    import ipaddress

    try:
        found = ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise BadValueError(
            hint="; the host is an address, localhost, or * for all: names are not looked up"
        ) from None
    return f"[{found}]" if found.version == 6 else str(found)


def _listen(value: object) -> str:
    if not isinstance(value, str):
        raise FieldError(hint=" without listen")
    try:
        return address(value.strip())
    except BadValueError as error:
        raise FieldError(hint=error.hint) from None


def _name(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch("[A-Za-z0-9_.@-]{1,64}", value):
        raise FieldError(hint="; its name has letters, digits and _ . @ - only")
    return value


def _mode(value: object) -> int:
    if not isinstance(value, str):
        raise FieldError(hint='; mode is a string: "0660"')
    return octal(value)


def _make(**fields: object) -> ListenSocket:
    for name in _ONLY_UNIX:
        if name in fields and not str(fields["listen"]).startswith("unix:"):
            raise BadValueError(hint=f"; {name} is for unix:// only")
    return ListenSocket(**fields)  # type: ignore[arg-type]  # each is what its field gives


class _Socket(RecordOf):
    """A socket: its address, or a table with it."""

    def parse_scalar(self, value: object) -> object:
        if isinstance(value, str):
            return ListenSocket(listen=address(value.strip()))
        return super().parse_scalar(value)


def _different(value: object) -> object:
    """Accept sockets each of an address of its own."""
    assert isinstance(value, tuple)
    if len(value) > _MAX_SOCKETS:
        raise BadValueError
    addresses = [each.listen for each in value if isinstance(each, ListenSocket)]
    for listen in addresses:
        if addresses.count(listen) > 1:
            raise BadValueError(hint=f" with {listen} twice")
    return value


_ADDRESS: Json = {"type": "string", "pattern": "^(tcp|unix)://|%"}
_ACCOUNT: Json = {"type": ["string", "integer"]}

_FIELDS = {
    "listen": ValueType("an address", _listen, _ADDRESS),
    "name": ValueType("a name", _name, {"type": "string"}),
    "mode": ValueType(OCTAL.expected, _mode, {"type": "string", "pattern": "^(0o)?[0-7]{1,4}$"}),
    "owner": ValueType("a user of this system", user, _ACCOUNT),
    "group": ValueType("a group of users of this system", user_group, _ACCOUNT),
    "backlog": number("a whole number from 1 to 65535", 1, 65535),
}

SOCKET = _Socket(
    'an address like "tcp://127.0.0.1:8000" or "unix:///run/x.sock", or a table with it',
    _make,
    _FIELDS,
    ValueType("a string or a whole number", lambda value: value, _ACCOUNT),
    required=("listen",),
    missing=" without listen",
    or_schema=_ADDRESS,
)
SOCKETS = ListOf(f"a list of at most {_MAX_SOCKETS} sockets", SOCKET, _different)
