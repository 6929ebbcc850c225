"""The table of commands: whole, told everywhere, and three places to add one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from supervisor_lite.control import access
from supervisor_lite.control.methods import (
    configuration,
    daemon,
    history,
    output,
    processes,
    supervisor_compat,
)
from supervisor_lite.control.request import Methods, Request
from supervisor_lite.ctl.commands import status
from supervisor_lite.ctl.completions import Completions
from supervisor_lite.ctl.context import CommandContext
from supervisor_lite.ctl.main import dispatch, main
from supervisor_lite.ctl.options import Arguments
from supervisor_lite.ctl.shell import Shell
from supervisor_lite.errors import SpawnErrorCode
from supervisor_lite.model.cause import CauseKind, NoteKind
from supervisor_lite.protocol import codes, commands
from supervisor_lite.protocol.commands import METHODS, ROLES, SLCTL, TABLE, Command

ROOT = Path(__file__).parents[2]

FAMILIES = (configuration, daemon, history, output, processes, supervisor_compat)


def names_of(methods: Methods) -> list[str]:
    return list(methods.of(None))


def test_every_row_is_whole() -> None:
    assert len({row.name for row in TABLE}) == len(TABLE)
    for row in TABLE:
        assert row.role or row.module, row.name
        assert row.role in ("", *ROLES), row.name
        assert {row.takes, *row.words} <= commands.KINDS, row.name
        assert not row.module or row.summary, row.name
        assert not row.changes or row.role != commands.VIEW, row.name
        assert not (row.params or row.rest) or row.role, row.name


def test_every_method_is_answered_and_every_answer_is_a_method() -> None:
    answered = [name for family in FAMILIES for name in names_of(family.method)]
    assert sorted(answered) == sorted(METHODS)


def test_every_command_has_its_function_and_every_function_its_command() -> None:
    modules = {row.module for row in SLCTL.values()}
    found = {name: module for module in modules for name in dispatch(module).functions}
    assert found == {row.name: row.module for row in SLCTL.values()}
    with pytest.raises(LookupError):
        dispatch("nope")


def test_what_has_no_row_needs_the_highest_role() -> None:
    assert not access.Grants((("operate", ("*",)),)).may("nope", None)
    assert access.Grants((("admin", ("*",)),)).may("nope", None)


def test_the_page_of_slctl_has_every_command_and_how_it_is_used() -> None:
    text = (ROOT / "docs/slctl.md").read_text().split("\n## Commands\n")[1].split("\n## ")[0]
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    found = " ".join(rows).replace("\\|", "|")
    words = set(re.findall(r"`([^` ]+)", found))
    for row in SLCTL.values():
        if row.name == "help":
            continue  # stands in the text above the table
        assert row.name in words, row.name
        synopsis = row.synopsis.replace("SUPERVISORD.CONF", "FILE")
        assert synopsis in found, (row.name, synopsis)


def test_the_page_of_the_protocol_has_every_method_and_its_parameters() -> None:
    text = (ROOT / "docs/protocol.md").read_text().split("\n## Methods\n")[1].split("\n## Codes")[0]
    rows = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| `")]
    found = {
        name: re.findall(r"`([a-z_]+\??)`", params)
        for first, params in rows
        for name in re.findall(r"`([a-z_]+)`", first)
    }
    assert sorted(found) == sorted(METHODS)
    for row in METHODS.values():
        if row.name == "read_main_log":  # "the same without name and stream"
            continue
        needed = {f"{name}{'' if must else '?'}" for name, must in row.parameters().items()}
        assert {name for name in found[row.name] if name.rstrip("?") in row.parameters()} >= needed


def test_the_page_of_the_protocol_has_every_code() -> None:
    text = (ROOT / "docs/protocol.md").read_text()
    for group in (codes.ErrorCode, codes.ResultCode):
        for name, code in vars(group).items():
            assert name.startswith("_") or f"`{code}`" in text, code
    for kinds in (SpawnErrorCode, CauseKind, NoteKind):
        for kind in kinds:
            assert f"`{kind.value}`" in text, kind


def test_the_manual_page_has_every_command() -> None:
    script = ROOT / "packaging" / "deb" / "manual.py"
    done = subprocess.run(
        [sys.executable, str(script), "1.0"],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    pages: dict[str, str] = eval(done.stdout)
    for name in SLCTL:
        assert f"\n.B {name}" in pages["slctl"], name


@pytest.fixture
def poke(monkeypatch: pytest.MonkeyPatch) -> Command:
    """A command more: its row, its method, its function. These are all the places there are."""
    row = Command(
        "poke", "NAME… [--hard]", "poke it",
        role="operate", module="status", takes=commands.PROCESSES, params="names, hard?",
        changes=True, rest="POST /processes/{name}/poke", question="Really poke?",
        details="It may poke back.",
    )  # fmt: skip
    monkeypatch.setitem(SLCTL, row.name, row)
    monkeypatch.setitem(METHODS, row.name, row)

    def method(self: object, request: Request) -> dict[str, Any]:
        return {"poked": request.params.names(required=True)}

    def function(ctl: CommandContext, arguments: list[str]) -> int:
        with ctl.client() as client:
            print(client.call("poke", {"names": arguments})["poked"])
        return codes.DONE

    monkeypatch.setattr(processes.method, "_functions", {**processes.method._functions})
    processes.method("poke")(method)
    monkeypatch.setattr(status.command, "functions", {**status.command.functions})
    status.command("poke")(function)
    return row


def test_adding_a_command_takes_three_places(
    poke: Command, capsys: pytest.CaptureFixture[str], serve: Callable[..., Any], socket_path: str
) -> None:
    """A row, a method, a function; everything else follows from the row."""
    # The socket: the method is answered, and its role is kept.
    assert "poke" in names_of(processes.method)
    assert access.Grants((("operate", ("*",)),)).may("poke", "web")
    assert not access.Grants((("view", ("*",)),)).may("poke", "web")
    # slctl: dispatch, help, usage, suggestions.
    assert main(["help"]) == 0
    assert "\n  poke NAME… [--hard]" in capsys.readouterr().out
    assert main(["help", "poke"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(
        "usage: slctl poke NAME… [--hard]\n\nPoke it.\nIt may poke back.\nNAME is"
    )
    assert main(["poek"]) == 2
    assert "did you mean poke?" in capsys.readouterr().err
    # Completion and the shell.
    assert main(["completion", "words"]) == 0
    assert "poke" in capsys.readouterr().out.split()
    ctl = CommandContext()
    ctl.use(Arguments({"socket": socket_path}, []))
    assert "poke" in Completions(ctl).after(["help", ""]).words
    assert "poke " in Shell(ctl, lambda *_: 0).completenames("pok")
    # It changes something: whoever loses the connection is told what is not known.
    serve(poke=lambda connection, *_: connection.hang_up())
    assert main(["-s", socket_path, "poke", "web"]) == 7
    assert "whether the poke was carried out is not known" in capsys.readouterr().err


def test_a_command_is_answered_by_its_function(
    poke: Command, capsys: pytest.CaptureFixture[str], serve: Callable[..., Any], socket_path: str
) -> None:
    def answer(connection: Any, number: int, params: dict[str, Any]) -> None:
        fake = SimpleNamespace(params=SimpleNamespace(names=lambda **_: params["names"]))
        result = processes.method.of(None)["poke"](cast(Request, fake))
        connection.send({"id": number, "result": result})

    serve(poke=answer)
    assert main(["-s", socket_path, "poke", "a", "b"]) == 0
    assert capsys.readouterr().out == "['a', 'b']\n"


def test_a_command_is_an_endpoint(poke: Command) -> None:
    pytest.importorskip("starlette")
    from supervisor_lite.gateway.api import Api
    from supervisor_lite.gateway.daemon import Daemon
    from supervisor_lite.gateway.endpoints import openapi

    api = Api(Daemon("/nonexistent"))
    (endpoint,) = (e for e in api.endpoints if e.command == "poke")
    assert (endpoint.method, endpoint.path, endpoint.role, endpoint.summary) == (
        "POST", "/processes/{name}/poke", "operate", "Poke it",
    )  # fmt: skip
    operation = openapi(api.endpoints)["paths"]["/api/v1/processes/{name}/poke"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert list(schema["properties"]) == ["hard"]
