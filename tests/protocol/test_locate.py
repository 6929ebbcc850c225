"""Where a client looks for its daemon."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from supervisor_lite.config.load import load
from supervisor_lite.daemon.last_known import last_known
from supervisor_lite.errors import ConfigError
from supervisor_lite.protocol import directories, locate


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


def test_a_directory_with_a_main_file_is_that_file(place: Path) -> None:
    """Both names lead to one socket, one state directory, one configuration."""
    directory, main = str(place / "etc"), str(place / "etc/supervisor.toml")
    (place / "etc").mkdir()
    (place / "etc/a.toml").write_text("[daemon]\nsocket = '/run/a'\nstate_dir = '/var/a'\n")
    assert locate.absolute_config(directory) == directory
    assert locate.find_socket(directory) == "/run/a"
    assert not directories.same(directory, main)
    Path(main).write_text("[daemon]\nsocket = '/run/main'\n")
    for path in (directory, f"{directory}/", "etc", main):
        assert locate.absolute_config(path) == main
        assert locate.find_socket(path) == "/run/main"
    assert directories.same(directory, main)
    assert not directories.same(directory, f"{directory}/a.toml")


@pytest.mark.parametrize("plain", [True, False])
def test_a_daemon_that_was_given_the_directory_is_found_by_its_main_file(
    place: Path, plain: bool
) -> None:
    """One of an earlier version, which did not tell them apart."""
    (place / "etc").mkdir()
    main = place / "etc/supervisor.toml"
    main.touch()
    usual = str(place / "own")
    suffix = "" if plain else directories.mark(str(main.parent))
    for end, config in (("", "/other.toml"), (suffix, str(main.parent))):
        Path(usual + end).mkdir(exist_ok=True)
        Path(usual + end, directories.NOTE).write_text(json.dumps({"configuration": config}))
    assert directories.suffix(usual, str(main), []) == suffix


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")
@pytest.mark.parametrize("how", ["file", "directory", "above", "link", "everybody"])
def test_root_takes_no_configuration_that_others_have_put_where_it_is(
    place: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Its commands would run as root, and slctl obey whoever listens there. Named, it counts."""
    here = place / "above" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    config = here / "supervisor.toml"
    config.write_text("[program.web]\ncommand = 'true'\n")
    assert locate.find_config() == str(config)
    path = {"file": config, "above": here.parent}.get(how, here)
    if how == "link":
        config.rename(here / "other")
        config.symlink_to("other")
        path = config
    if how == "everybody":
        config.chmod(0o666)
    else:
        os.chown(path, 65534, 65534, follow_symlinks=False)
    for find in (locate.find_config, lambda: locate.find_socket(None), load):
        with pytest.raises((locate.ForeignPathError, ConfigError), match="named with -c"):
            find()
    assert last_known(None) is None
    assert load(str(config)).plan.groups
    config.unlink()
    assert locate.find_config() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")
@pytest.mark.parametrize("whose", ["above", "own", "nobody"])
def test_a_user_obeys_nobody_who_has_made_his_directory_before_him(
    monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """That in /tmp, which users have who have no XDG_RUNTIME_DIR, anybody can make."""
    with tempfile.TemporaryDirectory(dir="/tmp") as above:
        directory = Path(above, "own")
        directory.mkdir()
        for path in (above, directory):
            os.chown(path, 65534, 65534)
        if whose != "nobody":
            os.chown(above if whose == "above" else directory, 65533, 65533)
        monkeypatch.setattr(locate, "default_runtime_dir", lambda: str(directory))
        monkeypatch.setattr(locate, "own_tmp_dir", lambda: above)
        monkeypatch.setattr(locate, "find_config", lambda: None)
        monkeypatch.setattr(os, "geteuid", lambda: 65534)
        if whose == "nobody":
            assert locate.find_socket(None) == f"{directory}/supervisor.sock"
        else:
            with pytest.raises(locate.ForeignPathError, match="it belongs to uid 65533"):
                locate.find_socket(None)
