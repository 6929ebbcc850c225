"""The journal of a daemon that is gone, looked into by the next one."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor_lite.model.known_configuration import KnownConfiguration
from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.store.journal import open_journal
from supervisor_lite.store.peek import peek


@pytest.mark.parametrize("name", ["plain", "50%41", "what?mode=ro", "a#b", "é b", "\udcff"])
def test_a_journal_is_found_whatever_its_directory_is_called(tmp_path: Path, name: str) -> None:
    path = str(tmp_path / name / "journal.db")
    (tmp_path / name).mkdir()
    journal = open_journal(path, lambda text: None)
    settings = DaemonSettings("/run/x", "/var/lib/x", "/var/log/x", "/run/x/sock")
    journal.keep_configuration(KnownConfiguration("/etc/x.toml", settings))
    journal.close()
    found = peek(path, lambda text: None)
    assert found is not None
    assert found.configuration.config == "/etc/x.toml"


def test_no_journal_is_made(tmp_path: Path) -> None:
    assert peek(str(tmp_path / "journal.db"), lambda text: None) is None
    assert list(tmp_path.iterdir()) == []
