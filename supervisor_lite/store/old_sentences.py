"""What schema 1 kept as sentences, as schema 2 has it: causes, notes, errors, ends of runs.

The only place that reads a sentence, and a frozen one: these are the words of the versions that
wrote schema 1, and none of it is asked about anything that was written later. So it uses nothing
of the package, neither its words nor its classes. What is not understood is kept as it was, as a
cause (or note) of the kind "recorded", so nothing is lost.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from functools import lru_cache
from typing import Any

Data = dict[str, Any]

_dump = json.JSONEncoder(separators=(",", ":")).encode

_FIXED = {
    "start asked": "start_asked",
    "stop asked": "stop_asked",
    "restart asked": "restart_asked",
    "added": "added",
    "added by update": "added_by_update",
    "changed by update": "changed_by_update",
    "autostart": "autostart",
    "no longer defined": "no_longer_defined",
    "its state was lost with the daemon": "state_lost",
    "found alive": "found_alive",
    "the machine was restarted": "machine_restarted",
    "never spawned: the daemon died": "never_spawned",
}

_NUMBER = r"([0-9.]+(?:e[-+][0-9]+)?)"

_EXIT = re.compile(
    r"exit (?P<code>-?\d+)"
    r"|killed by (?P<signal>SIG[^ :]+)(?P<core> \(core dumped\))?(?:: (?P<memory>out of memory.*))?"
    r"|(?P<unknown>ended with an unknown exit code)(?:: (?P<probably>probably out of memory.*))?"
)

_SPAWN_ERRORS = (
    ("command_not_found", r'cannot find the command "(.*)"'),
    ("command_not_permitted", r'no permission to run the command "(.*)"'),
    ("command_is_directory", r'the command "(.*)" is a directory'),
    ("command_not_executable", r'the command "(.*)" is not executable'),
    ("directory", r'cannot enter the directory "(.*)": .*'),
    ("user", r'cannot find the user "(.*)"'),
)


def convert(database: sqlite3.Connection) -> None:
    """Make data of all that a database of schema 2 still has as sentences."""
    database.create_function("cause_of_end", 1, _cause_of_end, deterministic=True)
    database.create_function("change_of", 1, _kept(_change), deterministic=True)
    database.create_function("record_of", 1, _kept(_record), deterministic=True)
    database.execute("UPDATE runs SET cause = cause_of_end(cause) WHERE cause IS NOT NULL")
    database.execute("UPDATE changes SET change = change_of(change)")
    database.execute("UPDATE processes SET record = record_of(record)")


def _kept(convert: Callable[[Data], Data]) -> Callable[[str], str]:
    """Return what converts the text of an object; what is none stays as it is."""

    def converted(text: str) -> str:
        try:
            values = json.loads(text)
        except ValueError:
            return text
        return _dump(convert(values)) if isinstance(values, dict) else text

    return converted


@lru_cache(4096)
def _cause_of_end(text: str) -> str:
    """Return the cause of the end of a run, as JSON."""
    return _dump(_fixed(text) or _failed_or_ended("exited", "spawn_failed", text))


def _change(values: Data) -> Data:
    text = str(values.pop("cause", ""))
    note = str(values.pop("note", ""))
    if text:
        values["cause"] = _cause(text, str(values.get("to_state", "")))
    if note:
        values["notes"] = _notes(note)
    return values


def _record(values: Data) -> Data:
    text, note = str(values.pop("cause", "")), str(values.pop("note", ""))
    error, exit_status = str(values.pop("error", "")), values.pop("exit", None)
    state = {30: "BACKOFF"}.get(values.get("state", 0), "")
    values["kill_now"] = values.pop("hurried", False)
    values["cause"] = _cause(text, state) if text else None
    values["notes"] = _notes(note) if note else []
    values["error"] = _spawn_failure(error) if error else None
    if isinstance(exit_status, list):
        missing = [None, None, False, ""][len(exit_status) :]
        code, signal, core, why = [*exit_status, *missing][:4]
        ended = _without_defaults({"code": code, "signal": signal, "core": core})
        values["exit"] = {**ended, **_memory(why)}
    return values


# Sentences.


@lru_cache(4096)
def _cause(text: str, state: str) -> Data:
    """Return the cause of a change to a state."""
    if state == "BACKOFF":
        return _failed_or_ended("exited_too_soon", "spawn_failed", text)
    found = _fixed(text) or _expected(text) or _given_up(text) or _by_daemon(text)
    if found is not None:
        return found
    if match := re.fullmatch(rf"up for {_NUMBER} s", text):
        return {"kind": "up", "seconds": float(match[1])}
    if match := re.fullmatch(r"try (\d+) of (\d+)", text):
        return {"kind": "retry", "number": int(match[1]), "limit": int(match[2])}
    if match := re.fullmatch(r"restart after (.*)", text, re.DOTALL):
        return _failed_or_ended("restarted", "restarted", match[1])
    return {"kind": "recorded", "text": text}


def _fixed(text: str) -> Data | None:
    kind = _FIXED.get(text)
    return {"kind": kind} if kind is not None else None


def _expected(text: str) -> Data | None:
    match = re.fullmatch(r"(.*) \((not )?expected\)", text, re.DOTALL)
    ended = _exit(match[1]) if match is not None else None
    if match is None or ended is None:
        return None
    return {"kind": "exited", "exit": ended, "expected": match[2] is None}


def _given_up(text: str) -> Data | None:
    if match := re.fullmatch(r"gave up after (\d+) (?:try|tries): (.*)", text, re.DOTALL):
        kind = "start_retries_spent"
        return {**_failed_or_ended(kind, kind, match[2]), "number": int(match[1])}
    pattern = rf"gave up after (\d+) restarts in {_NUMBER} s: (.*)"
    if match := re.fullmatch(pattern, text, re.DOTALL):
        kind = "restart_limit_reached"
        counted = {"number": int(match[1]), "seconds": float(match[2])}
        return {**_failed_or_ended(kind, kind, match[3]), **counted}
    return None


def _by_daemon(text: str) -> Data | None:
    match = re.fullmatch(
        r"(?P<what>taken over|found ended) by"
        r" (?:its new version \(pid (?P<upgraded>\d+), (?P<version>.*)\)"
        r"|a new daemon \(pid (?P<new>\d+)\): the one before had ended)",
        text,
    )
    if match is None:
        return None
    found = {"kind": match["what"].replace(" ", "_"), "pid": int(match["upgraded"] or match["new"])}
    return {**found, "version": match["version"]} if match["version"] else found


def _failed_or_ended(if_ended: str, if_failed: str, text: str) -> Data:
    """Return a cause that has the end of a run, or else why there was none."""
    ended = _exit(text)
    if ended is not None:
        return {"kind": if_ended, "exit": ended}
    return {"kind": if_failed, "error": _spawn_failure(text)}


def _exit(text: str) -> Data | None:
    match = _EXIT.fullmatch(text)
    if match is None:
        return None
    code = match["code"]
    ended = {
        "code": int(code) if code else None,
        "signal": match["signal"],
        "core": bool(match["core"]),
    }
    return {**_without_defaults(ended), **_memory(match["memory"] or match["probably"])}


def _memory(why: str | None) -> Data:
    """Return what an end says of memory: `[probably ]out of memory[ (memory_max 64MB)]`."""
    if not why:
        return {}
    match = re.search(r"\(memory_max (\d+)(?:([KMGT])B)?\)", why)
    if match is None:
        return {"out_of_memory": True}
    factor = 1 << 10 * " KMGT".index(match[2] or " ")
    return {"out_of_memory": True, "memory_max": int(match[1]) * factor}


def _spawn_failure(text: str) -> Data:
    for code, pattern in _SPAWN_ERRORS:
        if match := re.fullmatch(pattern, text, re.DOTALL):
            return {"code": code, "text": text, "name": match[1]}
    return {"code": "other", "text": text}


def _notes(text: str) -> list[Data]:
    found = [_note(part) for part in text.split("; ")]
    known = [note for note in found if note is not None]
    return known if len(known) == len(found) else [{"kind": "recorded", "text": text}]


def _note(text: str) -> Data | None:
    if text == "KILL at once":
        return {"kind": "killed"}
    if match := re.fullmatch(rf"KILL after {_NUMBER} s", text):
        return {"kind": "killed", "seconds": float(match[1])}
    match = re.fullmatch(r"(\d+) (?:leftovers? (ended|killed)|left running): (.*)", text)
    named = [re.fullmatch(r"(\d+) (.*)", each) for each in match[3].split(", ")] if match else []
    processes = [{"pid": int(each[1]), "name": each[2]} for each in named if each is not None]
    if match is None or not len(processes) == len(named) == int(match[1]):
        return None
    return {"kind": f"leftovers_{match[2] or 'kept'}", "processes": processes}


def _without_defaults(values: Data) -> Data:
    return {
        name: value for name, value in values.items() if value is not None and value is not False
    }
