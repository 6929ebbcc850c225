"""credentials: files that the program's user alone can read, and only while it runs."""

from __future__ import annotations

import os
import pwd
import signal
from pathlib import Path

import pytest

from supervisor_lite.host.secrets import read
from supervisor_lite.host.secrets.credentials import Credentials
from supervisor_lite.host.secrets.read import read_secret
from tests.programs import SLEEPER, program, sh, writes_and_stays
from tests.support import Daemon, Daemons, wait_until

SECRET = "s3cr3t-of-the-test\n"
SHOWS = writes_and_stays(
    'cat "$CREDENTIALS_DIRECTORY/db"; stat -c %%a:%%u "$CREDENTIALS_DIRECTORY"/db;'
    ' stat -c %%a:%%u "$CREDENTIALS_DIRECTORY"; ls "$CREDENTIALS_DIRECTORY"; echo done'
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


def prepared(daemons: Daemons) -> Daemon:
    """Return a daemon beside whose configuration there is a secret for root alone."""
    daemon = daemons.prepare()
    (daemon.dir / "secret").write_text(SECRET)
    (daemon.dir / "secret").chmod(0o400)
    return daemon


def shown(daemon: Daemon, name: str) -> list[str]:
    log = f"log/{name}.stdout.log"
    wait_until(lambda: "done\n" in daemon.text(log), what=f"{name} has shown its secret")
    return daemon.text(log).splitlines()


def handed(daemon: Daemon) -> list[str]:
    """Return the directories of secrets that exist."""
    base = daemon.dir / "run/credentials"
    return sorted(os.listdir(base)) if base.exists() else []


@pytest.mark.parametrize(
    "user", [None, pytest.param("nobody", marks=needs_root)], ids=["own", "another"]
)
def test_the_program_can_read_its_secret(daemons: Daemons, user: str | None) -> None:
    """Also as a user who cannot read the source; nobody else can enter the directory."""
    daemon = prepared(daemons)
    options = {"user": user} if user else {}
    credentials = {"db": "secret", "also": "secret"}
    daemon.configure(program("web", SHOWS, startsecs=0, credentials=credentials, **options))
    daemon.start()
    uid = pwd.getpwnam(user).pw_uid if user else os.geteuid()
    assert shown(daemon, "web") == [
        SECRET.strip(), f"400:{uid}", f"700:{uid}", "also", "db", "done",
    ]  # fmt: skip
    base = (daemon.dir / "run/credentials").stat()
    assert base.st_mode & 0o777 == 0o711
    assert base.st_uid == os.geteuid()


def test_it_is_gone_with_the_run(daemons: Daemons) -> None:
    """Each run has a copy of its own, of what the source holds then."""
    daemon = prepared(daemons)
    daemon.configure(program("web", SHOWS, startsecs=0, credentials={"db": "secret"}))
    daemon.start()
    shown(daemon, "web")
    assert handed(daemon) == [str(daemon.status("web")["run"])]
    (daemon.dir / "secret").chmod(0o600)
    (daemon.dir / "secret").write_text("another\n")
    daemon.ctl("restart", "web")
    wait_until(lambda: "another\n" in daemon.text("log/web.stdout.log"), what="the new secret")
    assert handed(daemon) == [str(daemon.status("web")["run"])]
    daemon.ctl("stop", "web")
    assert handed(daemon) == []


def test_it_is_gone_after_every_kind_of_end(daemons: Daemons) -> None:
    """A crash, a failed start, and what it left behind itself."""
    daemon = prepared(daemons)
    options = {"credentials": {"db": "secret"}, "startretries": 0}
    daemon.configure(
        program("crash", sh("kill -9 $$"), **options)
        + program("missing", ["no-such-command"], **options)
        + program("fork", sh("setsid sleep 100000 & exit 3"), **options)
    )
    daemon.start()
    for name in ("crash", "missing", "fork"):
        daemon.wait_state(name, "FATAL")
    wait_until(lambda: not handed(daemon), what="all secrets are gone")


def test_the_next_daemon_removes_what_is_over(daemons: Daemons) -> None:
    """After a kill -9 of the daemon; what a live run has been given stays."""
    daemon = prepared(daemons)
    secret = {"db": "secret"}
    daemon.configure(
        program("stays", SHOWS, startsecs=0, credentials=secret)
        + program("ends", SHOWS, startsecs=0, credentials=secret, autorestart=False)
    )
    daemon.start()
    shown(daemon, "stays")
    shown(daemon, "ends")
    stays, ends = daemon.status("stays"), daemon.status("ends")
    assert handed(daemon) == sorted([str(stays["run"]), str(ends["run"])])
    daemon.signal(signal.SIGKILL)
    daemon.wait_exit()
    os.kill(ends["pid"], signal.SIGKILL)
    stranger = daemon.dir / "run/credentials/999999"
    stranger.mkdir()
    (stranger / "old").write_text(SECRET)
    daemon.start()
    daemon.wait_state("ends", "EXITED")
    assert handed(daemon) == [str(stays["run"])]
    assert daemon.status("stays")["pid"] == stays["pid"]


@pytest.mark.parametrize("kind", ["missing", "fifo", "folder", "device", "hard link", "large"])
def test_a_source_that_cannot_be_used_is_a_failed_start(daemons: Daemons, kind: str) -> None:
    """Its path and the reason are told, nothing of it is handed over."""
    daemon = prepared(daemons)
    source = daemon.dir / "source"
    if kind == "fifo":
        os.mkfifo(source)
    elif kind == "folder":
        source.mkdir()
    elif kind == "hard link":
        (daemon.dir / "precious").write_text(SECRET)
        os.link(daemon.dir / "precious", source)
    elif kind == "large":
        with source.open("wb") as file:
            file.truncate(read.MAX_BYTES + 1)
    elif kind == "device":
        source = Path("/dev/zero")
    credentials = {"a-good-one": "secret", "db": str(source)}
    daemon.configure(program("web", SLEEPER, startretries=0, credentials=credentials))
    reason = daemon.start().wait_state("web", "FATAL")["reason"]
    cause = {
        "missing": "No such file or directory",
        "hard link": "it has a second name (a hard link)",
        "large": "it is larger than 1 MB",
    }.get(kind, "it is no regular file")
    assert f'cannot hand over the credential db from "{source}": {cause}' in reason
    assert handed(daemon) == []


def test_links_of_ours_are_followed(tmp_path: Path) -> None:
    """Relative, absolute, and in the middle of a path: how rotated secrets are laid out."""
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1/token").write_text("one")
    (tmp_path / "current").symlink_to("v1")
    (tmp_path / "token").symlink_to("current/../current/token")
    (tmp_path / "absolute").symlink_to(tmp_path / "token")
    for name in ("token", "absolute", "current/token"):
        assert read_secret(f"{tmp_path}/{name}") == b"one"
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="Too many levels"):
        read_secret(f"{tmp_path}/loop")


