"""Sockets in a configuration: addresses, and tables with a small schema of their own."""

from __future__ import annotations

import pytest

from supervisor_lite.config.types.base import ValueType
from supervisor_lite.config.types.compound import FieldError, RecordOf
from supervisor_lite.config.types.sockets import SOCKET, SOCKETS, address
from supervisor_lite.config.types.units import SIZE
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.model.sockets import ListenSocket
from tests.config.conftest import Folder

PREFIX = (
    "supervisor.toml:3: program.web.sockets: expected an address like "
    '"tcp://127.0.0.1:8000" or "unix:///run/x.sock", or a table with it, got a table'
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("tcp://localhost:80", "tcp://127.0.0.1:80"),
        ("tcp://*:0080", "tcp://*:80"),
        ("tcp://[::1]:80", "tcp://[::1]:80"),
        ("tcp://::1:80", "tcp://[::1]:80"),
        ("unix:///run//x/../y.sock", "unix:///run/y.sock"),
    ],
)
def test_an_address_has_one_form(written: str, meant: str) -> None:
    assert address(written) == meant
    assert SOCKET.parse_scalar(f" {written} ") == ListenSocket(listen=meant)


def test_a_table_says_more_than_an_address(folder: Folder) -> None:
    process = folder.process(
        '[program.web]\ncommand = "x"\n'
        'sockets = ["tcp://*:1", { listen = "unix:///run/%(program_name)s", '
        'name = "admin", mode = "0600", owner = 0, group = "root", backlog = 5 }]\n'
    )
    assert process.sockets == (
        ListenSocket("tcp://*:1"),
        ListenSocket("unix:///run/web", "admin", 0o600, "0", "root", 5),
    )


@pytest.mark.parametrize(
    ("table", "hint"),
    [
        ('{ mode = "0600" }', " without listen"),
        ("{ listen = 5 }", " without listen"),
        ('{ listen = "http://x" }', "; it begins with tcp:// or unix://"),
        (
            '{ listen = "unix:///x", mod = "0600" }',
            ' with the unknown key "mod", did you mean "mode"?',
        ),
        ('{ listen = "unix:///x", mode = 600 }', '; mode is a string: "0660"'),
        (
            '{ listen = "unix:///x", mode = "9" }',
            '; mode: expected an octal mode like "022" or 0o22, got the string "9"',
        ),
        (
            '{ listen = "unix:///x", backlog = 0 }',
            "; backlog: expected a whole number from 1 to 65535, got the number 0",
        ),
        (
            '{ listen = "unix:///x", name = "a:b" }',
            "; its name has letters, digits and _ . @ - only",
        ),
        ('{ listen = "tcp://*:80", mode = "0600" }', "; mode is for unix:// only"),
    ],
)
def test_what_a_table_cannot_say(folder: Folder, table: str, hint: str) -> None:
    text = f'[program.web]\ncommand = "x"\nsockets = [{table}]\n'
    assert folder.complaints(text) == [PREFIX + hint]


def test_no_two_sockets_have_one_address() -> None:
    one, other = ListenSocket("tcp://*:1"), ListenSocket("tcp://*:2")
    assert SOCKETS.parse_scalar((one, other)) == (one, other)
    for bad in ((one, one), (one,) * 33, "tcp://*:1"):
        with pytest.raises(BadValueError):
            SOCKETS.parse_scalar(bad)


def test_a_record_refuses_one_field_at_a_time() -> None:
    """In the order of its fields, with the field's name unless the parser says it all."""

    def parse(value: object) -> object:
        raise FieldError(hint="; that is no colour")

    fields = {"size": SIZE, "colour": ValueType("a colour", parse, {})}
    record = RecordOf("a shape", dict, fields, SIZE, required=("size",), missing=" without a size")
    assert record.parse_scalar({"size": "1k"}) == {"size": 1024}
    for table, hint in (
        ({}, " without a size"),
        ({"size": -1, "colour": "x"}, f"; size: expected {SIZE.expected}, got the number -1"),
        ({"size": 1, "colour": "x"}, "; that is no colour"),
    ):
        with pytest.raises(BadValueError) as caught:
            record.parse_scalar(table)
        assert caught.value.hint == hint
