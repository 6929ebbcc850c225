"""Paths that lead through directories of others: what is followed, used, refused."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from supervisor_lite import safe_paths
from supervisor_lite.safe_paths import known as known_ways
from supervisor_lite.safe_paths.walk import Walk

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")

THEM = 65534


def give(path: Path) -> Path:
    """Have something belong to another user, a link itself."""
    os.chown(path, THEM, THEM, follow_symlinks=False)
    return path


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Return a directory of another user."""
    path = tmp_path / "theirs"
    path.mkdir()
    return give(path)


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """Return a directory of root's with a file in it."""
    path = tmp_path / "precious"
    path.mkdir()
    (path / "web.log").write_text("precious")
    return path


def link(path: Path, target: Path | str, *, mine: bool) -> Path:
    path.symlink_to(target)
    return path if mine else give(path)


def refused(path: Path) -> str:
    """Return why a path is not opened, to read or to make it, nor its directory made."""
    causes = set()
    for flags in (os.O_RDONLY, os.O_RDWR | os.O_CREAT):
        with pytest.raises(OSError) as caught:
            os.close(safe_paths.open_file(str(path), flags))
        assert caught.value.strerror is not None
        causes.add(caught.value.strerror)
    (cause,) = causes
    return cause


def text(path: Path) -> str:
    fd = safe_paths.open_file(str(path), os.O_RDONLY)
    with os.fdopen(fd) as file:
        return file.read()


# Links.


@pytest.mark.parametrize("steps", ["log", "log/deeper", "deeper/log"])
def test_a_link_of_theirs_on_the_way_is_not_followed(
    theirs: Path, precious: Path, steps: str
) -> None:
    """Wherever it is, and whether what it leads to is there or not."""
    first, *rest = steps.split("/")
    (precious / "deeper").mkdir()
    (precious / "deeper" / "web.log").write_text("precious")
    if first == "log":
        link(theirs / "log", precious, mine=False)
    else:
        (theirs / "deeper").mkdir()
        give(theirs / "deeper")
        link(theirs / "deeper" / "log", precious, mine=False)
    path = theirs.joinpath(first, *rest)
    assert f"belongs to uid {THEM}" in refused(path / "web.log")
    assert f"belongs to uid {THEM}" in refused(path / "new.log")
    for ask in (safe_paths.at, safe_paths.locate, safe_paths.file_status):
        with pytest.raises(PermissionError):
            ask(str(path / "web.log"))
    with pytest.raises(PermissionError):
        safe_paths.make_directories(str(path / "made"))
    assert sorted(os.listdir(precious)) == ["deeper", "web.log"]


def test_a_link_of_roots_that_they_can_move_is_not_followed(theirs: Path, precious: Path) -> None:
    """They have renamed one that root has made for something else, or a directory with one."""
    link(theirs / "current", precious, mine=True)
    (theirs / "current").rename(theirs / "log")
    assert "may have moved it" in refused(theirs / "log" / "web.log")
    (theirs / "roots").mkdir()
    link(theirs / "roots" / "web.log", precious / "web.log", mine=True)
    (theirs / "roots").rename(theirs / "other")
    assert "may have moved it" in refused(theirs / "other" / "web.log")


def test_links_of_roots_and_ours_are_followed(tmp_path: Path, precious: Path) -> None:
    """Like /var/log that is elsewhere: absolute, relative, one after the other, at the end."""
    (tmp_path / "deep").mkdir()
    link(tmp_path / "one", precious, mine=True)
    link(tmp_path / "deep" / "two", "../one", mine=True)
    link(tmp_path / "last.log", "deep/two/web.log", mine=True)
    assert text(tmp_path / "deep" / "two" / "web.log") == "precious"
    assert text(tmp_path / "last.log") == "precious"
    safe_paths.make_directories(str(tmp_path / "one" / "made" / "too"))
    assert (precious / "made" / "too").is_dir()


@pytest.mark.parametrize("mode", [0o1777, 0o775])
def test_links_in_common_directories(tmp_path: Path, precious: Path, mode: int) -> None:
    """In a sticky one nobody moves a link of root's; a group that root lets in may."""
    common = tmp_path / "common"
    common.mkdir()
    common.chmod(mode)
    link(common / "ours", precious, mine=True)
    link(common / "theirs", precious, mine=False)
    assert text(common / "ours" / "web.log") == "precious"
    assert "belongs to uid" in refused(common / "theirs" / "web.log")


def test_a_link_of_roots_in_a_directory_for_all(tmp_path: Path, precious: Path) -> None:
    common = tmp_path / "common"
    common.mkdir()
    common.chmod(0o777)
    link(common / "ours", precious, mine=True)
    assert "may have moved it" in refused(common / "ours" / "web.log")


def test_links_that_never_end(tmp_path: Path) -> None:
    link(tmp_path / "a", "b", mine=True)
    link(tmp_path / "b", "a", mine=True)
    assert refused(tmp_path / "a" / "web.log") == "Too many levels of symbolic links"


def test_what_is_missing_behind_a_link_is_not_made(tmp_path: Path) -> None:
    """The disk that it leads to is not mounted, perhaps."""
    link(tmp_path / "log", tmp_path / "disk" / "logs", mine=True)
    with pytest.raises(FileNotFoundError) as caught:
        safe_paths.make_directories(str(tmp_path / "log" / "web"))
    assert caught.value.filename == str(tmp_path / "log" / "web")
    assert not (tmp_path / "disk").exists()


