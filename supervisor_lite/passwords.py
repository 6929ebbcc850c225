"""Names and passwords of the gateway's users: salted scrypt hashes, made by `slctl passwd`.

A hash is one word that says how it was made: `scrypt$14$8$1$SALT$KEY`, that is log2(N), r, p and
two base64 texts (https://www.rfc-editor.org/rfc/rfc7914).
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import NamedTuple

COST = 14
"""log2 of the work factor: 2**14 is 16 MiB and about 50 ms."""

MAX_USER_NAME = 64
"""Characters in the name of a user."""

USER_NAME_RULE = f"a name is up to {MAX_USER_NAME} characters long and has no colon"
"""What `is_user_name` asks for, in words."""

_MAX_MEMORY = 128 << 20
_SALT_BYTES = 16
_KEY_BYTES = 32


class _Parts(NamedTuple):
    cost: int
    block: int
    parallel: int
    salt: bytes
    key: bytes


def is_user_name(text: str) -> bool:
    """Tell whether this may be a user: Basic authentication ends a name at the first colon."""
    return ":" not in text and text.isprintable() and len(text) <= MAX_USER_NAME


def make_hash(password: str, cost: int = COST) -> str:
    """Return the hash of a password, with a salt of its own."""
    salt = os.urandom(_SALT_BYTES)
    key = _derive(password, _Parts(cost, 8, 1, salt, b"\0" * _KEY_BYTES))
    return f"scrypt${cost}$8$1${_encode(salt)}${_encode(key)}"


def is_hash(text: str) -> bool:
    """Tell whether this is a hash that `matches` can use."""
    return _parse(text) is not None


def matches(password: str, hashed: str) -> bool:
    """Tell whether the hash was made of this password; takes as long whether it was or not."""
    parts = _parse(hashed)
    if parts is None:
        return False
    import hmac

    return hmac.compare_digest(_derive(password, parts), parts.key)


def _derive(password: str, parts: _Parts) -> bytes:
    import hashlib  # OpenSSL, 4 MB: the daemon checks the form of a hash, never a password

    return hashlib.scrypt(
        password.encode("utf-8", "surrogateescape"),
        salt=parts.salt,
        n=1 << parts.cost,
        r=parts.block,
        p=parts.parallel,
        dklen=len(parts.key),
        maxmem=2 * _MAX_MEMORY,
    )


def _parse(text: str) -> _Parts | None:
    word, *rest = text.split("$")
    if word != "scrypt" or len(rest) != 5:
        return None
    numbers, texts = rest[:3], rest[3:]
    if not all(number.isascii() and number.isdigit() and len(number) < 4 for number in numbers):
        return None
    cost, block, parallel = map(int, numbers)
    if not (10 <= cost <= 20 and block > 0 and 0 < parallel <= 16):
        return None
    if 128 * block << cost > _MAX_MEMORY:
        return None
    try:
        salt, key = (base64.b64decode(item, validate=True) for item in texts)
    except (binascii.Error, ValueError):
        return None
    return _Parts(cost, block, parallel, salt, key) if len(salt) >= 8 and len(key) >= 16 else None


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
