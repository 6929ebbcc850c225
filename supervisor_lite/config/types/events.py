"""What an event listener is told of: the names of events, which are Supervisor's."""

from __future__ import annotations

from supervisor_lite.config.types.base import ValueType
from supervisor_lite.config.types.compound import ListOf
from supervisor_lite.config.types.text import STRING
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.rules.event_listener.types import MEANINGS
from supervisor_lite.text import suggest


def event(value: object) -> str:
    """Return the name of an event as Supervisor writes it."""
    if not isinstance(value, str):
        raise BadValueError
    name = value.strip().upper()
    if name not in MEANINGS:
        raise BadValueError(hint=suggest(name, MEANINGS))
    return name


def without_repetition(value: object) -> object:
    """Return the events of a list, each once."""
    assert isinstance(value, tuple)
    return tuple(dict.fromkeys(value))


def handler(value: object) -> str:
    """Accept the only handler of results that there is."""
    if value not in ("default", "supervisor.dispatchers:default_handler"):
        raise BadValueError(hint=": results other than OK and FAIL need a program of their own")
    return "default"


EVENT = ValueType('an event like "PROCESS_STATE_EXITED" or "TICK_60"', event, STRING)
EVENTS = ListOf("a list of events that is not empty", EVENT, without_repetition, at_least=1)
HANDLER = ValueType('"default"', handler, {"type": "string"})
