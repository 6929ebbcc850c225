"""Several projects of one user in default directories, and where their daemons are found.

The user is nobody, with directories of their own: root's default ones are the machine's.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import environment_of
from tests.elsewhere import copy_packages, python_for
from tests.programs import SLEEPER, program
from tests.support import Daemons, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")

NOBODY = pwd.getpwnam("nobody").pw_uid

SLCTL = "import sys; from supervisor_lite.ctl.main import main; sys.exit(main())"


class User:
    """Somebody with a login, and a project in each of two directories."""

    def __init__(self, place: Path, mark: str) -> None:
        self.place = place
        self.mark = mark
        self.python = python_for(NOBODY)
        self.login = place / "login"
        copy_packages(place / "packages")
        for name in ("a", "b", "login", "other"):
            (place / name).mkdir()
            if len(name) == 1:
                self.config(name).write_text(program(name, SLEEPER, startsecs=0))
        for path in (place, *place.glob("*"), *place.glob("?/*")):
            os.chown(path, NOBODY, NOBODY)

    def config(self, project: str) -> Path:
        return self.place / project / "supervisor.toml"

    def run(
        self, project: str, *words: str, login: str = "login"
    ) -> subprocess.CompletedProcess[str]:
        """Run Python in the directory of a project."""
        environment = environment_of(
            self.mark, PYTHONPATH=str(self.place / "packages"), PWD=str(self.place / project),
            XDG_RUNTIME_DIR=str(self.place / login), XDG_STATE_HOME=str(self.place / "home"),
            XDG_CONFIG_HOME=str(self.place / "config"),
        )  # fmt: skip
        become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        return subprocess.run(
            [*become, self.python, *words], cwd=self.place / project, env=environment,
            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self, project: str, login: str = "login") -> subprocess.CompletedProcess[str]:
        done = self.run(project, "-m", "supervisor_lite", "--daemonize", login=login)
        assert done.returncode == 0, done
        return done

    def ctl(
        self, project: str, *words: str, code: int = 0, login: str = "login"
    ) -> subprocess.CompletedProcess[str]:
        done = self.run(project, "-c", SLCTL, *words, login=login)
        assert done.returncode == code, done
        return done

    def ctl_soon(self, project: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run slctl until it reaches the daemon."""
        wait_until(lambda: self.run(project, "-c", SLCTL, "status").returncode == 0)
        return self.ctl(project, *words)

    def names(self, project: str, login: str = "login") -> list[str]:
        """Return what the daemon runs that this project's slctl reaches."""
        said = self.ctl(project, "status", "--json", login=login).stdout
        return [process["name"] for process in json.loads(said)["processes"]]


@pytest.fixture
def user(daemons: Daemons) -> Iterator[User]:
    daemon = daemons.prepare()  # its directory, and an end for whatever carries its mark
    yield User(daemon.dir, str(daemon.dir))
    wait_until(daemon._kill_all)


def test_two_projects_side_by_side(user: User) -> None:
    """Nothing is configured for it; each slctl reaches its own daemon, and no other, ever."""
    said = user.start("a").stderr
    assert "loginctl enable-linger nobody" in said
    for words in (["shutdown"], ["status"], ["stop", "all"], ["shutdown", "--leave-running"]):
        refused = user.ctl("b", *words, code=2)
        assert str(user.config("a")) in refused.stderr
        assert str(user.config("b")) in refused.stderr
    for _ in range(2):
        user.start("b")
        assert user.names("a") == ["a"]
        assert user.names("b") == ["b"]
        again = user.run("b", "-m", "supervisor_lite")
        assert again.returncode == 1
        assert str(user.config("b")) in again.stderr
        user.ctl("b", "shutdown")
        assert user.names("a") == ["a"]
    user.ctl("a", "shutdown")
    user.ctl("a", "status", code=4)


