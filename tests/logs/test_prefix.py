"""Lines of several programs in one pipe or terminal, each with a name before it."""

from __future__ import annotations

import os
import pty
import tty
from collections.abc import Iterator

import pytest

from supervisor_lite.logs.prefix import ATOMIC, OpenLines, Prefixer


class Pipe:
    """What several programs write to."""

    def __init__(self) -> None:
        self.open_lines: OpenLines = {}
        self.reader, self.writer = os.pipe2(os.O_NONBLOCK)

    def prefixer(self, name: str) -> Prefixer:
        return Prefixer(name, self.writer, self.open_lines)

    def write(self, prefixer: Prefixer, data: bytes) -> None:
        done = 0
        while done < len(data):
            done += prefixer.write(self.writer, data, done)

    def read(self) -> bytes:
        return os.read(self.reader, 1 << 20)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    os.close(made.reader)
    os.close(made.writer)


def test_every_line_has_its_name(pipe: Pipe) -> None:
    web = pipe.prefixer("web | ")
    pipe.write(web, b"one\ntwo\n\n")
    assert pipe.read() == b"web | one\nweb | two\nweb | \n"


def test_a_line_may_come_in_pieces(pipe: Pipe) -> None:
    """What is there is shown at once, and the rest goes on where it stands."""
    web = pipe.prefixer("web | ")
    pipe.write(web, b"one")
    assert pipe.read() == b"web | one"
    pipe.write(web, b" and a half\ntwo\n")
    assert pipe.read() == b" and a half\nweb | two\n"


def test_others_end_a_line_that_is_not_theirs(pipe: Pipe) -> None:
    """No line holds the words of two programs."""
    web, job = pipe.prefixer("web | "), pipe.prefixer("job | ")
    pipe.write(web, b"begin")
    pipe.write(job, b"hello\n")
    pipe.write(web, b"end\n")
    assert pipe.read() == b"web | begin\njob | hello\nweb | end\n"


def test_the_next_run_begins_a_line(pipe: Pipe) -> None:
    web = pipe.prefixer("web | ")
    pipe.write(web, b"last words")
    web.finish()
    pipe.write(web, b"hello\n")
    assert pipe.read() == b"web | last words\nweb | hello\n"


def test_a_new_sink_ends_what_the_old_one_left(pipe: Pipe) -> None:
    """A redirection in the middle of a line."""
    pipe.write(pipe.prefixer("web | "), b"begin")
    pipe.write(pipe.prefixer("web | "), b"end\n")
    assert pipe.read() == b"web | begin\nweb | end\n"


def test_a_long_line_is_not_broken(pipe: Pipe) -> None:
    web = pipe.prefixer("web | ")
    line = b"x" * (3 * ATOMIC) + b"\n"
    pipe.write(web, line + b"next\n")
    assert pipe.read() == b"web | " + line + b"web | next\n"


def test_two_places_know_nothing_of_each_other(pipe: Pipe) -> None:
    other = Pipe()
    pipe.write(pipe.prefixer("web | "), b"begin")
    other.write(other.prefixer("job | "), b"hello\n")
    assert other.read() == b"job | hello\n"
    assert pipe.read() == b"web | begin"
    os.close(other.reader)
    os.close(other.writer)


def test_writes_that_are_cut_anywhere() -> None:
    """A terminal takes what it has room for, also half a prefix: nothing is lost or repeated."""
    reader, writer = pty.openpty()
    tty.setraw(writer)
    os.set_blocking(writer, False)
    os.set_blocking(reader, False)
    web = Prefixer("a rather long name | ", writer, {})
    data = b"".join(b"line %d\n" % number for number in range(20_000))
    done, out = 0, b""
    while done < len(data) or out.count(b"\n") < 20_000:
        try:
            while done < len(data):
                done += web.write(writer, data, done)
        except BlockingIOError:
            pass
        try:
            out += os.read(reader, 97)
        except BlockingIOError:
            continue
    assert out == b"".join(b"a rather long name | line %d\n" % n for n in range(20_000))
    os.close(reader)
    os.close(writer)
