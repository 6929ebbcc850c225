"""The command passwd: a user of the gateway, with the hash of a password. Needs no daemon."""

from __future__ import annotations

import sys

from supervisor_lite.ctl import render
from supervisor_lite.ctl.context import CommandContext, Commands, none_left, required
from supervisor_lite.ctl.options import UsageError
from supervisor_lite.protocol import codes
from supervisor_lite.protocol.commands import ROLES

command = Commands()


@command("passwd")
def passwd(ctl: CommandContext, arguments: list[str]) -> int:
    """Ask for a password and print the [[gateway.users]] table for the configuration."""
    given = ctl.parse(arguments, {"--role": "role="})
    name, *rest = required(given, "the NAME of a user")
    none_left(rest)
    role = given.text("role", "view")
    if role not in ROLES:
        raise UsageError(f"--role is one of {', '.join(ROLES)}")
    from supervisor_lite.passwords import USER_NAME_RULE, is_user_name, make_hash

    if not is_user_name(name):
        raise UsageError(USER_NAME_RULE)
    password = _password()
    if password is None:
        render.err("slctl: the two are not the same")
        return codes.FAILED
    if not password:
        render.err("slctl: the password is empty")
        return codes.FAILED
    import json

    render.out("[[gateway.users]]")
    render.out(f"name = {json.dumps(name, ensure_ascii=False)}")
    render.out(f'password_hash = "{make_hash(password)}"')
    render.out(f'role = "{role}"')
    return codes.DONE


def _password() -> str | None:
    """Return what was typed, twice on a terminal; else the first line of stdin."""
    if sys.stdin is None:  # closed
        return ""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    from getpass import getpass

    try:
        first = getpass("Password: ")
        return first if getpass("Once more: ") == first else None
    except EOFError:
        return ""
