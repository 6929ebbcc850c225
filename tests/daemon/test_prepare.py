"""What is made before the daemon runs, and what is not trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervisor_lite.daemon import prepare
from supervisor_lite.errors import StartupError
from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.protocol import locate


def settings(place: Path) -> DaemonSettings:
    """Return settings with all that a daemon makes below `place`."""
    runtime = place / "supervisor-lite-1000" / "supervisor-lite"
    return DaemonSettings(
        str(runtime), str(place / "state"), str(place / "log"), str(runtime / "supervisor.sock")
    )


def test_a_squatted_default_runtime_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In /tmp somebody else may have made the directory of our directory, to exchange that."""
    wanted = settings(tmp_path)
    monkeypatch.setattr(locate, "own_tmp_dir", lambda: os.path.dirname(wanted.runtime_dir))
    parent = Path(wanted.runtime_dir).parent
    parent.mkdir()
    parent.chmod(0o777)
    with pytest.raises(StartupError, match=f'"{parent}": everybody may write to it'):
        prepare.make_directories(wanted, prepare.Owner())
    parent.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(parent, 65534, 65534)
        with pytest.raises(StartupError, match=f'"{parent}": it belongs to uid 65534'):
            prepare.make_directories(wanted, prepare.Owner())
        os.chown(parent, 0, 0)
    prepare.make_directories(wanted, prepare.Owner())
    assert Path(wanted.runtime_dir).is_dir()


def test_a_runtime_directory_that_was_chosen_is_for_its_owner_to_judge(tmp_path: Path) -> None:
    """Only the directory itself is looked at, not where the operator has put it."""
    wanted = settings(tmp_path)
    parent = Path(wanted.runtime_dir).parent
    parent.mkdir()
    parent.chmod(0o777)
    prepare.make_directories(wanted, prepare.Owner())
    assert Path(wanted.runtime_dir).is_dir()
