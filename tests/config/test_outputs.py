"""Where output goes, and that no two streams share a file."""

from __future__ import annotations

import os

import pytest

from supervisor_lite.model.output import Output
from tests.config.conftest import Folder, unprivileged

A = '[program.a]\ncommand = "x"\n'
B = '[program.b]\ncommand = "x"\n'


def test_auto_is_named_after_the_process_in_log_dir(folder: Folder) -> None:
    text = '[daemon]\nlog_dir = "log"\n' + A + B + '[group.g]\nprograms = ["b"]\n'
    a, b = folder.processes(text)
    assert a.stdout.path == f"{folder.path}/log/a.stdout.log"
    assert a.stderr.path == f"{folder.path}/log/a.stderr.log"
    assert b.stdout.path == f"{folder.path}/log/g.b.stdout.log"
    assert not os.path.exists(f"{folder.path}/log")


@pytest.mark.parametrize("word", ["none", "NONE", "off"])
def test_none_keeps_nothing(folder: Folder, word: str) -> None:
    assert folder.process(f'{A}stdout_logfile = "{word}"\n').stdout == Output()


def test_syslog_keeps_no_file(folder: Folder) -> None:
    assert folder.process(f'{A}stdout_logfile = "syslog"\n').stdout == Output(syslog=True)


def test_a_path_is_relative_to_the_file_and_expanded(folder: Folder) -> None:
    (folder.path / "log").mkdir()
    text = f'{A}stdout_logfile = "log/../log/%(program_name)s.log"\n'
    assert folder.process(text).stdout.path == f"{folder.path}/log/a.log"


def test_a_file_with_the_name_of_a_word_needs_a_slash(folder: Folder) -> None:
    assert folder.process(f'{A}stdout_logfile = "./auto"\n').stdout.path == f"{folder.path}/auto"


def test_redirected_stderr_has_no_file_of_its_own(folder: Folder) -> None:
    text = f'{A}redirect_stderr = true\nstderr_logfile = "err.log"\n'
    configuration = folder.load(text)
    (process,) = configuration.plan.processes()
    assert process.stderr == Output()
    assert configuration.warnings == (
        "supervisor.toml:4: program.a.stderr_logfile: has no effect with redirect_stderr = true",
    )


def test_devices_are_shared_and_never_rotated(folder: Folder) -> None:
    text = f'{A}stdout_logfile = "/dev/stdout"\nstderr_logfile = "/dev/stdout"\n'
    text += f'{B}stdout_logfile = "/dev/stdout"\nstdout_logfile_maxbytes = 0\n'
    configuration = folder.load(text)
    a, b = configuration.plan.processes()
    assert a.stdout == a.stderr == b.stdout == Output(path="/dev/stdout", maxbytes=0)
    assert configuration.warnings == ()


def test_rotating_a_device_is_a_warning(folder: Folder) -> None:
    text = f'{A}stdout_logfile = "/dev/stdout"\nstdout_logfile_maxbytes = "1MB"\n'
    configuration = folder.load(text)
    (process,) = configuration.plan.processes()
    assert process.stdout.maxbytes == 0
    assert configuration.warnings == (
        "supervisor.toml:4: program.a.stdout_logfile_maxbytes: has no effect: /dev/stdout is no "
        "regular file and is never rotated",
    )


def test_a_file_in_shared_memory_is_a_file(folder: Folder) -> None:
    """/dev/shm is a place for files, and the one where a log that is not rotated hurts most."""
    text = f'{A}stdout_logfile = "/dev/shm/a.log"\nstdout_logfile_maxbytes = "1MB"\n'
    configuration = folder.load(text)
    (process,) = configuration.plan.processes()
    assert process.stdout.maxbytes == 1 << 20
    assert configuration.warnings == ()


