"""What the keys of [gateway] take: addresses to listen on, names of hosts, users."""

from __future__ import annotations

import ipaddress
import os
import re
from urllib.parse import urlsplit

from supervisor_lite.config.kinds import ROLE, TEXT, Kind
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.model.settings import GatewayUser
from supervisor_lite.passwords import is_hash, is_user_name
from supervisor_lite.text import suggest

_USER_KEYS = ("name", "password_hash", "role")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?")


def address(value: object) -> str:
    """Return an address in its one form: `unix:///path` or `http://host:port`.

    Without a host it is the loopback, `*` is every interface.
    """
    if not isinstance(value, str):
        raise BadValueError
    text = value.strip()
    if text.startswith("unix://"):
        path = os.path.normpath(text.removeprefix("unix://") or ".")
        if not path.startswith("/") or text.endswith("/"):
            raise BadValueError(hint="; the path must be absolute: unix:///run/x/http.sock")
        if len(os.fsencode(path)) > 107:
            raise BadValueError(hint="; the path of a socket may have 107 bytes")
        return f"unix://{path}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadValueError(hint=f"; {error}") from None
    if parts.scheme == "https":
        raise BadValueError(hint="; there is no TLS in the gateway, put a proxy before it")
    plain = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
    if parts.scheme != "http" or not plain:
        raise BadValueError
    if not port:
        raise BadValueError(hint="; it needs a port")
    return f"http://{_host(host or '127.0.0.1')}:{port}"


def _host(text: str) -> str:
    if text == "*":
        return "[::]"
    try:
        literal = ipaddress.ip_address(text)
    except ValueError:
        if _HOST.fullmatch(text) is None:
            raise BadValueError(hint="; that is no host") from None
        return text.lower()
    return f"[{literal}]" if literal.version == 6 else str(literal)


def host_name(value: object) -> str:
    """Accept what a browser has in its address bar between // and /, without the port."""
    if not isinstance(value, str) or _HOST.fullmatch(value.strip()) is None:
        raise BadValueError
    return value.strip().lower()


def http_user(value: object) -> GatewayUser:
    """Return a user from a table of texts."""
    if not isinstance(value, dict):
        raise BadValueError
    for key in value:
        if key not in _USER_KEYS:
            raise BadValueError(hint=f' with the unknown key "{key}"{suggest(key, _USER_KEYS)}')
    name, hashed = value.get("name"), value.get("password_hash")
    role = value.get("role", "view")
    if not name or not hashed:
        raise BadValueError(hint="; name and password_hash are needed")
    if not is_user_name(name):
        raise BadValueError(hint="; a name is up to 64 characters long and has no colon")
    if not is_hash(hashed):
        raise BadValueError(hint="; password_hash is what `slctl passwd` prints")
    if role not in ("view", "operate", "admin"):
        raise BadValueError(hint=f"; role is {ROLE.words}")
    return GatewayUser(name=name, password_hash=hashed, role=role)


ADDRESS = Kind(
    words='an address like "unix:///run/http.sock" or "http://127.0.0.1:9001"',
    parse=address,
    schema={"type": "string", "minLength": 1},
)
ADDRESSES = Kind(
    words="a list of addresses",
    parse=lambda value: _listed(value),
    schema={"type": "array", "items": ADDRESS.schema, "minItems": 1},
    strings=(),
    item=ADDRESS,
)
HOST = Kind(words="the name of a host", parse=host_name, schema={"type": "string", "minLength": 1})
HOSTS = Kind(
    words="a list of names of hosts",
    parse=lambda value: _listed(value, empty=True),
    schema={"type": "array", "items": HOST.schema},
    strings=(),
    item=HOST,
)
_SECRET = Kind(words="a string", parse=TEXT.parse, schema=TEXT.schema, secret=True)
HTTP_USER = Kind(
    words='a table like { name = "deploy", password_hash = "scrypt$…", role = "operate" }',
    parse=http_user,
    schema={
        "type": "object",
        "properties": {
            "name": TEXT.schema,
            "password_hash": {"type": "string", "pattern": r"^scrypt\$"},
            "role": ROLE.schema,
        },
        "required": ["name", "password_hash"],
        "additionalProperties": False,
    },
    item=_SECRET,
    table=True,
    secret=True,
)
HTTP_USERS = Kind(
    words="tables [[gateway.users]]",
    parse=lambda value: _listed(value, empty=True),
    schema={"type": "array", "items": HTTP_USER.schema},
    strings=(),
    item=HTTP_USER,
)


def _listed(value: object, *, empty: bool = False) -> tuple[object, ...]:
    if not isinstance(value, tuple) or not (value or empty):
        raise BadValueError
    return value
