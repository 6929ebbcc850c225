"""The text of each event that listeners get.

The texts are Supervisor's. Listeners split every word of a text at ":" into exactly two parts, so
whatever is added to one must be a word of that form, at its end.
"""

from __future__ import annotations

from typing import NamedTuple

from supervisor_lite.model.change import Change
from supervisor_lite.rules.event_listener.types import timeslice


class ListenerEvent(NamedTuple):
    """One event as listeners get it: its name and its text."""

    name: str
    payload: str


def of_change(change: Change, pid: int) -> ListenerEvent:
    """Return the event of a change of state; `pid` is that of the run that it is about.

    How a process ended is Supervisor's `expected` and our addition, `exitcode` or `signal`.
    """
    words = [_source(change.process, change.group), f"from_state:{change.from_state}"]
    match change.to_state:
        case "STARTING" | "BACKOFF":
            words.append(f"tries:{change.tries}")
        case "EXITED":
            words += [f"expected:{int(bool(change.expected))}", f"pid:{pid}"]
            if change.signal is not None:
                words.append(f"signal:{change.signal}")
            elif change.exitcode is not None:
                words.append(f"exitcode:{change.exitcode}")
        case "RUNNING" | "STOPPING" | "STOPPED":
            words.append(f"pid:{pid}")
    return ListenerEvent(f"PROCESS_STATE_{change.to_state}", " ".join(words))


def of_output(process: str, group: str, pid: int, stream: str, text: str) -> ListenerEvent:
    """Return the event of something that a process has written."""
    head = f"{_source(process, group)} pid:{pid} channel:{stream}"
    return ListenerEvent(f"PROCESS_LOG_{stream.upper()}", f"{head}\n{text}")


def of_communication(process: str, group: str, pid: int, stream: str, text: str) -> ListenerEvent:
    """Return the event of something that a process has written between the two tokens."""
    head = f"{_source(process, group)} pid:{pid}"
    return ListenerEvent(f"PROCESS_COMMUNICATION_{stream.upper()}", f"{head}\n{text}")


def of_remote(kind: str, data: str) -> ListenerEvent:
    """Return the event of something that came over the control socket."""
    return ListenerEvent("REMOTE_COMMUNICATION", f"type:{kind}\n{data}")


def of_group(name: str, *, added: bool) -> ListenerEvent:
    """Return the event of a group that came or went. Unlike the others it ends in a newline."""
    return ListenerEvent(f"PROCESS_GROUP_{'ADDED' if added else 'REMOVED'}", f"groupname:{name}\n")


def of_daemon(state: str) -> ListenerEvent:
    """Return the event of the daemon being there (RUNNING) or going (STOPPING)."""
    return ListenerEvent(f"SUPERVISOR_STATE_CHANGE_{state}", "")


def of_tick(name: str, now: float) -> ListenerEvent:
    """Return the event of the clock; `now` is in seconds since the epoch."""
    return ListenerEvent(name, f"when:{timeslice(name, now)}")


def _source(process: str, group: str) -> str:
    return f"processname:{process} groupname:{group}"
