"""Which cgroup is ours to divide, from what /proc and the directories say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervisor_lite.host.delegation import Base, NotOursError, View, find_base, locate

PURE = "30 23 0:26 / {} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID = (
    "33 32 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "42 32 0:36 / {} rw,relatime - cgroup2 cgroup2 rw\n"
)


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    """A directory that looks like a hierarchy, with a space in its name."""
    place = tmp_path / "a hierarchy"
    place.mkdir()
    return place


def make(mount: Path, path: str) -> Path:
    """Make what looks like a cgroup below the root of the hierarchy."""
    place = mount / path.lstrip("/")
    place.mkdir(parents=True)
    while place != mount:
        (place / "cgroup.events").write_text("populated 1\nfrozen 0\n")
        place = place.parent
    return mount / path.lstrip("/")


def delegate(place: Path) -> None:
    """Mark it as systemd does."""
    try:
        os.setxattr(place, "user.delegate", b"1")
    except OSError as error:
        pytest.skip(f"no extended attributes here: {error.strerror}")


def view(mount: Path, path: str, *, form: str = PURE, systemd: bool = False) -> View:
    """Return what a daemon in that cgroup sees."""
    point = str(mount).replace(" ", "\\040")
    lines = f"4:memory:/elsewhere\n0::{path}\n" if form is HYBRID else f"0::{path}\n"
    return View(
        mountinfo=form.format(point), cgroup=lines, pid=4711, systemd=systemd, session=False
    )


def why_not(setting: str, seen: View) -> str:
    """Return why there is none to divide."""
    with pytest.raises(NotOursError) as caught:
        find_base(setting, seen)
    return str(caught.value)


@pytest.mark.parametrize("form", [PURE, HYBRID])
def test_our_own_cgroup_is_found(mount: Path, form: str) -> None:
    """On a host with version 2 alone, and beside version 1, whose lines come first."""
    assert locate(view(mount, "/a/b", form=form)) == (str(mount), f"{mount}/a/b")
    assert locate(view(mount, "/", form=form)) == (str(mount), str(mount))


def test_a_part_of_the_hierarchy_that_is_mounted_elsewhere(mount: Path) -> None:
    """As in a container that shares its host's namespace of cgroups."""
    seen = view(mount, "/docker/abc/inner")
    seen = seen._replace(mountinfo=seen.mountinfo.replace(" / ", " /docker/abc ", 1))
    assert locate(seen) == (str(mount), f"{mount}/inner")
    assert locate(seen._replace(cgroup="0::/docker/abcdef\n")) == (str(mount), None)
    assert locate(seen._replace(cgroup="0::/../other\n")) == (str(mount), None)
    assert "cannot be seen" in why_not("auto", seen._replace(cgroup="0::/../other\n"))


def test_no_hierarchy(mount: Path) -> None:
    """Version 1 alone, and a kernel without any."""
    seen = view(mount, "/")
    old = "33 32 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    for text in (old, "", "nonsense\n"):
        assert "no cgroup2 hierarchy" in why_not("auto", seen._replace(mountinfo=text))
        assert "no cgroup2 hierarchy" in why_not("/sys/x", seen._replace(mountinfo=text))
    assert why_not("off", seen) == 'cgroups is "off"'


def test_the_root_is_not_ours(mount: Path) -> None:
    """Everything else of the machine is in there; unless it is named."""
    assert "root cgroup" in why_not("auto", view(mount, "/"))
    assert find_base(str(mount), view(mount, "/")) == Base(str(mount), str(mount))


def test_one_that_systemd_has_delegated(mount: Path) -> None:
    """It is ours. Without the mark it is systemd's."""
    place = make(mount, "/system.slice/sl.service")
    seen = view(mount, "/system.slice/sl.service", systemd=True)
    if os.geteuid() == 0:  # what is another user's own, an old systemd has given to it
        assert "not delegated" in why_not("auto", seen)
    delegate(place)
    base = find_base("auto", seen)
    assert base.path == str(place)
    assert "DelegateSubgroup=supervisor" in base.unlimited, "systemd could start no other there"


def test_one_that_systemd_has_delegated_with_a_subgroup(mount: Path) -> None:
    """The daemon is in the leaf already, so that controllers can be enabled above it."""
    make(mount, "/system.slice/sl.service/supervisor")
    unit = mount / "system.slice/sl.service"
    seen = view(mount, "/system.slice/sl.service/supervisor", systemd=True)
    if os.geteuid() == 0:
        assert "not delegated" in why_not("auto", seen)
    delegate(unit)
    assert find_base("auto", seen) == Base(str(unit), f"{unit}/supervisor")


def test_a_login_session_is_not_ours(mount: Path) -> None:
    """Neither by its name nor by what it has left in the environment."""
    path = "/user.slice/user-1000.slice/session-3.scope"
    make(mount, path)
    assert "login session" in why_not("auto", view(mount, path))
    make(mount, "/1")
    assert "login session" in why_not("auto", view(mount, "/1")._replace(session=True))


def test_one_without_systemd(mount: Path) -> None:
    """A service manager has made it for us; if we can write to it is asked later."""
    place = make(mount, "/openrc.sl")
    assert find_base("auto", view(mount, "/openrc.sl")).path == str(place)


def test_a_container(mount: Path) -> None:
    """Its root is not that of the machine: it is for its first process, which steps aside."""
    (mount / "cgroup.events").write_text("populated 1\n")
    assert "not its pid 1" in why_not("auto", view(mount, "/"))
    base = find_base("auto", view(mount, "/")._replace(pid=1))
    assert base == Base(str(mount), str(mount), leave=True)
    make(mount, "/supervisor")  # after an upgrade in place
    base = find_base("auto", view(mount, "/supervisor")._replace(pid=1))
    assert base == Base(str(mount), f"{mount}/supervisor")


def test_one_that_is_named(mount: Path) -> None:
    """Wherever the daemon is."""
    place = make(mount, "/mine")
    assert find_base(f"{place}/", view(mount, "/")) == Base(str(place), str(mount))
    assert find_base(str(place), view(mount, "/mine")).unlimited
