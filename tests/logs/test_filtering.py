"""Streams of which parts are left out, and of which listeners get a copy."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor_lite.logs.filtering import Decoder
from supervisor_lite.logs.processlogs import ProcessLogs
from supervisor_lite.logs.scanner import BEGIN, END, OutputScanner, Segment
from supervisor_lite.model.output import Output
from supervisor_lite.model.program import Program
from tests.logs.tools import output, pipes
from tests.loops import due, rounds, until

Said = list[tuple[str, str, str | bytes]]


class Ears:
    """The logs of one process, and what is heard of it."""

    def __init__(self, directory: Path, stdout: Output, syslog: str = "/nowhere") -> None:
        self.heard: Said = []
        self.reports: list[str] = []
        self.path = Path(stdout.path or "/nowhere")
        self.program = Program(name="web", command=("web",), stdout=stdout, stderr=output(None))
        self.logs = ProcessLogs(
            pipes(), str(directory), self.program, self.reports.append,
            on_output=lambda stream, kind, data: self.heard.append((stream, kind, data)),
            syslog_socket=syslog,
        )  # fmt: skip
        self.logs.open(os.geteuid(), os.getegid())
        path = self.logs.child_paths()[0]
        assert path is not None
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def write(self, data: bytes) -> None:
        assert os.write(self.fd, data) == len(data)

    def log(self) -> bytes:
        return self.path.read_bytes()

    def messages(self) -> list[str | bytes]:
        return [data for _, kind, data in self.heard if kind == "message"]

    def text(self) -> str:
        return "".join(str(data) for _, kind, data in self.heard if kind == "text")

    def close(self) -> None:
        os.close(self.fd)
        self.logs.close()
        assert self.reports == []


async def edited(
    tmp_path: Path, *pieces: bytes, log: bytes, messages: tuple[str, ...] = (), text: str = "",
    **options: Any,
) -> None:  # fmt: skip
    """Write these pieces, each taken for itself, and then let the run end."""

    ears = Ears(tmp_path, output(tmp_path / "log", **options))
    for piece in pieces:
        ears.write(piece)
        await rounds()
    ears.logs.drain()
    assert ears.log() == log
    assert ears.messages() == list(messages)
    assert ears.text() == text
    ears.close()


# Capture mode.


@pytest.mark.parametrize(
    ("pieces", "log", "messages"),
    [
        ([b"a" + BEGIN + b"hello" + END + b"b\n"], b"ab\n", ["hello"]),
        ([b"a", BEGIN, b"hel", b"lo", END, b"b\n"], b"ab\n", ["hello"]),
        ([bytes((byte,)) for byte in b"a" + BEGIN + b"hello" + END + b"b\n"], b"ab\n", ["hello"]),
        ([BEGIN + b"1" + END + BEGIN + b"2" + END], b"", ["1", "2"]),
        ([BEGIN + END], b"", [""]),
        # Where Supervisor loses output: what is short, or ends like the beginning of a token.
        ([b"tail\n"], b"tail\n", []),
        ([b"0123456789\n", b"tail\n"], b"0123456789\ntail\n", []),
        ([b"almost <!--XSUPER"], b"almost <!--XSUPER", []),
        ([b"<", b"<!--", b"<!--XSUPERVISOR:BEGIN-", b"no"], b"<<!--<!--XSUPERVISOR:BEGIN-no", []),
        # A second token of begin is text; the end of the run ends the message.
        ([BEGIN + b"a" + BEGIN + b"b" + END], b"", ["a" + BEGIN.decode() + "b"]),
        ([BEGIN + b"never ended"], b"", ["never ended"]),
        ([END + b"a"], END + b"a", []),
    ],
)
async def test_capture_mode(
    tmp_path: Path, pieces: list[bytes], log: bytes, messages: list[str]
) -> None:
    await edited(tmp_path, *pieces, log=log, messages=tuple(messages), capture_maxbytes=1000)


async def test_without_capture_mode_tokens_are_text(tmp_path: Path) -> None:
    data = b"a" + BEGIN + b"b" + END
    await edited(tmp_path, data, log=data, text=data.decode(), events_enabled=True)


async def test_a_message_is_bounded(tmp_path: Path) -> None:
    """The last bytes are kept, also of a single write."""
    message = b"x" * 3000 + b"tail"
    await edited(
        tmp_path, BEGIN + message + END, log=b"", messages=("x" * 508 + "tail",),
        capture_maxbytes=512,
    )  # fmt: skip


async def test_a_bounded_message_begins_with_a_whole_character(tmp_path: Path) -> None:
    await edited(
        tmp_path, BEGIN + "ää".encode() + END, log=b"", messages=("ä",), capture_maxbytes=3
    )


async def test_what_is_told_is_all_but_the_tokens(tmp_path: Path) -> None:
    """As in Supervisor, what is captured is told as output, too."""
    await edited(
        tmp_path, b"a" + BEGIN + b"b" + END + b"c", log=b"ac", messages=("b",), text="abc",
        capture_maxbytes=100, events_enabled=True,
    )  # fmt: skip


# Escape sequences.


@pytest.mark.parametrize(
    ("pieces", "log"),
    [
        ([b"\x1b[31mred\x1b[0m\n"], b"red\n"),
        ([b"\x1b", b"[3", b"1mred\x1b[", b"0m\n"], b"red\n"),
        ([b"\x1b[?25l\x1b[2J\x1b[10;20Hx\x1b[38;2;1;2;3m"], b"x"),
        ([b"\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b"], b"ab"),
        ([b"\x1b]0;ti", b"tle\x1b", b"\\a"], b"a"),
        ([b"\x1bPdata\x1b\\a\x1b(Bb\x1b=c\x1bMd"], b"abcd"),
        # No sequences: an end of a line in a title, a control character, the end of the run.
        ([b"\x1b]0;never\nended\n"], b"\x1b]0;never\nended\n"),
        ([b"\x1b\x01a"], b"\x1b\x01a"),
        ([b"a\x1b[3"], b"a\x1b[3"),
        ([b"\x1b]" + b"x" * 5000 + b"\x07"], b"\x1b]" + b"x" * 5000 + b"\x07"),
        ([b"plain \xff\x00 bytes\n"], b"plain \xff\x00 bytes\n"),
        ([b"caf\xc3\xa9 \x1b[1mbold\x1b[m\n"], b"caf\xc3\xa9 bold\n"),
    ],
)
async def test_strip_ansi(tmp_path: Path, pieces: list[bytes], log: bytes) -> None:
    await edited(tmp_path, *pieces, log=log, strip_ansi=True)


async def test_strip_ansi_and_capture_mode_together(tmp_path: Path) -> None:
    await edited(
        tmp_path, b"\x1b[1ma" + BEGIN + b"\x1b[2mb" + END + b"\x1b[0mc", log=b"ac",
        messages=("b",), text="abc", strip_ansi=True, capture_maxbytes=9, events_enabled=True,
    )  # fmt: skip


@given(
    st.lists(
        st.sampled_from(
            [BEGIN, END, BEGIN[:9], b"\x1b", b"\x1b[1m", b"\x1b]0;t", b"\x07", b"a", b"\n", b"<!"]
        )
    ),
    st.data(),
)
def test_how_output_is_cut_changes_nothing(parts: list[bytes], data: st.DataObject) -> None:
    """Looking at it in any pieces gives the same, and every byte is accounted for."""

    def pieces(stream: bytes, ends: list[int]) -> list[tuple[Segment, bytes]]:
        scanner = OutputScanner(capture=True, strip=True)
        found: list[tuple[Segment, bytes]] = []
        start = 0
        for end in ends:
            while start < end:
                piece, stop = scanner.scan(stream[:end], start, final=end == len(stream))
                if piece is Segment.INCOMPLETE:
                    break
                assert start < stop <= end
                if found and found[-1][0] is piece and piece in (Segment.TEXT, Segment.CAPTURED):
                    found[-1] = (piece, found[-1][1] + stream[start:stop])
                else:
                    found.append((piece, stream[start:stop]))
                start = stop
        assert start == len(stream)
        return found

    stream = b"".join(parts)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)))) | {len(stream)})
    assert pieces(stream, cuts) == pieces(stream, [len(stream)])


# Waiting, without being awake.


async def test_what_is_only_begun_costs_no_time(tmp_path: Path) -> None:
    """It stays in the pipe, and the loop sleeps until more comes; a later daemon finds it there."""
    ears = Ears(tmp_path, output(tmp_path / "log", capture_maxbytes=100))
    ears.write(b"text <!--XSUPER")
    await until(lambda: ears.log() == b"text ")
    await rounds()
    assert not due()
    ears.write(b"VISOR:BEGIN-->x" + END + b"more\n")
    await until(lambda: ears.log() == b"text more\n")
    assert ears.messages() == ["x"]
    ears.write(b"<!--XSUPER")
    await rounds()
    other = Ears(tmp_path, output(tmp_path / "other"))
    other.logs.drain()
    assert other.log() == b"<!--XSUPER"
    other.close()
    ears.close()


async def test_more_than_can_be_looked_at_is_not_waited_for(tmp_path: Path) -> None:
    """A flood of what looks like sequences without end passes, every byte of it."""
    flood = b"\x1b]" + b"x" * 4000
    await edited(tmp_path, flood * 15, log=flood * 15, strip_ansi=True)


@pytest.mark.parametrize("place", range(6))
async def test_what_lies_across_the_end_of_a_look(tmp_path: Path, place: int) -> None:
    """More is in the pipe than is looked at in one go; nothing of a sequence is left over."""
    head = b"x" * (64 * 1024 - place)
    await edited(
        tmp_path, head + b"\x1b[31m" + b"red" * 1000 + BEGIN + b"a" + END + b"\n",
        log=head + b"red" * 1000 + b"\n", messages=("a",), strip_ansi=True, capture_maxbytes=9,
    )  # fmt: skip


async def test_a_log_is_rotated_as_usual(tmp_path: Path) -> None:
    """At the ends of lines, with nothing lost."""
    ears = Ears(tmp_path, output(tmp_path / "log", maxbytes=1000, strip_ansi=True, backups=9))
    for number in range(100):
        ears.write(b"\x1b[3%dmline %d\x1b[0m\n" % (number % 8, number))
    ears.logs.drain()
    names = sorted(tmp_path.glob("log*"), key=lambda path: -int(path.suffix[1:] or 0))
    data = b"".join(path.read_bytes() for path in names)
    assert data == b"".join(b"line %d\n" % number for number in range(100))
    ears.close()


async def test_what_is_told_can_change_while_it_runs(tmp_path: Path) -> None:
    ears = Ears(tmp_path, output(tmp_path / "log"))
    ears.write(b"a")
    await until(lambda: ears.log() == b"a")
    changes: tuple[dict[str, Any], ...] = ({"events_enabled": True}, {"strip_ansi": True}, {})
    for options in changes:
        told = Output(path=str(tmp_path / "log"), maxbytes=0, backups=3, **options)
        ears.logs.change(Program(name="web", command=("web",), stdout=told, stderr=output(None)))
        ears.write(b"\x1b[1m" + str(len(options)).encode())
        ears.logs.drain()
    assert ears.log() == b"a\x1b[1m11\x1b[1m0"
    assert ears.text() == "\x1b[1m1"
    ears.close()


@pytest.mark.parametrize("events", [False, True])
async def test_syslog_gets_what_the_log_gets(tmp_path: Path, events: bool) -> None:
    """Without sequences and messages, beside the events."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(tmp_path / "devlog"))
        syslog.settimeout(10)
        told = output(
            tmp_path / "log", syslog=True, strip_ansi=True, capture_maxbytes=9,
            events_enabled=events,
        )  # fmt: skip
        ears = Ears(tmp_path, told, str(tmp_path / "devlog"))
        ears.write(b"\x1b[1mone\x1b[0m\n" + BEGIN + b"a" + END + b"two\n")
        ears.logs.drain()
        lines = [syslog.recv(1000).decode().partition("]: ")[2] for _ in range(2)]
        assert lines == ["web one", "web two"]
        assert ears.log() == b"one\ntwo\n"
        assert ears.text() == ("one\natwo\n" if events else "")
        ears.close()


