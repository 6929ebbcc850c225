"""What the gateway listens on and who may come: addresses, names of hosts, users."""

from __future__ import annotations

import re

from supervisor_lite.config.types.base import ValueType
from supervisor_lite.config.types.compound import FieldError, ListOf, RecordOf
from supervisor_lite.config.types.sockets import unix_address
from supervisor_lite.config.types.text import STRING, TEXT
from supervisor_lite.config.types.users import ROLE
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.model.settings import GatewayUser

_HOST = r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?"


def address(value: object) -> str:
    """Return an address in its one form: `unix:///path` or `http://host:port`.

    Without a host it is the loopback, `*` is every interface.
    """
    if not isinstance(value, str):
        raise BadValueError
    text = value.strip()
    if text.startswith("unix://"):
        return unix_address(text, "unix:///run/x/http.sock")
    from urllib.parse import urlsplit

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
    import ipaddress

    try:
        literal = ipaddress.ip_address(text)
    except ValueError:
        if re.fullmatch(_HOST, text) is None:
            raise BadValueError(hint="; that is no host") from None
        return text.lower()
    return f"[{literal}]" if literal.version == 6 else str(literal)


def host_name(value: object) -> str:
    """Accept what a browser has in its address bar between // and /, without the port."""
    if not isinstance(value, str) or re.fullmatch(_HOST, value.strip()) is None:
        raise BadValueError
    return value.strip().lower()


def _user_name(value: object) -> str:
    from supervisor_lite.passwords import USER_NAME_RULE, is_user_name

    name = str(value)
    if not is_user_name(name):
        raise FieldError(hint=f"; {USER_NAME_RULE}")
    return name


def _password_hash(value: object) -> str:
    from supervisor_lite.passwords import is_hash

    hashed = str(value)
    if not is_hash(hashed):
        raise FieldError(hint="; password_hash is what `slctl passwd` prints")
    return hashed


def _role(value: object) -> object:
    try:
        return ROLE.parse_scalar(value)
    except BadValueError:
        raise FieldError(hint=f"; role is {ROLE.expected}") from None


ADDRESS = ValueType(
    'an address like "unix:///run/http.sock" or "http://127.0.0.1:9001"', address, STRING
)
ADDRESSES = ListOf("a list of addresses", ADDRESS, at_least=1)
HOST = ValueType("the name of a host", host_name, STRING)
HOSTS = ListOf("a list of names of hosts", HOST)
_SECRET = ValueType("a string", TEXT.parse_scalar, STRING, secret=True)
USER = RecordOf(
    'a table like { name = "deploy", password_hash = "scrypt$…", role = "operate" }',
    GatewayUser,
    {
        "name": ValueType("a name", _user_name, STRING),
        "password_hash": ValueType(
            "a hash", _password_hash, {"type": "string", "pattern": r"^scrypt\$"}
        ),
        "role": ValueType(ROLE.expected, _role, ROLE.schema),
    },
    _SECRET,
    required=("name", "password_hash"),
    missing="; name and password_hash are needed",
    secret=True,
)
USERS = ListOf("tables [[gateway.users]]", USER)