def test_a_pipe_is_not_rotated_and_may_be_shared(folder: Folder) -> None:
    os.mkfifo(folder.path / "pipe")
    a, b = folder.processes(f'{A}stdout_logfile = "pipe"\n{B}stdout_logfile = "pipe"\n')
    assert a.stdout == b.stdout == Output(path=f"{folder.path}/pipe", maxbytes=0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            f'{A}stdout_logfile = "x.log"\nstderr_logfile = "./x.log"\n',
            'supervisor.toml:4: program.a.stderr_logfile: stdout of "a" and stderr of "a" write '
            "to one file, DIR/x.log; use redirect_stderr = true for that",
        ),
        (
            f'{A}stdout_logfile = "x.log"\n{B}stderr_logfile = "x.log"\n',
            'supervisor.toml:6: program.b.stderr_logfile: stdout of "a" and stderr of "b" write '
            "to one file, DIR/x.log",
        ),
        (
            f'{A}stdout_logfile = "x.log"\n{B}stderr_logfile = "link/x.log"\n',
            'supervisor.toml:6: program.b.stderr_logfile: stdout of "a" and stderr of "b" write '
            "to one file, DIR/link/x.log",
        ),
        (
            f'{A}numprocs = 100\nprocess_name = "a%(process_num)d"\nstdout_logfile = "x.log"\n',
            'supervisor.toml:5: program.a.stdout_logfile: stdout of "a:a0" and stdout of "a:a1" '
            "write to one file, DIR/x.log; put %(process_num)d into its name",
        ),
        (
            f'{A}stdout_logfile = "x.log"\n[group.g]\nprograms = ["a"]\n[group.h]\n'
            'programs = ["a"]\n',
            'supervisor.toml:3: program.a.stdout_logfile: stdout of "g:a" and stdout of "h:a" '
            "write to one file, DIR/x.log; put %(group_name)s into its name",
        ),
        (
            f'{A}stdout_logfile = "x.log"\n{B}stdout_logfile = "x.log.10"\n',
            'supervisor.toml:6: program.b.stdout_logfile: stdout of "b" writes to DIR/x.log.10, '
            'where stdout of "a" keeps a rotated log',
        ),
        (
            f'[daemon]\nlogfile = "d.log"\n{A}stdout_logfile = "d.log"\n',
            'supervisor.toml:5: program.a.stdout_logfile: the daemon and stdout of "a" write to '
            "one file, DIR/d.log",
        ),
        (
            f'[daemon]\nlogfile = "d.log.1"\n{A}stdout_logfile = "d.log"\n',
            "supervisor.toml:5: program.a.stdout_logfile: the daemon writes to DIR/d.log.1, where "
            'stdout of "a" keeps a rotated log',
        ),
        (
            '[daemon]\nlog_dir = "."\n[program."a.b"]\ncommand = "x"\n[program.b]\ncommand = "x"\n'
            '[group.a]\nprograms = ["b"]\n',
            'supervisor.toml:3: program."a.b".stdout_logfile: stdout of "a:b" and stdout of "a.b" '
            "write to one file, DIR/a.b.stdout.log",
        ),
        (
            f'{A}stdout_logfile = "x.log"\n{B}stdout_logfile = "x.link"\n',
            'supervisor.toml:6: program.b.stdout_logfile: stdout of "a" and stdout of "b" write '
            "to one file, DIR/x.link",
        ),
        (
            f'{A}stdout_logfile = "link/supervisor.toml"\n',
            "supervisor.toml:3: program.a.stdout_logfile: cannot write DIR/link/supervisor.toml: "
            "it is a file of the configuration",
        ),
        (
            f'[daemon]\nstate_dir = "s"\n{A}stderr_logfile = "s/journal.db"\n',
            "supervisor.toml:5: program.a.stderr_logfile: cannot write DIR/s/journal.db: "
            "it is a file of the daemon's own",
        ),
        (
            f'[daemon]\npidfile = "x.pid"\n{A}stderr_logfile = "x.pid"\n',
            "supervisor.toml:5: program.a.stderr_logfile: cannot write DIR/x.pid: "
            "it is the daemon's pid file",
        ),
        (
            f'[daemon]\nsocket = "x.sock"\n{A}stderr_logfile = "x.sock"\n',
            "supervisor.toml:5: program.a.stderr_logfile: cannot write DIR/x.sock: "
            "it is the control socket",
        ),
        (
            '[daemon]\npidfile = "supervisor.toml"\n',
            "supervisor.toml:2: daemon.pidfile: cannot use DIR/supervisor.toml: "
            "it is the configuration",
        ),
        (
            '[daemon]\nsocket = "x"\npidfile = "x"\n',
            "supervisor.toml:3: daemon.pidfile: cannot use DIR/x: it is the socket",
        ),
        (
            '[daemon]\nlogfile = "x"\npidfile = "x"\n',
            "supervisor.toml:2: daemon.logfile: cannot use DIR/x: it is the pidfile",
        ),
        (
            f'{A}stdout_logfile = "missing/x.log"\n',
            "supervisor.toml:3: program.a.stdout_logfile: there is no directory DIR/missing",
        ),
        (
            f'{A}stdout_logfile = "link"\n',
            "supervisor.toml:3: program.a.stdout_logfile: cannot write DIR/link: it is a directory",
        ),
        (
            f'{A}stdout_logfile = "supervisor.toml/x.log"\n',
            "supervisor.toml:3: program.a.stdout_logfile: DIR/supervisor.toml is not a directory",
        ),
    ],
)
def test_logs_that_cannot_be_written_are_wrong(folder: Folder, text: str, complaint: str) -> None:
    (folder.path / "link").symlink_to(folder.path)
    (folder.path / "x.link").symlink_to("x.log")
    assert complaint.replace("DIR", str(folder.path)) in folder.complaints(text)


def test_beyond_the_backups_a_name_is_free(folder: Folder) -> None:
    text = f'{A}stdout_logfile = "x.log"\nstdout_logfile_backups = 2\n'
    text += f'{B}stdout_logfile = "x.log.3"\n'
    assert len(folder.processes(text)) == 2
    text = f'{A}stdout_logfile = "x.log"\nstdout_logfile_maxbytes = 0\n'
    text += f'{B}stdout_logfile = "x.log.1"\n'
    assert len(folder.processes(text)) == 2


def test_a_directory_that_the_daemon_makes_need_not_exist(folder: Folder) -> None:
    text = f'[daemon]\nlog_dir = "log"\n{A}stdout_logfile = "log/x.log"\n'
    assert folder.process(text).stdout.path == f"{folder.path}/log/x.log"


def test_a_directory_without_permission_to_write_is_wrong(public: Folder) -> None:
    (public.path / "etc/log").mkdir(parents=True)
    for name in ("etc/log", "etc"):
        (public.path / name).chmod(0o555)
    text = f'[daemon]\nlog_dir = "etc/new"\n{A}stdout_logfile = "etc/log/x"\n'
    public.write("supervisor.toml", text)
    with unprivileged():
        complaints = public.complaints()
    (public.path / "etc").chmod(0o755)
    assert complaints == [
        f"supervisor.toml:2: daemon.log_dir: no permission to write in {public.path}/etc",
        "supervisor.toml:5: program.a.stdout_logfile: no permission to write in "
        f"{public.path}/etc/log",
    ]
