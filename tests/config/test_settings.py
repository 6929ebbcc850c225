"""The [daemon] table and where the client looks for the socket."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from supervisor_lite.config import settings
from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.protocol import locate
from tests.config.conftest import Folder, unprivileged

NOBODY = 65534


def test_without_a_daemon_table_everything_has_its_default(folder: Folder) -> None:
    runtime, log = locate.default_runtime_dir(), locate.default_log_dir()
    assert folder.load("").settings == DaemonSettings(
        runtime_dir=runtime,
        state_dir=locate.default_state_dir(),
        log_dir=log,
        socket=f"{runtime}/supervisor.sock",
        pidfile=f"{runtime}/supervisor.pid",
        logfile=f"{log}/supervisor-lite.log",
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize("dirs", ["", 'state_dir = "own"\n'])
def test_a_user_that_root_became_stays_in_the_places_of_root(
    public: Folder, monkeypatch: pytest.MonkeyPatch, dirs: str
) -> None:
    """Or the first reread would move every log, and an upgrade be refused."""
    keys = ("runtime_dir", "state_dir", "log_dir")
    before = public.load("[daemon]\n").settings
    assert {key: getattr(before, key) for key in keys} == settings._SYSTEM
    system = {key: str(public.path / key) for key in keys}
    monkeypatch.setattr(settings, "_SYSTEM", system)
    public.write("supervisor.toml", f'[daemon]\nuser = "{NOBODY}"\n{dirs}')
    for path in (*system.values(), "own"):
        os.mkdir(path)
        os.chown(path, NOBODY, NOBODY)
    with unprivileged():
        now = public.load().settings
    expected = {**system, "state_dir": str(public.path / "own")} if dirs else system
    assert {key: getattr(now, key) for key in keys} == expected
    assert now.socket == f"{system['runtime_dir']}/supervisor.sock"
    assert now.logfile == f"{system['log_dir']}/supervisor-lite.log"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize(("user", "owner"), [(NOBODY, 0), (NOBODY, 1), (0, NOBODY), (NOBODY, None)])
def test_a_user_of_their_own_has_places_of_their_own(
    public: Folder, monkeypatch: pytest.MonkeyPatch, user: int, owner: int | None
) -> None:
    """The places of a daemon that somebody else runs are not theirs."""
    system = {key: str(public.path / key) for key in ("runtime_dir", "state_dir", "log_dir")}
    monkeypatch.setattr(settings, "_SYSTEM", system)
    # Once as root: what Python imports on the way may be out of reach for others.
    public.load(f'[daemon]\nuser = "{user}"\n')
    for path in system.values() if owner is not None else ():
        os.mkdir(path)
        os.chown(path, owner or 0, 0)
    with unprivileged():
        now = public.load().settings
        expected = locate.default_runtime_dir(), locate.default_log_dir()
    assert (now.runtime_dir, now.log_dir) == expected


def test_every_key_reaches_its_field(folder: Folder) -> None:
    text = """\
[daemon]
runtime_dir = "run"
state_dir = "state"
log_dir = "log"
include = []
log_level = "warn"
log_format = "json"
umask = "027"
environment = { A = "%(here)s", N = 1 }
identifier = "me"
minfds = 2048
minprocs = 100
pidfile = "run/pid"
logfile = "log/daemon.log"
logfile_maxbytes = 0
logfile_backups = 3
silent = true
directory = "/"
user = "root"
socket = "run/ctl.sock"
socket_mode = 0o660
socket_owner = 0
socket_group = "root"
nodaemon = false
"""
    path = str(folder.path)
    assert folder.load(text).settings == DaemonSettings(
        runtime_dir=f"{path}/run",
        state_dir=f"{path}/state",
        log_dir=f"{path}/log",
        socket=f"{path}/run/ctl.sock",
        socket_mode=0o660,
        socket_owner="0",
        socket_group="root",
        pidfile=f"{path}/run/pid",
        logfile=f"{path}/log/daemon.log",
        logfile_maxbytes=0,
        logfile_backups=3,
        log_level="warning",
        log_format="json",
        silent=True,
        umask=0o027,
        directory="/",
        user="root",
        minfds=2048,
        minprocs=100,
        identifier="me",
        environment={"A": path, "N": "1"},
    )


def test_supervisors_names_are_accepted(folder: Folder) -> None:
    settings = folder.load('[daemon]\nloglevel = "blather"\nchildlogdir = "."\n').settings
    assert (settings.log_level, settings.log_dir) == ("debug", str(folder.path))


def test_paths_follow_the_directories(folder: Folder) -> None:
    settings = folder.load('[daemon]\nruntime_dir = "run"\nlog_dir = "log"\n').settings
    assert settings.socket == f"{folder.path}/run/supervisor.sock"
    assert settings.pidfile == f"{folder.path}/run/supervisor.pid"
    assert settings.logfile == f"{folder.path}/log/supervisor-lite.log"
    assert folder.load('[daemon]\nlogfile = "none"\n').settings.logfile is None


def test_a_socket_path_of_107_bytes_is_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        monkeypatch.chdir(directory)
        folder = Folder(Path(directory))
        longest = "s" * (107 - len(directory) - 1)
        path = folder.load(f'[daemon]\nsocket = "{longest}"\n').settings.socket
        assert len(path) == 107
        assert folder.complaints(f'[daemon]\n\nsocket = "é{longest[1:]}"\n') == [
            "supervisor.toml:3: daemon.socket: the path of the control socket is 108 bytes long, "
            f"and the system allows 107: {directory}/é{longest[1:]}"
        ]
        (complaint,) = folder.complaints(f'[daemon]\nruntime_dir = "{longest}"\n')
        assert complaint.startswith(
            "supervisor.toml:2: daemon.runtime_dir: the path of the control socket is 123 bytes"
        )


def test_a_default_socket_that_is_too_long_is_wrong_too(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locate, "default_runtime_dir", lambda: "/" + "r" * 107)
    (complaint,) = folder.complaints("")
    assert "the path of the control socket is 124 bytes long" in complaint


@pytest.mark.parametrize(
    "text",
    [
        "",
        '[daemon]\nruntime_dir = "run"\n',
        '[daemon]\nsocket = "./x/../ctl.sock"\nruntime_dir = "run"\n',
        '[daemon]\nruntime_dir = "%(here)s/%(ENV_RUN)s-%(host_node_name)s"\n',
        '\ufeff[daemon]\nruntime_dir = "100%%"\n',
    ],
)
def test_the_client_finds_the_socket_of_the_daemon(
    folder: Folder, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN", "here")
    settings = folder.load(text, environ=os.environ).settings
    assert locate.find_socket("supervisor.toml") == settings.socket
    assert locate.find_socket(str(folder.path)) == settings.socket


@pytest.mark.parametrize("value", ["%(nothing)s", "%(ENV_NOT_SET_AT_ALL)s", "%(here)d", "5%"])
def test_the_client_refuses_an_expansion_that_it_cannot_do(folder: Folder, value: str) -> None:
    folder.write("supervisor.toml", f'[daemon]\nruntime_dir = "{value}"\n')
    with pytest.raises(ValueError):
        locate.find_socket("supervisor.toml")
