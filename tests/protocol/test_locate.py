"""Where a client looks for its daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor_lite.protocol import locate


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with directories of their own, and a system's beside them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(locate, "_SYSTEM_RUNTIME_DIR", str(tmp_path / "system"))
    monkeypatch.setattr(locate, "default_runtime_dir", lambda: str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("system", "own"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_the_systems_daemon_is_meant_by_those_who_have_none(place: Path) -> None:
    """A daemon of one's own goes first; where there is neither, one's own is the one to start."""
    own, system = (place / name / "supervisor.sock" for name in ("own", "system"))
    assert locate.find_socket(None) == str(own)
    system.touch()
    assert locate.find_socket(None) == str(system)
    own.touch()
    assert locate.find_socket(None) == str(own)


def test_whoever_has_a_configuration_means_its_daemon(place: Path) -> None:
    """Also while that is not running."""
    (place / "system/supervisor.sock").touch()
    (place / "supervisor.toml").write_text("[program.web]\ncommand = 'true'\n")
    own = str(place / "own/supervisor.sock")
    assert locate.find_socket(None) == own
    (place / "supervisor.toml").rename(place / "other.toml")
    assert locate.find_socket(str(place / "other.toml")) == own
