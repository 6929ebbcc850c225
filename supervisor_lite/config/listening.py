"""What the keys of event listeners and of sockets take: names of events, places to listen."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping

from supervisor_lite.config import values
from supervisor_lite.config.kinds import OCTAL, USER, USER_GROUP, Kind
from supervisor_lite.config.wording import BadValueError, describe
from supervisor_lite.model.sockets import ListenSocket
from supervisor_lite.rules.event_listener.types import MEANINGS
from supervisor_lite.text import suggest

_MOST = 32
"""Sockets of one program."""

_PATH_LIMIT = 107
_KEYS = ("listen", "name", "mode", "owner", "group", "backlog")
_ONLY_UNIX = ("mode", "owner", "group")
_PARTS: Mapping[str, tuple[Callable[[object], object], str]] = {
    "mode": (values.octal, OCTAL.words),
    "owner": (values.user, USER.words),
    "group": (values.user_group, USER_GROUP.words),
    "backlog": (values.integer(1, 65535), "a whole number from 1 to 65535"),
}
_PORT = re.compile(r"[0-9]{1,5}")
_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}")


def event(value: object) -> str:
    """Return the name of an event as Supervisor writes it."""
    if not isinstance(value, str):
        raise BadValueError
    name = value.strip().upper()
    if name not in MEANINGS:
        raise BadValueError(hint=suggest(name, MEANINGS))
    return name


def events(value: object) -> tuple[object, ...]:
    """Accept a list of events that is not empty."""
    if not isinstance(value, tuple) or not value:
        raise BadValueError
    return tuple(dict.fromkeys(value))


def handler(value: object) -> str:
    """Accept the only handler of results that there is."""
    if value not in ("default", "supervisor.dispatchers:default_handler"):
        raise BadValueError(hint=": results other than OK and FAIL need a program of their own")
    return "default"


def address(text: str) -> str:
    """Return an address in its one form: `tcp://host:port` or `unix:///path`."""
    if text.startswith("unix://"):
        path = os.path.normpath(text.removeprefix("unix://") or ".")
        if not path.startswith("/") or text.endswith("/"):
            raise BadValueError(hint="; the path must be absolute: unix:///run/x.sock")
        if len(os.fsencode(path)) > _PATH_LIMIT:
            raise BadValueError(hint=f"; the path of a socket may have {_PATH_LIMIT} bytes")
        return f"unix://{path}"
    if not text.startswith("tcp://"):
        raise BadValueError(hint="; it begins with tcp:// or unix://")
    host, colon, port = text.removeprefix("tcp://").rpartition(":")
    if not colon or not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
        raise BadValueError(hint="; it ends with a port: tcp://127.0.0.1:8000")
    return f"tcp://{_host(host)}:{int(port)}"


def _host(text: str) -> str:
    if text == "*":
        return text
    if text == "localhost":
        return "127.0.0.1"
    try:
        found = ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise BadValueError(
            hint="; the host is an address, localhost, or * for all: names are not looked up"
        ) from None
    return f"[{found}]" if found.version == 6 else str(found)


def listen_socket(value: object) -> ListenSocket:
    """Return a socket from its address, or from a table."""
    if isinstance(value, str):
        return ListenSocket(listen=address(value.strip()))
    if not isinstance(value, dict):
        raise BadValueError
    for key in value:
        if key not in _KEYS:
            raise BadValueError(hint=f' with the unknown key "{key}"{suggest(key, _KEYS)}')
    listen = value.get("listen")
    if not isinstance(listen, str):
        raise BadValueError(hint=" without listen")
    where = address(listen.strip())
    for key in _ONLY_UNIX:
        if key in value and not where.startswith("unix:"):
            raise BadValueError(hint=f"; {key} is for unix:// only")
    fields: dict[str, object] = {"listen": where}
    if "name" in value:
        name = value["name"]
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise BadValueError(hint="; its name has letters, digits and _ . @ - only")
        fields["name"] = name
    if "mode" in value and not isinstance(value["mode"], str):
        raise BadValueError(hint='; mode is a string: "0660"')
    for key, (parse, words) in _PARTS.items():
        if key in value:
            try:
                fields[key] = parse(value[key])
            except BadValueError as error:
                got = f"{describe(value[key])}{error.hint}"
                raise BadValueError(hint=f"; {key}: expected {words}, got {got}") from None
    return ListenSocket(**fields)  # type: ignore[arg-type]  # each was just made what it must be


def listen_sockets(value: object) -> tuple[object, ...]:
    """Accept a list of sockets, each of an address of its own."""
    if not isinstance(value, tuple) or len(value) > _MOST:
        raise BadValueError
    seen = [each.listen for each in value if isinstance(each, ListenSocket)]
    for where in seen:
        if seen.count(where) > 1:
            raise BadValueError(hint=f" with {where} twice")
    return value


EVENT = Kind(
    words='an event like "PROCESS_STATE_EXITED" or "TICK_60"',
    parse=event,
    schema={"type": "string", "minLength": 1},
)
EVENTS = Kind(
    words="a list of events that is not empty",
    parse=events,
    schema={"type": "array", "items": EVENT.schema, "minItems": 1},
    strings=(),
    item=EVENT,
)
HANDLER = Kind(words='"default"', parse=handler, schema={"type": "string"})
_PART = Kind(
    words="a string or a whole number",
    parse=lambda value: value,
    schema={"type": ["string", "integer"]},
)
SOCKET = Kind(
    words='an address like "tcp://127.0.0.1:8000" or "unix:///run/x.sock", or a table with it',
    parse=listen_socket,
    schema={
        "anyOf": [
            {"type": "string", "pattern": "^(tcp|unix)://|%"},
            {
                "type": "object",
                "properties": {
                    "listen": {"type": "string", "pattern": "^(tcp|unix)://|%"},
                    "name": {"type": "string"},
                    "mode": {"type": "string", "pattern": "^(0o)?[0-7]{1,4}$"},
                    "owner": {"type": ["string", "integer"]},
                    "group": {"type": ["string", "integer"]},
                    "backlog": {"type": "integer", "minimum": 1, "maximum": 65535},
                },
                "required": ["listen"],
                "additionalProperties": False,
            },
        ]
    },
    item=_PART,
    table=True,
)
SOCKETS = Kind(
    words=f"a list of at most {_MOST} sockets",
    parse=listen_sockets,
    schema={"type": "array", "items": SOCKET.schema},
    strings=(),
    item=SOCKET,
)
