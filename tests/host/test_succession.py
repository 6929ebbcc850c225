"""Whose word counts when a main process has ended: host/succession.py."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_lite.host.procfs import Stat, read_stat
from supervisor_lite.host.succession import successor
from supervisor_lite.host.users import believed
from tests.support import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")

OLD = 4_190_000
"""The pid of a main process that is gone."""


@pytest.fixture
def worker() -> Iterator[Stat]:
    """One of root's server that has become nobody and calls itself a master."""
    command = ["nginx: master process /usr/sbin/nginx", "1000"]
    environment = {"GUNICORN_PID": str(OLD)}
    with subprocess.Popen(
        command, executable="/bin/sleep", env=environment, user="nobody", start_new_session=True
    ) as process:
        title = Path(f"/proc/{process.pid}/cmdline")
        wait_until(lambda: title.read_bytes().startswith(b"nginx"))
        stat = read_stat(process.pid)
        assert stat is not None
        yield stat._replace(only_forked=False)
        process.kill()


def test_a_title_counts_if_the_user_of_the_program_gave_it(worker: Stat) -> None:
    """Else a worker would be the main process once it has killed, or outlived, the real one."""
    nobody = pwd.getpwnam("nobody").pw_uid
    assert successor(OLD, [worker], None, [os.getuid()]) is None
    assert successor(OLD, [worker], None, [os.getuid(), nobody]) == worker


def test_a_pid_file_counts_if_the_user_of_the_program_wrote_it(
    worker: Stat, tmp_path: Path
) -> None:
    """And not for being of the user of whom it names."""
    nobody = pwd.getpwnam("nobody").pw_uid
    file = tmp_path / "pid"
    file.write_text(f"{worker.pid}\n")
    assert successor(OLD, [worker], str(file), [os.getuid()]) == worker, "of root"
    os.chown(file, nobody, -1)
    assert successor(OLD, [worker], str(file), [os.getuid()]) is None
    assert successor(OLD, [worker], str(file), [os.getuid(), nobody]) == worker


def test_a_user_that_was_deleted_meanwhile_is_believed_no_more() -> None:
    """And does not keep the end of a program from being noticed, nor what it left."""
    assert believed("nobody") == [os.getuid(), pwd.getpwnam("nobody").pw_uid]
    assert believed("no-such-user") == [os.getuid()]
