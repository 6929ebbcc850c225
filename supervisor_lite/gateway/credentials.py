"""Who comes over HTTP: Basic authentication against salted hashes, in constant time."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass

from supervisor_lite.gateway.checks import Checks
from supervisor_lite.model.settings import GatewayUser
from supervisor_lite.passwords import make_hash, matches
from supervisor_lite.protocol.commands import ROLES

_MAX_KNOWN = 64


class TooBusy(Exception):
    """Too many passwords for one user, from one address, are waiting to be checked."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody, and what they may do."""

    name: str
    role: str
    by_password: bool = False
    """Has shown a password, which a browser can forget."""

    def may(self, role: str) -> bool:
        """Tell whether they have this role, or a greater one."""
        return ROLES.index(role) <= ROLES.index(self.role)


class PasswordChecker:
    """Checks names and passwords.

    A check costs 50 ms on purpose, so what was right is remembered (as a keyed digest, for the
    life of this process), and others are checked one at a time. Who waits for whom says checks.py:
    nobody for the wrong passwords of others.
    """

    def __init__(self, users: Sequence[GatewayUser]) -> None:
        self._users = {user.name: user for user in users}
        self._key = os.urandom(32)
        self._known: dict[bytes, Principal] = {}
        self._checks = Checks()
        # For names that nobody has: the answer must not come sooner than for the others.
        self._nobody = make_hash(os.urandom(8).hex()) if users else ""

    async def check(self, header: str | None, address: str = "") -> Principal | None:
        """Return who sent this Authorization header from an address; None if nobody that we know.

        Raises TooBusy.
        """
        pair = _basic(header)
        if pair is None or not self._users:
            return None
        digest = hmac.digest(self._key, "\0".join(pair).encode("utf-8", "replace"), hashlib.sha256)
        known = self._known.get(digest)
        if known is not None:
            return known
        name, password = pair
        user = self._users.get(name)
        key = (address, name if user is not None else "")
        if not await self._checks.begin(key):
            raise TooBusy
        right = False
        try:
            hashed = user.password_hash if user is not None else self._nobody
            right = await asyncio.to_thread(matches, password, hashed)
        finally:
            self._checks.end(key, right=right and user is not None)
        if user is None or not right:
            return None
        who = Principal(user.name, user.role, by_password=True)
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[digest] = who
        return who


def _basic(header: str | None) -> tuple[str, str] | None:
    """Return name and password."""
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() != "basic" or len(value) > 1024:
        return None
    try:
        text = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    name, colon, password = text.partition(":")
    return (name, password) if colon else None
