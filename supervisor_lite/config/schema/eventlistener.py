# ruff: noqa: E501 - a table: one key, one line
"""The keys of [eventlistener.NAME]: those of a program, and its own."""

from __future__ import annotations

from supervisor_lite.config.schema.key import Key, Shape, TableSchema
from supervisor_lite.config.schema.program import PROGRAM
from supervisor_lite.config.types import basic, events
from supervisor_lite.model.plan import Group

LISTENER = TableSchema(
    "eventlistener",
    Shape.NAMED,
    "A program that is told what happens, by Supervisor's protocol: see docs/listeners.md. It has the keys of `[program.NAME]` except stdin, and these. Its processes are a pool: each event goes to one of them.",
    (
        Key("events", events.EVENTS, "What it wants to hear of.", Group, required=True, supervisor_name="events"),
        Key("buffer_size", basic.POSITIVE, "How many events may wait for the pool; one more drops the oldest.", Group, supervisor_name="buffer_size"),
        Key("result_handler", events.HANDLER, "Who judges its results; there is no other than the default, which takes OK and FAIL.", default="default", supervisor_name="result_handler"),
        *(
            key._replace(default=-1, doc="As for a program, but by default listeners start first and stop last.") if key.name == "priority" else key
            for key in PROGRAM.keys
            if key.name != "stdin"
        ),
    ),
)  # fmt: skip