@needs_root
@pytest.mark.parametrize("where", ["last", "middle"])
def test_links_of_others_are_not_followed(tmp_path: Path, where: str) -> None:
    """Whoever may write where a secret is expected does not get a file of root that way."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root/shadow").write_text(SECRET)
    link = tmp_path / ("shadow" if where == "last" else "folder")
    link.symlink_to("root/shadow" if where == "last" else "root")
    os.chown(link, 65534, 65534, follow_symlinks=False)
    with pytest.raises(PermissionError) as caught:
        read_secret(str(link if where == "last" else link / "shadow"))
    assert caught.value.strerror == f'the link "{link}" belongs to uid 65534 and is not followed'


def test_what_a_program_leaves_in_the_directory_is_removed(tmp_path: Path) -> None:
    """Files, folders and links; what the links lead to stays."""
    credentials = Credentials(str(tmp_path))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("precious")
    place = Path(credentials.provide(1, [], os.geteuid(), os.getegid()))
    (place / "deep/er").mkdir(parents=True)
    (place / "deep/er/file").write_text("x")
    (place / "link").symlink_to(outside)
    (place / "deep/link").symlink_to(outside / "file")
    assert credentials.remove(1) == ""
    assert not place.exists()
    assert (outside / "file").read_text() == "precious"


@pytest.mark.parametrize("folder", ["", "deep/er"])
def test_a_directory_that_was_filled_is_emptied_in_parts(tmp_path: Path, folder: str) -> None:
    """Who makes a million files there does not keep the daemon from everything else."""
    credentials = Credentials(str(tmp_path))
    place = Path(credentials.provide(1, [], os.geteuid(), os.getegid()))
    (place / folder).mkdir(parents=True, exist_ok=True)
    for number in range(2000):
        (place / folder / str(number)).touch()
    steps = []
    while place.exists():
        assert credentials.remove(1) == ""
        steps.append(len(os.listdir(place / folder)) if (place / folder).exists() else 0)
    assert steps[0] > 1500, "one call removes a part of them"
    assert steps == sorted(steps, reverse=True)
    assert credentials.unfinished == set()


def test_endless_folders_do_not_take_the_descriptors_of_the_daemon(tmp_path: Path) -> None:
    """What lies too deep is left, and said."""
    credentials = Credentials(str(tmp_path))
    place = Path(credentials.provide(1, [], os.geteuid(), os.getegid()))
    place.joinpath(*["x"] * 200).mkdir(parents=True)
    assert credentials.remove(1).startswith(f'cannot remove the credentials "{place}": ')
    assert place.exists()


def test_a_directory_of_somebody_else_is_not_used(daemons: Daemons) -> None:
    """A link in place of ours leads nowhere."""
    daemon = prepared(daemons)
    (daemon.dir / "run").mkdir(mode=0o755)
    (daemon.dir / "elsewhere").mkdir()
    (daemon.dir / "run/credentials").symlink_to(daemon.dir / "elsewhere")
    daemon.configure(program("web", SLEEPER, startretries=0, credentials={"db": "secret"}))
    assert "is not ours alone" in daemon.start().wait_state("web", "FATAL")["reason"]
    assert not list((daemon.dir / "elsewhere").iterdir())