def test_the_kernels_own_links(tmp_path: Path) -> None:
    """/dev/stdout leads to /proc/self/fd/1, which has no path."""
    reader, writer = os.pipe()
    fd = safe_paths.open_file(f"/proc/self/fd/{writer}", os.O_WRONLY)
    os.write(fd, b"x")
    assert os.read(reader, 1) == b"x"
    status = safe_paths.file_status(f"/dev/fd/{writer}")
    assert status is not None
    assert stat.S_ISFIFO(status.st_mode)
    for each in (reader, writer, fd):
        os.close(each)


# Files.


@pytest.mark.parametrize("kind", ["hard link", "fifo", "third"])
def test_a_planted_file_is_refused(tmp_path: Path, theirs: Path, precious: Path, kind: str) -> None:
    path = theirs / "web.log"
    if kind == "hard link":
        os.link(precious / "web.log", path)
    elif kind == "fifo":
        os.mkfifo(path)
        give(path)
    else:
        path.write_text("of somebody else")
        os.chown(path, 1234, 1234)
    assert "others may write to its directory" in refused(path)


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_file_of_theirs_in_a_directory_for_all_is_refused(tmp_path: Path, mode: int) -> None:
    """They have made it first, to read what will be written."""
    common = tmp_path / "common"
    common.mkdir()
    common.chmod(mode)
    (common / "web.log").touch()
    assert text(common / "web.log") == ""
    give(common / "web.log")
    assert f"belongs to uid {THEM}" in refused(common / "web.log")


def test_files_that_are_in_order(tmp_path: Path, theirs: Path) -> None:
    """Made by us, by the owner of the directory, or by root for whomever it likes (logrotate)."""
    ours = tmp_path / "ours"
    ours.mkdir()
    for directory in (ours, theirs):
        (directory / "a.log").write_text("ours")
        (directory / "b.log").write_text("theirs")
        give(directory / "b.log")
        assert text(directory / "a.log") == "ours"
        assert text(directory / "b.log") == "theirs"
        os.close(safe_paths.open_file(str(directory / "c.log"), os.O_RDWR | os.O_CREAT))
        assert (directory / "c.log").stat().st_uid == 0


def test_the_place_stays_when_the_directory_is_exchanged(theirs: Path, precious: Path) -> None:
    """What is done goes on in the directory that was found."""
    (theirs / "log").mkdir()
    give(theirs / "log")
    (theirs / "log" / "web.log").write_text("log")
    with safe_paths.at(str(theirs / "log" / "web.log")) as place:
        (theirs / "log").rename(theirs / "away")
        link(theirs / "log", precious, mine=False)
        place.rename(place.name, "web.log.1")
        os.close(place.open(os.O_RDWR | os.O_CREAT))
        place.unlink("web.log.1")
    assert os.listdir(precious) == ["web.log"]
    assert os.listdir(theirs / "away") == ["web.log"]


def test_exchanged_again_and_again(theirs: Path, precious: Path) -> None:
    """Whatever moment it is, it is their directory or an error."""
    (theirs / "real").mkdir()
    give(theirs / "real")
    link(theirs / "link", precious, mine=False)
    (theirs / "real").rename(theirs / "log")
    over = threading.Event()

    def exchange() -> None:
        while not over.is_set():
            (theirs / "log").rename(theirs / "real")
            (theirs / "link").rename(theirs / "log")
            (theirs / "log").rename(theirs / "link")
            (theirs / "real").rename(theirs / "log")

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        outcomes = set()
        for number in range(3000):
            try:
                os.close(
                    safe_paths.open_file(str(theirs / "log" / f"{number}"), os.O_RDWR | os.O_CREAT)
                )
                outcomes.add("made")
            except OSError:
                outcomes.add("refused")
    finally:
        over.set()
        thread.join()
    assert outcomes >= {"made"}
    assert os.listdir(precious) == ["web.log"]


def test_a_path_is_believed_only_where_nobody_else_could_exchange_it(tmp_path: Path) -> None:
    """A group that may write to a directory on the way could, between a look and its use."""
    directory = tmp_path / "ours" / "log"
    directory.mkdir(parents=True)
    os.chown(directory.parent, 0, THEM)
    for mode, known in ((0o755, True), (0o775, False)):
        directory.parent.chmod(mode)
        safe_paths._known.clear()
        for _ in range(2):
            with safe_paths.at(f"{directory}/web.log") as place:
                by_path = place.fd is None
        assert by_path is known


@pytest.mark.parametrize("what", ["nothing", "mode", "owner", "other", "link"])
def test_a_way_is_looked_at_again_from_the_root_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """After a while; what was changed by us or root since may have let somebody in."""
    directory = tmp_path / "above" / "ours" / "log"
    directory.mkdir(parents=True)
    above = tmp_path / "above"
    monkeypatch.setattr(known_ways, "_BELIEVED_FOR", 0.0)
    walked: list[str] = []

    def walk(path: str) -> Walk:
        walked.append(path)
        return Walk(path)

    monkeypatch.setattr(safe_paths, "Walk", walk)
    safe_paths._known.clear()
    for _ in range(3):
        safe_paths.at(f"{directory}/web.log").__exit__()
    assert len(walked) == 1
    if what == "mode":
        above.chmod(0o777)
    elif what == "owner":
        os.chown(above, THEM, THEM)
    elif what in ("other", "link"):
        above.rename(tmp_path / "elsewhere")
        directory.mkdir(parents=True) if what == "other" else above.symlink_to("elsewhere")
    with safe_paths.at(f"{directory}/web.log") as place:
        assert (place.fd is not None) == (what != "nothing")
    assert len(walked) == (1 if what == "nothing" else 2)
