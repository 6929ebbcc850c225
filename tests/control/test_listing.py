"""The list of processes is remembered, and never out of date."""

from __future__ import annotations

import json

from supervisor_lite.control.listing import Listing
from supervisor_lite.core.process import Process
from supervisor_lite.model.program import Program
from supervisor_lite.model.states import State


def put(table: dict[str, Process], name: str) -> Process:
    """Put a process on the table."""
    table[name] = Process(Program(name=name, group="site", command=(name,)), 0.0)
    return table[name]


def states(listing: Listing) -> dict[str, str]:
    """Return what a client would read."""
    body = b"[%s]" % listing.views(listing.everything())
    return {each["name"]: each["state"] for each in json.loads(body)}


def test_the_list_follows_the_table() -> None:
    table: dict[str, Process] = {}
    listing = Listing(table)
    assert states(listing) == {}
    for name in ("web_10", "web_2", "api"):
        put(table, name)
    assert list(states(listing)) == ["api", "web_2", "web_10"]
    before = listing.views(listing.everything())
    assert listing.views(listing.everything()) is before
    del table["web_2"]
    assert list(states(listing)) == ["api", "web_10"]
    put(table, "api")  # another one of that name
    table["api"].move_to(table["api"].record._replace(state=State.FATAL))
    assert states(listing) == {"api": "FATAL", "web_10": "STOPPED"}


def test_the_list_follows_the_processes() -> None:
    table: dict[str, Process] = {}
    listing = Listing(table)
    web = put(table, "web")
    put(table, "worker")
    assert states(listing)["web"] == "STOPPED"
    web.move_to(web.record._replace(state=State.RUNNING))
    assert states(listing) == {"web": "RUNNING", "worker": "STOPPED"}
    assert json.loads(listing.views([web]))["state"] == "RUNNING"
    assert len(states(listing)) == 2
