"""XML-RPC on the wire, without HTTP and without a daemon."""

from __future__ import annotations

import xmlrpc.client

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor_lite.gateway.rpc.info import info
from supervisor_lite.gateway.rpc.session import fullname, split
from supervisor_lite.gateway.rpc.spawn_error import spawn_error
from supervisor_lite.gateway.rpc.stdin import _pieces
from supervisor_lite.gateway.xmlrpc import (
    Code,
    Fault,
    NotXmlRpc,
    clean,
    dump_fault,
    dump_result,
    parse_request,
)
from tests.ctl.fake import process


def test_a_request_is_read_as_xmlrpc_clients_write_it() -> None:
    body = xmlrpc.client.dumps(("web", True, -5, 1.5, {"a": [1]}, "Ä&<"), "supervisor.x").encode()
    assert parse_request(body) == ("supervisor.x", ["web", True, -5, 1.5, {"a": [1]}, "Ä&<"])


@pytest.mark.parametrize(("body", "params"), [
    ("<methodCall><methodName>a.b</methodName></methodCall>", []),
    ("<methodCall><methodName>a.b</methodName><params/></methodCall>", []),
    ("<methodCall><methodName>a.b</methodName><params><param><value>text</value></param></params>"
     "</methodCall>", ["text"]),
    ("<methodCall><methodName>a.b</methodName><params><param><value><i4>7</i4></value></param>"
     "<param><value><base64>w4Q=</base64></value></param></params></methodCall>", [7, "Ä"]),
])  # fmt: skip
def test_what_other_clients_leave_out_is_understood(body: str, params: list[object]) -> None:
    assert parse_request(body.encode()) == ("a.b", params)


@pytest.mark.parametrize(
    "body", [b"", b"<a", b"<methodCall/>", b"<!DOCTYPE a><methodCall/>", b"\xff"]
)
def test_what_is_no_request_is_told_as_such(body: bytes) -> None:
    with pytest.raises(NotXmlRpc):
        parse_request(body)


@given(st.text())
def test_any_text_comes_through_as_xml(text: str) -> None:
    (value,), _ = xmlrpc.client.loads(dump_result(text).decode())
    assert value == clean(text).replace("\r\n", "\n").replace("\r", "\n")


def test_colours_are_left_out_where_xml_cannot_carry_them() -> None:
    assert clean("\x1b[31mred\x1b[0m \x1b]0;title\x07and\x00") == "red and\ufffd"
    assert clean("no change: \u20ac\t\n") == "no change: \u20ac\t\n"


def test_numbers_are_cut_to_32_bits() -> None:
    (value,), _ = xmlrpc.client.loads(dump_result([2**40, -(2**40), True, {"a": 5}]).decode())
    assert value == [2**31 - 1, -(2**31), True, {"a": 5}]


def test_a_fault_has_its_name_and_what_is_added() -> None:
    with pytest.raises(xmlrpc.client.Fault) as caught:
        xmlrpc.client.loads(dump_fault(Fault(Code.BAD_NAME, "w\x00eb")).decode())
    assert (caught.value.faultCode, caught.value.faultString) == (10, "BAD_NAME: w\ufffdeb")


@pytest.mark.parametrize(("name", "parts"), [
    ("web", ("web", "web")), ("a:b", ("a", "b")), ("a:*", ("a", None)), ("a:", ("a", None)),
    ("a:b:c", ("a", "b:c")), (":b", ("", "b")), ("", ("", "")),
])  # fmt: skip
def test_names_are_split_as_supervisor_does(name: str, parts: tuple[str, str | None]) -> None:
    assert split(name) == parts


def test_a_full_name_is_short_where_it_can_be() -> None:
    assert (fullname("web", "web"), fullname("a", "b")) == ("web", "a:b")


@pytest.mark.parametrize(("code", "name", "words"), [
    ("command_not_found", "x y", "can't find command 'x y'"),
    ("command_is_directory", "/tmp", "command at '/tmp' is a directory"),
    ("command_not_executable", "/etc/passwd", "command at '/etc/passwd' is not executable"),
    ("command_not_permitted", "/a", "no permission to run command '/a'"),
    ("directory", "/x", 'cannot enter the directory "/x": Permission denied'),
    ("of a newer daemon", "", 'cannot enter the directory "/x": Permission denied'),
    (None, None, 'cannot enter the directory "/x": Permission denied'),
])  # fmt: skip
def test_reasons_are_in_supervisors_words(code: str | None, name: str | None, words: str) -> None:
    text = 'cannot enter the directory "/x": Permission denied'
    assert spawn_error(code, name, text) == words


@given(st.text(max_size=9000))
def test_input_is_cut_between_characters_into_what_a_pipe_takes_whole(text: str) -> None:
    data = text.encode("utf-8", "replace")
    pieces = _pieces(data)
    assert "".join(pieces).encode() == data
    assert all(0 < len(piece.encode()) <= 4096 for piece in pieces)


def test_an_exit_code_is_kept_after_a_failed_start() -> None:
    row = process("web", "FATAL", statecode=200, exitcode=3, reason="gave up")
    struct = info(row, "", 100.0)
    assert (struct["exitstatus"], struct["pid"]) == (3, 0)
    assert struct["description"] == "Exited too quickly (process log may have details)"


def test_death_by_a_signal_is_minus_one() -> None:
    row = process(
        "web",
        "EXITED",
        statecode=100,
        signal="SIGKILL",
        reason="killed by SIGKILL (not expected)",
        cause={"kind": "exited", "expected": False},
    )
    struct = info(row, "", 100.0)
    assert (struct["exitstatus"], struct["spawnerr"]) == (-1, "Bad exit code -1")


def test_uptime_is_written_as_supervisor_does() -> None:
    row = process("web", statecode=20, up_since=0.0)
    assert info(row, "", 93784.9)["description"] == "pid 123, uptime 1 day, 2:03:04"