def test_a_daemon_that_is_given_another_configuration_refuses(user: User) -> None:
    """Both use the same socket, as they say; a link to the same file is the same, and -s is."""
    user.start("a")
    socket = user.login / "supervisor-lite" / "supervisor.sock"
    own = user.config("b").read_text()
    user.config("b").write_text(f'[daemon]\nsocket = "{socket}"\n\n{own}')
    for words in (["shutdown"], ["status"]):
        refused = user.ctl("b", *words, code=2)
        assert f'runs with "{user.config("a")}"' in refused.stderr
        assert f'has found "{user.config("b")}"' in refused.stderr
    user.config("b").unlink()
    user.config("b").symlink_to(user.config("a"))
    assert user.names("b") == ["a"]
    user.ctl("b", "-s", str(socket), "shutdown")


def test_a_project_that_was_moved_keeps_its_directories(user: User) -> None:
    """The first one that uses them has the plain ones, unless it is no more."""
    user.start("a")
    user.ctl("a", "shutdown")
    (user.place / "a").rename(user.place / "c")
    user.start("c")
    assert user.names("c") == ["a"]
    assert (user.place / "home/supervisor-lite/journal.db").exists()
    assert "STOPPED" in user.ctl("c", "events").stdout
    user.ctl("c", "shutdown")
    assert [path.name for path in (user.place / "home").iterdir()] == ["supervisor-lite"]


def test_a_daemon_that_was_started_in_another_environment_is_found(user: User) -> None:
    """As by cron, which has another XDG_RUNTIME_DIR, or none: the state directory knows."""
    user.start("a", login="other")
    assert user.names("a") == ["a"]
    shutil.rmtree(user.place / "other")
    wait_until(lambda: user.run("a", "-c", SLCTL, "shutdown").returncode == 0)
    user.ctl("a", "status", code=4)


def test_a_login_directory_that_the_user_cannot_make_anew(user: User) -> None:
    """As after the last logout without linger: what should run, runs, and the daemon is found.

    After the next login everything is where it was.
    """
    user.config("a").write_text(
        program("a", ["sh", "-c", "echo hello; exec sleep 10000"], startsecs=0)
    )
    user.start("a")
    pid = int(user.ctl("a", "pid").stdout)
    os.chown(user.place, 0, 0)
    shutil.rmtree(user.login)
    old = last = int(user.ctl_soon("a", "pid", "a").stdout)
    os.kill(old, 9)

    def replaced() -> bool:
        nonlocal last
        said = user.run("a", "-c", SLCTL, "pid", "a").stdout.strip()
        last = int(said) if said.isdigit() else old
        return last not in (0, old)

    wait_until(replaced)
    for words in (["restart", "a"], ["stop", "a"], ["start", "a"]):
        user.ctl("a", *words)
    log = user.place / "home/supervisor-lite/log/a.stdout.log"
    wait_until(lambda: log.read_text().count("hello") == 4)
    assert "FATAL" not in user.ctl("a", "events").stdout
    user.login.mkdir()
    os.chown(user.login, NOBODY, NOBODY)
    socket = user.login / "supervisor-lite" / "supervisor.sock"
    wait_until(socket.exists, 30)
    user.ctl("a", "restart", "a")
    wait_until(lambda: log.read_text().count("hello") == 5)
    assert list((user.login / "supervisor-lite/fifo").iterdir())
    assert int(user.ctl("a", "pid").stdout) == pid
    user.ctl("a", "shutdown")


def test_a_socket_that_is_gone_has_a_way_out(user: User) -> None:
    """A daemon that is stopped cannot make it anew: what to do is said."""
    user.start("a")
    pid = int(user.ctl("a", "pid").stdout)
    os.kill(pid, 19)
    try:
        (user.login / "supervisor-lite/supervisor.sock").unlink()
        lost = user.ctl("a", "status", code=4)
    finally:
        os.kill(pid, 18)
    assert f"kill -HUP {pid}" in lost.stderr
    wait_until(lambda: user.run("a", "-c", SLCTL, "shutdown").returncode == 0)
