"""[fcgi-program:x] becomes a program whose standard input is its socket."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor_lite.model.program import Stdin
from supervisor_lite.model.sockets import ListenSocket
from tests.config.conftest import Folder
from tests.migrate.converting import Converted


def converted(folder: Folder, *lines: str, before: str = "") -> Converted:
    body = ("[fcgi-program:f]", "command=x", *lines)
    return Converted(folder, before + "\n".join(body) + "\n")


def socket_of(found: Converted) -> Any:
    (one,) = found.data["program"]["f"]["sockets"]
    return one


def test_a_port(folder: Folder) -> None:
    found = converted(
        folder, "socket = tcp://LocalHost:9002", "numprocs=2", "process_name=f%(process_num)d"
    )
    assert found.data["program"]["f"] == {
        "command": "x", "numprocs": 2, "process_name": "f%(process_num)d",
        "sockets": ["tcp://localhost:9002"], "leftovers": "keep", "stdin": "socket",
    }  # fmt: skip
    assert not found.lost
    assert found.configuration is not None
    first, second = found.configuration.plan.processes()
    assert first.stdin is Stdin.SOCKET
    assert first.sockets == second.sockets == (ListenSocket(listen="tcp://127.0.0.1:9002"),)


def test_a_unix_socket_with_everything(folder: Folder) -> None:
    """The mode of Supervisor's sockets is 0700 if none is set, and is always written."""
    found = converted(
        folder, "socket=unix:///run/a/../%(program_name)s.sock", "socket_owner=daemon:adm",
        "socket_mode=0666", "socket_backlog=64",
    )  # fmt: skip
    assert socket_of(found) == {
        "listen": "unix:///run/%(program_name)s.sock", "mode": "0666", "owner": "daemon",
        "group": "adm", "backlog": 64,
    }  # fmt: skip
    assert found.configuration is not None
    (process,) = found.configuration.plan.processes()
    assert process.sockets == (
        ListenSocket(
            listen="unix:///run/f.sock", mode=0o666, owner="daemon", group="adm", backlog=64
        ),
    )
    plain = converted(folder, "socket=unix:///x")
    assert socket_of(plain) == {"listen": "unix:///x", "mode": "0700"}


def test_an_owner_without_a_group(folder: Folder) -> None:
    """Only where the group may do something, and is another one, is there a difference."""
    unix = "socket=unix:///x"
    assert not converted(folder, unix, "socket_owner=daemon").lost
    assert not converted(folder, unix, "socket_owner=daemon", "user=nobody").said("socket_owner")
    assert not converted(folder, unix, "socket_owner=daemon", "socket_mode=0770").lost
    found = converted(folder, unix, "socket_owner=daemon", "user=nobody", "socket_mode=0770")
    assert found.said("socket_owner: without a group it is here that of the program's user")
    assert socket_of(found) == {"listen": "unix:///x", "mode": "0770", "owner": "daemon"}


def test_comments_are_carried_over(folder: Folder) -> None:
    found = converted(
        folder, "; where nginx looks", "socket=unix:///x ; see nginx.conf",
        "; for nginx", "socket_mode=0777",
    )  # fmt: skip
    above = found.text.split("sockets = ")[0].splitlines()
    assert above[-3:] == ["# where nginx looks", "# see nginx.conf", "# for nginx"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["socket_mode=0700"], "socket_mode: Supervisor refuses this for tcp://"),
        (["socket_owner=root"], "socket_owner: Supervisor refuses this for tcp://"),
        (["socket_backlog=0"], "socket_backlog: Supervisor refuses this: it wants a number from 1"),
        (["socket_backlog=many"], 'socket_backlog: Supervisor refuses "many"'),
    ],
)
def test_what_supervisor_refuses_is_left_out(folder: Folder, lines: list[str], words: str) -> None:
    found = converted(folder, "socket=tcp://127.0.0.1:1", *lines)
    assert found.said(words), found.lost
    assert socket_of(found) == "tcp://127.0.0.1:1"


@pytest.mark.parametrize("owner", [":", ":adm", "daemon:"])
def test_an_owner_that_is_none(folder: Folder, owner: str) -> None:
    found = converted(folder, "socket=unix:///x", f"socket_owner={owner}")
    assert found.said("socket_owner: Supervisor refuses this: it wants user or user:group")
    assert socket_of(found) == {"listen": "unix:///x", "mode": "0700"}


