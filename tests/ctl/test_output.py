"""tail, maintail, logs: exact in a pipe, harmless on a terminal."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
from typing import Any

import pytest

from supervisor_lite.ctl.render import Style
from supervisor_lite.ctl.screens import LineMerger, TerminalWriter, sanitize_output
from supervisor_lite.protocol.messages import pack_data
from tests.ctl.conftest import Serve, Slctl
from tests.ctl.fake import Connection, Params, error, older, result

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
    """A daemon from before pieces and marks is asked for all of it at once."""
    answer = result({"fullname": "web", "data": "", "subscription": 1}, ("end", {"reason": "x"}))
    daemon = serve(tail=older(answer, "pieces"))
    assert slctl("tail", *words)[0] == 0
    first = {key: value for key, value in params.items() if key != "follow"}
    assert daemon.asked == [
        ("tail", {"name": "web", **first, "pieces": True}),
        ("tail", {"name": "web", **params}),
    ]


def test_more_output_than_fits_into_an_answer(serve: Serve, slctl: Slctl) -> None:
    """It is asked for piece by piece, then followed from where the last one has ended."""

    def tail(connection: Connection, number: Any, params: Params) -> None:
        at = int(params.get("after") or 0)
        if "follow" in params:
            connection.send({"id": number, "result": {"data": "", "after": str(at)}})
            note = {"subscription": 1, "stream": "stdout", "data": "new\n", "after": "99"}
            connection.send({"method": "output", "params": note})
            connection.send({"method": "end", "params": {"reason": "x"}})
            return
        fields = {"data": f"piece {at}\n", "after": str(at + 1), "more": at < 3, "lost": at == 2}
        connection.send({"id": number, "result": {"fullname": "web", **fields}})

    serve(tail=tail, maintail=tail)
    whole = "piece 0\npiece 1\npiece 2\npiece 3\n"
    code, out, err = slctl("tail", "-99999999", "web")
    assert (code, out) == (0, whole)
    assert err == "[web stdout: output is missing here: its file is gone, or was emptied]\n"
    assert slctl("maintail", "-f", "-99999999")[:2] == (0, f"{whole}new\n")


def test_the_next_daemon_goes_on_from_where_we_are(serve: Serve, slctl: Slctl) -> None:
    """Its predecessor hangs up in the middle of a line; who was added meanwhile appears."""
    asked: list[Params] = []

    def logs(connection: Connection, number: Any, params: Params) -> None:
        asked.append(params)
        if "pieces" in params:
            fields = {"outputs": [output("web", "stdout", b"old\n")], "rest": [],
                      "after": {"web": {"stdout": "1"}}}  # fmt: skip
            connection.send({"id": number, "result": fields})
            return
        if len(asked) == 2:
            connection.send({"id": number, "result": {"outputs": [], "after": {}}})
            note = {**output("web", "stdout", b"half a "), "after": "2", "subscription": 1}
            connection.send({"method": "output", "params": note})
            connection.hang_up()
            return
        lost = [{"fullname": "web", "stream": "stdout"}]
        connection.send({"id": number, "result": {"after": {"db": {"stdout": ""}}, "lost": lost}})
        for note in (output("web", "stdout", b"line\n"), output("db", "stdout", b"new\n")):
            connection.send({"method": "output", "params": {**note, "after": "3"}})
        connection.send({"method": "end", "params": {"reason": "x"}})

    serve(logs=logs)
    code, out, err = slctl("logs", "-f")
    assert (code, out) == (0, "web | old\nweb | half a line\ndb  | new\n")
    assert err.splitlines() == [
        "[the daemon has hung up: waiting for the next one]",
        "[web stdout: output is missing here: its file is gone, or was emptied]",
        "[a daemon answers again: going on]",
        "[x]",
    ]
    assert [params.get("after") for params in asked] == [
        None, {"web": {"stdout": "1"}}, {"web": {"stdout": "2"}}
    ]  # fmt: skip


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
        tail=older(
            result(
                {"fullname": "web", "subscription": 1, **pack_data(NOISE)},
                ("output", output("web", "stdout", NOISE)),
                ("missed", {"fullname": "web", "stream": "stdout", "bytes": 1234}),
                ("output", output("web", "stdout", b"after")),
                ("end", {"reason": "web was removed"}),
            ),
            "pieces",
        )
    )
    child = slctl.spawn("tail", "-f", "web")
    out, err = child.communicate(timeout=20)
    assert (child.returncode, out) == (0, NOISE + NOISE + b"after")
    assert err == b"[web: 1234 bytes skipped: this reader was too slow]\n[web was removed]\n"


def test_maintail(serve: Serve, slctl: Slctl) -> None:
    daemon = serve(maintail=result({"fullname": "supervisor", "data": "a\nb\n"}))
    assert slctl("maintail", "-4") == (0, "a\nb\n", "")
    assert daemon.asked == [("maintail", {"bytes": 4, "pieces": True})]


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
        logs=older(
            result(
                {
                    "outputs": [
                        output("web", "stdout", b"one\ntw"),
                        output("site:db", "stderr", b""),
                    ]
                },
                ("output", output("site:db", "stderr", b"oh\n")),
                ("output", output("web", "stdout", b"o\nthree")),
                ("missed", {"fullname": "web", "stream": "stdout", "bytes": 7}),
                ("output", output("web", "stdout", b"\xff\nend")),
                ("end", {"reason": "bye"}),
            ),
            "pieces",
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
    asked = {"lines": 3, "names": ["web", "site:*"]}
    assert daemon.asked == [
        ("logs", {**asked, "pieces": True}), ("logs", {**asked, "follow": True}),
    ]  # fmt: skip


def test_logs_without_following(serve: Serve, slctl: Slctl) -> None:
    daemon = serve(
        logs=result({
            "outputs": [output("web", "stdout", b"a\nb"), output("web", "stderr", b"c\n")]
        })
    )  # fmt: skip
    assert slctl("logs") == (0, "web | a\nweb | b\nweb ! c\n", "")
    assert daemon.asked == [("logs", {"lines": 10, "pieces": True})]


def test_a_line_without_end_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    """The memory of a follower is bounded, whatever a process writes."""
    merged = LineMerger(Style(terminal=True, colour=False, width=None), ["web"])
    for _ in range(5):
        merged.feed({"fullname": "web", "stream": "stdout"}, b"x" * 40_000)
    merged.finish_all()
    lines = capsys.readouterr().out.replace("\x1b[0m", "").splitlines()
    assert [len(line) - len("web | ") for line in lines] == [65536, 65536, 65536, 3392]


def shown(data: str) -> list[str]:
    """What is on a terminal in the end, line by line, after these bytes."""
    lines = [""]
    for piece in re.split("(\r\x1b\\[K|\n)", data.replace("\x1b[0m", "")):
        if piece == "\n":
            lines.append("")
        elif piece == "\r\x1b[K":
            lines[-1] = ""
        else:
            assert "\r" not in piece
            lines[-1] += piece
    return lines


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_a_line_that_is_rewritten_is_shown_in_its_last_state(
    capsys: pytest.CaptureFixture[str], step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name stays before it, other lines come on lines of their own, nothing wraps."""
    monkeypatch.setenv("TERM", "xterm")
    progress = b"loading\r 10%\r 50%\r100%\r\ndone\r\n" + b"x" * 90 + b"\rhalf\r"
    merged = LineMerger(Style(terminal=True, colour=False, width=30), ["web", "db"])
    web, db = {"fullname": "web", "stream": "stdout"}, {"fullname": "db", "stream": "stderr"}
    for start in range(0, len(progress), step):
        merged.feed(web, progress[start : start + step])
    seen = capsys.readouterr().out
    assert shown(seen) == ["web | 100%", "web | done", "web | half"]
    assert max(len(line) for line in re.split("[\r\n]", seen)) <= 30 + len("\x1b[K")
    merged.feed(db, b"oh\n")
    merged.feed(web, b"all\n")
    merged.finish_all()
    assert shown(seen + capsys.readouterr().out) == [
        "web | 100%", "web | done", "web | half", "db  ! oh", "web | all", ""
    ]  # fmt: skip
    screen = TerminalWriter()
    for start in range(0, len(progress), step):
        screen.write(progress[start : start + step])
    screen.finish()
    assert shown(capsys.readouterr().out) == ["100%", "done", "half", ""]


def test_a_line_that_is_rewritten_in_a_pipe(serve: Serve, slctl: Slctl) -> None:
    """`logs`: each state is a line with its name, as soon as it is there; `tail`: the bytes."""
    data = b"loading\r 10%\r100%\r\n\ndone\r\nhalf\r"
    serve(
        logs=result({"outputs": [output("web", "stdout", data)], "after": {}}),
        tail=result({"fullname": "web", "after": "", **pack_data(data)}),
    )
    child = slctl.spawn("logs")
    assert child.communicate(timeout=20)[0] == (
        b"web | loading\nweb |  10%\nweb | 100%\nweb | \nweb | done\nweb | half\n"
    )
    assert slctl.spawn("tail", "web").communicate(timeout=20)[0] == data


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
