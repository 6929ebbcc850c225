"""No code decides by reading a sentence: a better word changes nothing but the word.

Of the sources of commit 86b7e13 this names 50 places, besides those that read what people write:
18 in story.py and 1 in the forecast, 19 in the gateway, 5 in control, 5 in ctl, 2 in host. Three of
them are allowed below.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prose import PACKAGE, found_in

READERS = ("config/", "migrate/", "store/old_sentences.py")
"""What reads texts of people, or of versions that kept sentences: that is what it is for."""

ALLOWED = {
    ("ctl/commands/history.py", "reason != words"): "nothing is said twice; the words are shown",
    ("ctl/commands/processes.py", "reason.startswith(word)"): "the same",
    ("explain/episode_reader.py", "self._changes[self._index].cause == change.cause"): "data",
    ("explain/episode_reader.py", "again.notes != change.notes"): "data",
    ("gateway/guard.py", "header == _EMPTY_CREDENTIALS"): "a header of HTTP, not a sentence",
}
"""By file and code: why it may stay."""


def test_nothing_is_decided_by_a_sentence() -> None:
    found = [place for place in found_in(PACKAGE) if not place.file.startswith(READERS)]
    assert [str(place) for place in found if (place.file, place.code) not in ALLOWED] == []
    assert ALLOWED.keys() - {(place.file, place.code) for place in found} == set()


@pytest.mark.parametrize(
    "code",
    [
        "if cause.startswith('restart after'): x()",
        "if 'killed by' in row['cause']: x()",
        "if str(row.get('reason') or '') == 'gone': x()",
        "x = 1 if record.cause == 'stop asked' else 2",
        "x = [r for r in results if r.result in _NOOP]\n_NOOP = ('not running', 'up')",
        "if error.message.endswith('no log file'): x()",
        "if PATTERN.search(reason): x()",
        "x = re.match('a', str(error))",
        "how = change.cause.removesuffix(' (expected)')",
        "name, _, rest = note.partition(': ')",
        "if text == 'KILL at once': x()",
        "match change.cause:\n    case 'start asked': x()",
    ],
)
def test_it_is_found(tmp_path: Path, code: str) -> None:
    (tmp_path / "planted.py").write_text(code)
    assert found_in(tmp_path) != []


@pytest.mark.parametrize(
    "code",
    [
        "if cause.kind is CauseKind.RETRY: x()",
        "if row['cause']['kind'] == 'retry': x()",
        "if not reason or reason is None or reason == '': x()",
        "if error.errno == errno.EACCES: x()",
        "if state == 'RUNNING': x()",
        "message = 'cannot start it: no memory'",
        "if message == {}: x()",
        "line = ', '.join(reasons)",
        "if 'method' in message: x()",
    ],
)
def test_what_is_no_decision_by_a_sentence_is_not(tmp_path: Path, code: str) -> None:
    (tmp_path / "fine.py").write_text(code)
    assert found_in(tmp_path) == []
