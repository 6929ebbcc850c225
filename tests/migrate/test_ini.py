"""What ini.py relies on in CPython's configparser, pinned for every Python that we support.

The parser keeps no line numbers. ini.py learns them because the parser reads one line at a time and
stores what is on it before it asks for the next one, in tables of a type that we give it. None of
that is documented. If one of these tests fails under a new Python, the time has come for an INI
reader of our own.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from pathlib import Path

from supervisor_lite.migrate.ini import read
from supervisor_lite.migrate.report import Notes

TEXT = """\
; comment
[one]
a = 1 ; beside
  more
b : 2

[two] ; beside
a = x
a = y
[one]
c =
    3
[DEFAULT]
d = 4
"""

Event = tuple[int, str, str, str]
"""Line that was read last, what was done, the key, the class of the value."""


class Recorder:
    """A parser as ini.py sets it up, and what it does with its tables while it reads."""

    def __init__(self) -> None:
        self.line = 0
        self.events: list[Event] = []
        recorder = self

        class Table(dict[str, object]):
            def __setitem__(self, key: str, value: object) -> None:
                recorder.record("set", key, value)
                super().__setitem__(key, value)

            def __getitem__(self, key: str) -> object:
                value = super().__getitem__(key)
                recorder.record("get", key, value)
                return value

        self.table = Table
        self.parser = configparser.RawConfigParser(
            dict_type=Table,  # type: ignore[arg-type]
            strict=False,
            inline_comment_prefixes=(";", "#"),
        )

    def record(self, what: str, key: str, value: object) -> None:
        """Keep what ini.py looks at: sections, and keys whose value is a list of lines."""
        if self.line and isinstance(value, list | self.table):
            self.events.append((self.line, what, key, type(value).__name__))

    def read(self, text: str) -> None:
        self.parser.read_file(self._lines(text))
        self.line = 0

    def _lines(self, text: str) -> Iterator[str]:
        for number, line in enumerate(text.splitlines(keepends=True), 1):
            self.line = number
            yield line


def test_the_parser_stores_what_a_line_holds_before_it_reads_the_next() -> None:
    recorder = Recorder()
    recorder.read(TEXT)
    assert list(dict.fromkeys(recorder.events)) == [
        (2, "set", "one", "Table"),
        (3, "set", "a", "list"),
        (4, "get", "a", "list"),
        (5, "set", "b", "list"),
        (6, "get", "b", "list"),  # a blank line may go on with a value
        (7, "set", "two", "Table"),
        (8, "set", "a", "list"),
        (9, "set", "a", "list"),
        (10, "get", "one", "Table"),
        (11, "set", "c", "list"),
        (12, "get", "c", "list"),
        (14, "set", "d", "list"),
    ]


def test_values_are_texts_when_a_file_was_read() -> None:
    recorder = Recorder()
    recorder.read("[one]\na = 1\n  more\n")
    assert recorder.parser._sections["one"]["a"] == "1\nmore"  # type: ignore[attr-defined]
    assert isinstance(recorder.parser.defaults(), recorder.table)


def test_a_section_goes_on_in_the_table_that_it_has() -> None:
    recorder = Recorder()
    recorder.read("[one]\na = 1\n")
    first = recorder.parser._sections["one"]  # type: ignore[attr-defined]
    recorder.read("[two]\n[one]\nb = 2\n")
    assert recorder.parser._sections["one"] is first  # type: ignore[attr-defined]
    assert dict(first) == {"a": "1", "b": "2"}


def test_lines_and_comments_of_everything(tmp_path: Path) -> None:
    path = tmp_path / "s.conf"
    path.write_text(TEXT)
    notes = Notes()
    ini = read(str(path), notes)
    assert {
        name: (section.line, {key: each.line for key, each in section.settings.items()})
        for name, section in ini.sections.items()
    } == {"one": (2, {"a": 3, "b": 5, "c": 11, "d": 14}), "two": (7, {"a": 9, "d": 14})}
    assert ini.sections["one"].settings["a"].value == "1\nmore"
    assert ini.sections["one"].settings["a"].beside == ["# beside"]
    assert ini.sections["one"].settings["d"].inherited
    assert ini.sections["two"].above == ["# beside"]
    assert [str(note).removeprefix(str(tmp_path)) for note in notes.listed([])] == [
        f"/s.conf:9: [two] a: is set before, at {path}:8; the last one counts",
        f"/s.conf:10: [one]: is a part of the section that began at {path}:2; they are merged",
    ]
