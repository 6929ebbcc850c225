"""reread, update, avail, check, schema."""

from __future__ import annotations

import json
import os
import sys
from types import ModuleType
from typing import Any

import pytest

from supervisor_lite.ctl.main import main
from tests.ctl.conftest import Serve, Slctl
from tests.ctl.fake import error, result


def test_reread_sorts_by_name(serve: Serve, slctl: Slctl) -> None:
    serve(
        reread=result({
            "added": ["web"], "changed": ["b", "z"], "removed": ["old"], "warnings": ["empty!"],
        })
    )  # fmt: skip
    assert slctl("reread") == (
        0,
        "b: changed\nold: disappeared\nweb: available\nz: changed\n",
        "warning: empty!\n",
    )


def test_reread_without_news(serve: Serve, slctl: Slctl) -> None:
    serve(reread=result({"added": [], "changed": [], "removed": []}))
    assert slctl("reread") == (0, "No config updates to processes\n", "")


@pytest.mark.parametrize("command", ["reread", "update", "reload"])
def test_what_waits_for_another_daemon_is_told(serve: Serve, slctl: Slctl, command: str) -> None:
    """After what it did, and as plain text."""
    lists: dict[str, list[str]] = {"added": [], "changed": [], "removed": [], "results": []}
    notes = ["[daemon] cgroups: takes effect later", "odd\x1b[2J"]
    serve(**{command: result({**lists, "daemon": ["cgroups"], "notes": notes})})
    code, out, err = slctl(command)
    assert (code, err) == (0, "")
    assert out.endswith("[daemon] cgroups: takes effect later\nodd\\x1b[2J\n")


def test_update_uses_supervisors_words(serve: Serve, slctl: Slctl) -> None:
    rows = [("old", "stopped"), ("old", "removed"), ("b", "changed"), ("web", "added")]
    daemon = serve(update=result({"results": [{"name": n, "result": r} for n, r in rows]}))
    assert slctl("update") == (
        0,
        "old: stopped\nold: removed process group\n"
        "b: updated process group\nweb: added process group\n",
        "",
    )
    slctl("update", "web")
    assert daemon.asked == [("update", {}), ("update", {"names": ["web"]})]


def test_update_that_fails_for_one(serve: Serve, slctl: Slctl) -> None:
    row = {"name": "b", "result": "failed", "ok": False, "reason": "still up"}
    serve(update=result({"results": [row]}))
    assert slctl("update") == (1, "", "b: ERROR (still up)\n")


@pytest.mark.parametrize("command", ["reread", "update", "reload"])
def test_every_complaint_is_shown(serve: Serve, slctl: Slctl, command: str) -> None:
    complaints = ["a.toml:3: program.web.autostrt: unknown key", "a.toml:9: bad value"]
    data = {"code": "bad_configuration", "details": complaints}
    serve(**{command: error(2, "the configuration cannot be used", data)})
    assert slctl(command) == (2, "", "".join(f"{text}\n" for text in complaints))


def test_avail_layout(serve: Serve, slctl: Slctl) -> None:
    rows = [
        {"fullname": "web", "in_use": True, "autostart": True, "group_priority": 10,
         "priority": 999},
        {"fullname": "site:b", "in_use": False, "autostart": False, "group_priority": 999,
         "priority": 1},
    ]  # fmt: skip
    serve(avail=result({"processes": rows}))
    assert slctl("avail") == (
        0,
        "web                              in use    auto      10:999\n"
        "site:b                           avail     manual    999:1\n",
        "",
    )


@pytest.mark.parametrize(
    ("words", "tail"),
    [
        (["check"], []),
        (["check", "x.toml"], ["-c", "x.toml"]),
        (["-c", "conf.d", "check"], ["-c", "conf.d"]),
    ],
)
def test_check_becomes_the_daemons_check(
    monkeypatch: pytest.MonkeyPatch, words: list[str], tail: list[str]
) -> None:
    """The same code that starts the daemon judges its configuration."""
    seen: list[list[str]] = []

    class Replaced(Exception):
        """This process would be another program now."""

    def replace(path: str, command: list[str]) -> None:
        seen.append([path, *command])
        raise Replaced

    monkeypatch.setattr(os, "execv", replace)
    with pytest.raises(Replaced):
        main(words)
    start = [sys.executable, sys.executable, "-P", "-m", "supervisor_lite", "--check"]
    assert seen == [[*start, *tail]]


def test_schema_is_json(slctl: Slctl, monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs no daemon."""
    module: Any = ModuleType("supervisor_lite.config.schema.json_schema")
    module.json_schema = lambda: {"title": "grün"}
    monkeypatch.setitem(sys.modules, module.__name__, module)
    code, out, err = slctl("schema")
    assert (code, json.loads(out), err) == (0, {"title": "grün"}, "")
