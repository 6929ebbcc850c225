"""Files that are written whole or not at all, and read without a wait."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from supervisor_lite.files import open_regular, write_whole


def test_an_old_file_is_replaced(tmp_path: Path) -> None:
    """By a new one: who has the old one open goes on reading that."""
    path = tmp_path / "file"
    path.write_text("old")
    with path.open() as old:
        write_whole(str(path), "new\n", 0o600)
        assert old.read() == "old"
    assert path.read_text() == "new\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_what_somebody_has_put_beside_it_is_not_written_to(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "file.new").symlink_to(target)
    write_whole(str(tmp_path / "file"), "new", 0o644)
    assert target.read_text() == "precious"
    assert not (tmp_path / "file").is_symlink()


def test_what_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        write_whole(str(tmp_path / "file"), "new", 0o644)


@pytest.mark.parametrize("kind", ["fifo", "device", "directory"])
def test_what_is_no_file_is_not_opened(tmp_path: Path, kind: str) -> None:
    """A FIFO would be waited for; opening a device is an act, as with a watchdog."""
    path = tmp_path / "link"
    target = {"fifo": tmp_path / "fifo", "device": Path("/dev/zero"), "directory": tmp_path}[kind]
    os.mkfifo(tmp_path / "fifo")
    path.symlink_to(target)
    with pytest.raises(OSError, match="it is no regular file"):
        open_regular(str(path))
