"""Small programs to supervise, and the TOML that defines them."""

from __future__ import annotations

import json
from collections.abc import Sequence


def toml(value: object) -> str:
    """Return `value` as TOML (a JSON string, number, boolean or list is TOML already)."""
    if isinstance(value, dict):
        inside = ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items())
        return "{ " + inside + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def program(name: str, command: str | Sequence[str], **options: object) -> str:
    """Return a `[program.NAME]` table."""
    lines = [f"[program.{name}]", f"command = {toml(command)}"]
    lines += [f"{key} = {toml(value)}" for key, value in options.items()]
    return "\n".join(lines) + "\n\n"


SLEEPER = ["sleep", "100000"]


def sh(script: str) -> list[str]:
    """Return the command that runs `script`; a percent sign must be doubled in it."""
    return ["sh", "-c", script]


def exits(code: int) -> list[str]:
    """Return a program that ends at once with this code."""
    return sh(f"exit {code}")


def stamper(name: str, then: str) -> list[str]:
    """Return a program that notes the time and its pid in `NAME.stamp`, then runs `then`."""
    return sh(f'read -r up idle </proc/uptime; echo "$up $$" >>%(here)s/{name}.stamp; {then}')


TERM_IGNORER = sh("trap '' TERM; echo ready; while :; do sleep 100000; done")
"""Only SIGKILL ends it: a shell that ignores a signal hands that on to its children."""

FORKER = sh(
    "sleep 100001 & setsid sleep 100002 & "
    "(setsid sh -c 'sleep 100003 & exec sleep 100004' &) ; wait; wait"
)
"""Has four descendants: in its group, in their own session, double-forked, and a child of that."""


def echoer(name: str) -> list[str]:
    """Return a program that prints what the test writes with `Daemon.say(name, …)`."""
    pipe = f"%(here)s/{name}.pipe"
    return sh(f"[ -p {pipe} ] || mkfifo {pipe}; exec cat <>{pipe}")


def writes_and_stays(script: str) -> list[str]:
    """Return a program that runs `script`, then sleeps."""
    return sh(f"{script}; exec sleep 100000")
