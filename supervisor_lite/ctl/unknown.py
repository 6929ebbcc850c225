"""What is meant by a word that is no command, or no name: loaded when somebody has typed one.

A command that changes something is only suggested to who has missed it by one letter: what is
typed without thinking must not stop what runs.
"""

from __future__ import annotations

from supervisor_lite.client.errors import ClientError
from supervisor_lite.client.sync import Client
from supervisor_lite.protocol.commands import GROUPS, SLCTL
from supervisor_lite.text import suggest

_IN_THE_FILE = "what should run is in the configuration: edit it, then slctl update"

OF_OTHERS = {
    "cat": "slctl logs", "config": "slctl avail", "configtest": "slctl check",
    "daemon-reload": "slctl update", "delete": _IN_THE_FILE, "del": _IN_THE_FILE,
    "desc": "slctl why", "describe": "slctl why", "diff": "slctl reread",
    "disable": "autostart = false in the configuration, then slctl update",
    "down": "slctl stop", "enable": "autostart = true in the configuration, then slctl update",
    "flush": "slctl clear", "history": "slctl runs", "info": "slctl why", "inspect": "slctl why",
    "is-active": "slctl status --health", "jlist": "slctl status --json",
    "journalctl": "slctl logs", "kill": "slctl signal KILL", "list": "slctl status",
    "list-units": "slctl status", "log": "slctl logs", "ls": "slctl status",
    "monit": "slctl status, again and again: watch slctl status", "ps": "slctl status",
    "restartall": "slctl restart all", "resurrect": _IN_THE_FILE, "run": _IN_THE_FILE,
    "save": _IN_THE_FILE, "scale": "numprocs in the configuration, then slctl update",
    "show": "slctl why", "startup": "docs/from-nohup.md has the unit for systemd",
    "tailf": "slctl tail -f", "test": "slctl check",
    "top": "slctl status, again and again: watch slctl status", "up": "slctl start",
    "validate": "slctl check",
}  # fmt: skip
"""The words of systemctl, pm2, docker and the shell, and what does that here."""


def command_hint(word: str) -> str:
    """Return what to say of a word that is no command, after a semicolon; "" if nothing is near."""
    known = OF_OTHERS.get(word.lower())
    if known is not None:
        return f"; here it is: {known}"
    candidates = [
        row.name
        for row in SLCTL.values()
        if not (row.changes or row.question) or _one_letter_off(word.lower(), row.name)
    ]
    return suggest(word, candidates, "{}", ";")


def name_hints(client: Client, missing: list[str], takes: str) -> dict[str, str]:
    """Return for names that nothing matches what the caller may have meant, as `suggest` does."""
    try:
        rows = client.call("avail" if takes == GROUPS else "status")["processes"]
        keys = ("group",) if takes == GROUPS else ("fullname", "name", "group")
        known = {str(row[key]) for row in rows for key in keys}
    except (ClientError, KeyError, TypeError):
        return {}
    return {name: suggest(name, sorted(known), lead=";") for name in missing if name}


def _one_letter_off(word: str, name: str) -> bool:
    """Tell whether one letter is wrong, missing, too many, or changed places with the next."""
    if abs(len(word) - len(name)) > 1:
        return False
    same = 0
    while same < min(len(word), len(name)) and word[same] == name[same]:
        same += 1
    rest, wanted = word[same:], name[same:]
    swapped = wanted[1::-1] + wanted[2:] if len(wanted) > 1 else wanted
    return rest[1:] == wanted or rest == wanted[1:] or rest[1:] == wanted[1:] or rest == swapped