# What is told.


def test_a_character_in_two_pieces_is_one_character() -> None:
    decoder = Decoder()
    euro = "€".encode()
    assert [decoder.decode(euro[:1]), decoder.decode(euro[1:] + b"!")] == ["", "€!"]
    assert decoder.decode(euro[:2]) == ""
    assert decoder.decode(b"", final=True) == f"Undecodable: {euro[:2]!r}"
    assert decoder.decode(b"a\xffb") == "Undecodable: b'a\\xffb'"
    assert decoder.decode(b"fine") == "fine"


async def test_a_process_without_a_log_is_told_of_all_the_same(tmp_path: Path) -> None:
    ears = Ears(tmp_path, output(None, events_enabled=True))
    ears.write(b"caf\xc3")
    ears.logs.drain()
    ears.write(b"x\n")
    ears.logs.drain()
    assert ears.text() == "cafUndecodable: b'\\xc3'x\n"
    ears.close()


async def test_answers_of_a_listener_do_not_wait_for_its_log(tmp_path: Path) -> None:
    """A full disk must not keep events from anybody."""
    ears = Ears(tmp_path, output(tmp_path / "log", answers=True))
    ears.write(b"READY\n")
    await until(lambda: ears.heard)
    assert ears.log() == b"READY\n"
    ears.path.unlink()
    ears.path.mkdir()
    ears.write(b"RESULT 2\nOK")
    await until(lambda: len(ears.heard) == 2)
    assert ears.heard[1] == ("stdout", "answer", b"RESULT 2\nOK")
    assert len(ears.reports) == 1
    ears.reports.clear()
    ears.close()
