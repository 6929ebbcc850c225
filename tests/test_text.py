"""What is shown to people."""

from __future__ import annotations

import pytest

from supervisor_lite import text


def test_what_is_invisible_is_spelled_out() -> None:
    assert text.sanitize(None) == "None"
    assert text.sanitize("grün 日") == "grün 日"
    assert text.sanitize("a\x1b[2J\n\u202eb") == "a\\x1b[2J\\n\\u202eb"
    assert text.sanitize("a\tb\nc\r", keep="\n\t") == "a\tb\nc\\r"


def test_a_number_has_its_noun() -> None:
    assert [text.plural(n, "dog", "dogs") for n in (0, 1, 2)] == ["0 dogs", "1 dog", "2 dogs"]


def test_the_nearest_word_is_suggested() -> None:
    assert text.suggest("statsu", ["start", "status"], "{}", ";") == "; did you mean status?"
    assert text.suggest("START-SECS", ["startsecs"]) == ', did you mean "startsecs"?'
    assert text.suggest("zzz", ["status"]) == ""


def test_sizes_and_uptimes() -> None:
    assert [text.size(n) for n in (0, 1023, 1536, 5 << 30, 3 << 40)] == [
        "0 B", "1023 B", "1.5 KB", "5.0 GB", "3.0 TB",
    ]  # fmt: skip
    assert [text.uptime(s) for s in (-1, 2.9, 3661, 86400, 190000)] == [
        "0:00:00", "0:00:02", "1:01:01", "1 day, 0:00:00", "2 days, 4:46:40",
    ]  # fmt: skip


def test_short_spans_are_milliseconds() -> None:
    spans = [text.span(seconds) for seconds in (0, 0.0004, 0.004, 0.09, 0.1, 5, 7380)]
    assert spans == ["0 ms", "0 ms", "4 ms", "90 ms", "0.1 s", "5 s", "2 h 3 m"]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("10", 10.0), (" 2.5 ", 2.5), ("1m30s", 90.0), ("1 m 30 s", 90.0), ("500ms", 0.5),
     ("1.5h", 5400.0), ("2d", 172800.0), ("1w", 604800.0), ("9" * 400, float("inf"))],
)  # fmt: skip
def test_durations_are_read(written: str, seconds: float) -> None:
    assert text.parse_duration(written) == seconds


@pytest.mark.parametrize("written", ["", " ", "-1", "1m30", "s", "nan", "1e3", "٣", "1 x"])
def test_what_is_no_duration(written: str) -> None:
    with pytest.raises(ValueError):
        text.parse_duration(written)


@pytest.mark.parametrize(
    ("written", "number"),
    [("0", 0), ("1048576", 1 << 20), ("50MB", 50 << 20), ("50 mib", 50 << 20), ("1.5k", 1536),
     ("2t", 2 << 40), ("7b", 7)],
)  # fmt: skip
def test_sizes_are_read(written: str, number: int) -> None:
    assert text.parse_size(written) == number


@pytest.mark.parametrize("written", ["", "MB", "-1", "1XB", "1e3", "1 2", "٣"])
def test_what_is_no_size(written: str) -> None:
    with pytest.raises(ValueError):
        text.parse_size(written)


def test_sizes_are_written_as_they_are_read() -> None:
    assert [text.exact_size(n) for n in (0, 1, 1024, 50 << 20, 3 << 40, 1025)] == [
        0, 1, "1KB", "50MB", "3TB", 1025,
    ]  # fmt: skip


def test_columns_of_a_terminal() -> None:
    """Wide characters take two columns, marks none; what is cut ends in …, within the width."""
    assert [text.columns(word) for word in ("web", "日本", "gru\u0308n", "grün", "")] == [
        3, 4, 4, 4, 0,
    ]  # fmt: skip
    assert text.pad("日本", 6) == "日本  "
    assert [text.fit("日本語のprog", width) for width in (12, 11, 6, 5, 2, 1)] == [
        "日本語のprog", "日本語のpr…", "日本…", "日本…", "…", "…",
    ]  # fmt: skip
    assert [text.fit("some words", width) for width in (10, 9, 6, 1)] == [
        "some words", "some wor…", "some…", "…",
    ]  # fmt: skip
