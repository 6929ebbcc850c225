"""tail, maintail, logs: exact in a pipe, harmless on a terminal."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
from typing import Any

import pytest

from supervisor_lite.ctl.commands.output import LineMerger, TerminalWriter, sanitize_output
from supervisor_lite.ctl.render import Style
from supervisor_lite.protocol.messages import pack_data
from tests.ctl.conftest import Serve, Slctl
from tests.ctl.fake import Params, error, result

NOISE = bytes(range(256)) + b"\r\n\x1b[2J no newline at the end"


def output(name: str, stream: str, data: bytes) -> Params:
    return {"fullname": name, "stream": stream, **pack_data(data)}


@pytest.mark.parametrize(
    ("words", "params"),
    [
        (["web"], {"stream": "stdout", "bytes": 1600}),
        (["-100", "web"], {"stream": "stdout", "bytes": 100}),
        (["web", "stderr"], {"stream": "stderr", "bytes": 1600}),
        (["-f", "-5", "web", "stderr"], {"stream": "stderr", "bytes": 5, "follow": True}),
        (["web", "-f"], {"stream": "stdout", "bytes": 1600, "follow": True}),
    ],
)
def test_tail_is_typed_as_in_supervisor(
    serve: Serve, slctl: Slctl, words: list[str], params: Params
) -> None:
    daemon = serve(
        tail=result({"fullname": "web", "data": "", "subscription": 1}, ("end", {"reason": "x"}))
    )
    assert slctl("tail", *words)[0] == 0
    assert daemon.asked == [("tail", {"name": "web", **params})]


@pytest.mark.parametrize(
    "words", [[], ["web", "stdin"], ["web", "stdout", "x"], ["-x", "web"], ["-1x", "web"]]
)
def test_tail_refuses_nonsense(slctl: Slctl, words: list[str]) -> None:
    code, out, err = slctl("tail", *words)
    assert (code, out) == (2, "")
    assert "usage: slctl tail [-f] [-BYTES] NAME [stdout|stderr]" in err


def test_a_pipe_gets_the_very_bytes(serve: Serve, slctl: Slctl) -> None:
    """Nothing is added, nothing translated, also while following."""
    serve(
        tail=result(
            {"fullname": "web", "subscription": 1, **pack_data(NOISE)},
            ("output", output("web", "stdout", NOISE)),
            ("missed", {"fullname": "web", "stream": "stdout", "bytes": 1234}),
            ("output", output("web", "stdout", b"after")),
            ("end", {"reason": "web was removed"}),
        )
    )
    child = slctl.spawn("tail", "-f", "web")
    out, err = child.communicate(timeout=20)
    assert (child.returncode, out) == (0, NOISE + NOISE + b"after")
    assert err == b"[web: 1234 bytes skipped: this reader was too slow]\n[web was removed]\n"


def test_maintail(serve: Serve, slctl: Slctl) -> None:
    daemon = serve(maintail=result({"fullname": "supervisor", "data": "a\nb\n"}))
    assert slctl("maintail", "-4") == (0, "a\nb\n", "")
    assert daemon.asked == [("maintail", {"bytes": 4})]


def test_no_log_file(serve: Serve, slctl: Slctl) -> None:
    serve(tail=error(1, "web has no log file"))
    assert slctl("tail", "web") == (1, "", "slctl: web has no log file\n")


@pytest.mark.parametrize("data", [None, 5, "a"])
def test_output_that_cannot_be_decoded(serve: Serve, slctl: Slctl, data: object) -> None:
    serve(tail=result({"fullname": "web", "data": data, "encoding": "base64"}))
    code, _, err = slctl("tail", "web")
    assert code == 1
    assert "cannot be decoded" in err


def follow_one_line(connection: Any, number: Any, params: Params) -> None:
    connection.send({"id": number, "result": {"fullname": "web", "data": "ready\n"}})


def test_ctrl_c_ends_a_follower_without_a_traceback(serve: Serve, slctl: Slctl) -> None:
    serve(tail=follow_one_line)
    child = slctl.spawn("tail", "-f", "web")
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=20) == (b"", b"")
    assert child.returncode == 130


def test_a_follower_ends_when_its_reader_goes(serve: Serve, slctl: Slctl) -> None:
    """`slctl tail -f web | head -1` returns, although no further output comes."""
    serve(tail=follow_one_line)
    child = slctl.spawn("tail", "-f", "web")
    assert child.stdout is not None
    assert child.stderr is not None
    assert child.stdout.readline() == b"ready\n"
    child.stdout.close()
    assert child.wait(20) == 141
    assert child.stderr.read() == b""
    child.stderr.close()


def test_logs_come_line_by_line(serve: Serve, slctl: Slctl) -> None:
    """Chunks that end in the middle of a line wait for its end; stderr has its own mark."""
    daemon = serve(
        logs=result(
            {"outputs": [output("web", "stdout", b"one\ntw"), output("site:db", "stderr", b"")]},
            ("output", output("site:db", "stderr", b"oh\n")),
            ("output", output("web", "stdout", b"o\nthree")),
            ("missed", {"fullname": "web", "stream": "stdout", "bytes": 7}),
            ("output", output("web", "stdout", b"\xff\nend")),
            ("end", {"reason": "bye"}),
        )
    )
    child = slctl.spawn("logs", "-f", "-n", "3", "web", "site:*")
    out, err = child.communicate(timeout=20)
    assert out.splitlines() == [
        b"web     | one",
        b"site:db ! oh",
        b"web     | two",
        b"web     | three",
        b"web     | \xff",
        b"web     | end",
    ]
    assert err == b"[web: 7 bytes skipped: this reader was too slow]\n[bye]\n"
    assert daemon.asked == [("logs", {"lines": 3, "names": ["web", "site:*"], "follow": True})]


def test_logs_without_following(serve: Serve, slctl: Slctl) -> None:
    daemon = serve(
        logs=result({
            "outputs": [output("web", "stdout", b"a\nb"), output("web", "stderr", b"c\n")]
        })
    )  # fmt: skip
    assert slctl("logs") == (0, "web | a\nweb | b\nweb ! c\n", "")
    assert daemon.asked == [("logs", {"lines": 10})]


def test_a_line_without_end_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    """The memory of a follower is bounded, whatever a process writes."""
    merged = LineMerger(Style(terminal=True, colour=False, width=None), ["web"])
    for _ in range(5):
        merged.feed({"fullname": "web", "stream": "stdout"}, b"x" * 40_000)
    merged.finish_all()
    lines = capsys.readouterr().out.replace("\x1b[0m", "").splitlines()
    assert [len(line) - len("web | ") for line in lines] == [65536, 65536, 65536, 3392]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain grün\n\ttab", "plain grün\n\ttab"),
        ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("\x1b[?1049h\x9b31m", "\\x1b[?1049h\\x9b31m"),
        ("a\r\nb\rc\x08\x00\x7f", "a\nb\\rc\\x08\\x00\\x7f"),
        ("\u202eevil\ufeff", "\\u202eevil\\ufeff"),
    ],
)
def test_only_colours_reach_a_terminal(text: str, shown: str) -> None:
    assert sanitize_output(text) == shown


def test_a_screen_joins_what_was_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """Characters and colours come in pieces of any size; the last line is ended."""
    data = "é\x1b[31mred\r\n\x1b[2Jx".encode()
    whole = "é\x1b[31mred\n\\x1b[2Jx\x1b[0m\n"
    for step in (1, 2, 3, len(data)):
        screen = TerminalWriter()
        for start in range(0, len(data), step):
            screen.write(data[start : start + step])
        screen.finish()
        assert capsys.readouterr().out == whole


def test_a_terminal_is_not_harmed(serve: Serve, slctl: Slctl) -> None:
    """The same tail that is exact in a pipe is tame on a terminal."""
    serve(tail=result({"fullname": "web", "data": base64.b64encode(b"\x1b[2J\xff\x07hi").decode(),
                       "encoding": "base64"}))  # fmt: skip
    ours, theirs = os.openpty()
    child = slctl.spawn("tail", "web", stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    seen = b""
    while not seen.endswith(b"\n"):
        seen += os.read(ours, 4096)
    assert child.wait(20) == 0
    os.close(ours)
    assert seen == "\\x1b[2J\ufffd\\x07hi\r\n".encode()