@pytest.mark.parametrize(
    ("socket", "why"),
    [
        ("", "has no socket that could be written here"),
        ("socket=", "has no socket that could be written here"),
        ("socket=%(group_name)s", "has no socket that could be written here"),
        ("socket=%(ENV_HOME)s", "of which nothing is known"),
        ("socket=/run/x.sock", "has a socket that Supervisor refuses"),
        ("socket=unix://run/x.sock", "has a socket that Supervisor refuses"),
        ("socket=unix:///run/", "has a socket that Supervisor refuses"),
        ("socket=tcp://:9000", "has a socket that Supervisor refuses"),
        ("socket=tcp://[::1]:9000", "has a socket that Supervisor refuses"),
        ("socket=tcp://127.0.0.1:70000", "it ends with a port"),
        ("socket=tcp://db.example:9000", "names are not looked up"),
        (f"socket=unix:///{'x' * 107}", "107 bytes"),
    ],
)
def test_a_socket_that_cannot_be(folder: Folder, socket: str, why: str) -> None:
    """Without its socket the program could do nothing: it is left out, and that is said."""
    found = converted(folder, socket)
    assert "program" not in found.data
    assert any(why in text and "; left out" in text for text in found.lost), found.lost
    assert "# [fcgi-program:f] was left out: " in found.text
    assert found.configuration is not None


def test_what_depends_on_the_machine_is_kept(folder: Folder) -> None:
    found = converted(
        folder, "socket=unix://%(ENV_HOME)s/x.sock", "socket_mode=%(ENV_M)s",
        "socket_backlog=%(ENV_B)s", "socket_owner=%(ENV_U)s:%(ENV_U)s",
    )  # fmt: skip
    assert socket_of(found) == {
        "listen": "unix://%(ENV_HOME)s/x.sock", "mode": "%(ENV_M)s",
        "owner": "%(ENV_U)s", "group": "%(ENV_U)s", "backlog": "%(ENV_B)s",
    }  # fmt: skip
    found = converted(folder, "socket=tcp://127.0.0.1:%(ENV_PORT)s")
    assert socket_of(found) == "tcp://127.0.0.1:%(ENV_PORT)s"
    folder.write("out/supervisor.toml", found.text)
    from supervisor_lite.config.load import load

    (process,) = load("out/supervisor.toml", {"PORT": "81"}).plan.processes()
    assert process.sockets[0].listen == "tcp://127.0.0.1:81"


def test_two_programs_with_one_socket(folder: Folder) -> None:
    """Supervisor takes a Unix socket away from the first when the second is started."""
    other = "[fcgi-program:e]\ncommand=x\nsocket=unix:///run/x.sock\n"
    found = converted(folder, "socket=unix:///run//x.sock", before=other)
    assert list(found.data["program"]) == ["e"]
    assert found.said("listens at unix:///run/x.sock, where [fcgi-program:e] does; left out")
    assert found.configuration is not None


def test_in_a_group_it_keeps_its_socket(folder: Folder) -> None:
    found = converted(folder, "socket=tcp://127.0.0.1:1", before="[group:g]\nprograms=f\n")
    assert found.said("[fcgi-program:f]: Supervisor 4.3 gives it no socket in a group")
    assert found.data["group"]["g"]["programs"] == ["f"]
    assert found.configuration is not None
    (process,) = found.configuration.plan.processes()
    assert (process.fullname, process.stdin) == ("g:f", Stdin.SOCKET)


def test_a_program_of_its_name_wins(folder: Folder) -> None:
    found = converted(folder, "socket=tcp://127.0.0.1:1")
    assert "sockets" in found.data["program"]["f"]
    folder.write("etc/supervisord.conf", "")
    found = Converted(
        folder,
        "[fcgi-program:f]\ncommand=x\nsocket=tcp://127.0.0.1:1\n[program:f]\ncommand=y\n",
    )
    assert found.data["program"]["f"]["command"] == "y"
    assert "sockets" not in found.data["program"]["f"]
    assert found.said("[fcgi-program:f]: has the name of [program:f], so Supervisor never runs")
