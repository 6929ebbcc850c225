"""The copy of the code that runs: whole or not at all, and made once."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from pathlib import Path

import pytest

import supervisor_lite
from supervisor_lite.daemon import kept_code
from supervisor_lite.daemon.kept_code import KeptCode
from tests.core import fake

_PACKAGE = Path(supervisor_lite.__file__).parent


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package on disk that runs; nothing is loaded from its copy."""
    place = tmp_path / "supervisor_lite"
    shutil.copytree(_PACKAGE, place, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(supervisor_lite, "__file__", str(place / "__init__.py"))
    monkeypatch.setattr(kept_code, "_load_from", lambda place: None)
    return place


def _modules(place: Path) -> dict[str, bytes]:
    return {str(file.relative_to(place)): file.read_bytes() for file in place.rglob("*.py")}


def test_it_has_what_a_daemon_needs_and_is_made_once(tmp_path: Path, package: Path) -> None:
    loop = asyncio.new_event_loop()
    first = Path(KeptCode(loop, str(tmp_path)).finish())
    expected = {
        name: content
        for name, content in _modules(package).items()
        if name.partition("/")[0] not in ("ctl", "gateway", "migrate")
    }
    assert _modules(first / "supervisor_lite") == expected
    before = first.stat()
    assert KeptCode(loop, str(tmp_path)).finish() == str(first)
    assert first.stat() == before
    (package / "text.py").write_text("# another version")
    second = Path(KeptCode(loop, str(tmp_path)).finish())
    assert list((tmp_path / "code").iterdir()) == [second] != [first]
    loop.close()


def test_the_loop_goes_round_between_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_code, "_WAIT", 0.0)
    monkeypatch.setattr(kept_code, "_PAUSE", 0.0)

    async def live() -> int:
        loop = asyncio.get_running_loop()
        kept = KeptCode(loop, str(tmp_path))
        kept.begin()
        turns = 0
        while not list(tmp_path.glob("code/*-????????")):
            await asyncio.sleep(0.3 if not turns else 0)
            turns += 1
        return turns

    assert asyncio.run(live()) > 20


def test_programs_come_first(tmp_path: Path) -> None:
    """What is to be copied is noted at once; then there is time for others between the parts."""

    async def live() -> tuple[float, int]:
        loop = asyncio.get_running_loop()
        KeptCode(loop, str(tmp_path)).begin()
        began, turns = loop.time(), 0
        while not list(tmp_path.glob("code/*-????????")):
            await asyncio.sleep(0.01)
            turns += 1
        return loop.time() - began, turns

    seconds, turns = fake.run(live())
    assert seconds > 1.0
    assert turns > 100


@pytest.mark.parametrize("how", ["changed", "gone"])
def test_no_copy_of_what_is_replaced_meanwhile(tmp_path: Path, package: Path, how: str) -> None:
    loop = asyncio.new_event_loop()
    kept = KeptCode(loop, str(tmp_path))
    while not list((tmp_path).glob("code/*.new/supervisor_lite/*")):
        assert kept.step()
    if how == "changed":
        (package / "users.py").write_text("# another version")
    else:
        (package / "users.py").unlink()
    assert kept.finish() == ""
    assert list((tmp_path / "code").iterdir()) == []
    loop.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")
@pytest.mark.parametrize("whose", ["above", "code", "everybody", "group", "ours"])
def test_no_copy_where_others_could_exchange_it(tmp_path: Path, whose: str) -> None:
    """It would be run as root. What is made here is closed to others, whatever the umask is."""
    state, code = tmp_path / "above" / "state", tmp_path / "above" / "state" / "code"
    state.mkdir(parents=True)
    before = os.umask(0)
    loop = asyncio.new_event_loop()
    try:
        assert Path(KeptCode(loop, str(state)).finish()).parent == code
        assert stat.S_IMODE(code.stat().st_mode) == 0o700
        if whose in ("everybody", "group"):
            code.chmod(0o777 if whose == "everybody" else 0o770)
        if whose != "everybody":
            user, group = {"ours": (0, 0), "group": (0, 65534)}.get(whose, (65534, 65534))
            os.chown(state.parent if whose == "above" else code, user, group)
        assert (KeptCode(loop, str(state)).finish() == "") is (whose != "ours")
    finally:
        os.umask(before)
        loop.close()


def test_a_place_that_cannot_be_written_to_is_no_reason_not_to_run(tmp_path: Path) -> None:
    (tmp_path / "code").write_text("")
    loop = asyncio.new_event_loop()
    assert KeptCode(loop, str(tmp_path)).finish() == ""
    loop.close()
