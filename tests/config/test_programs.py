"""From tables to processes: numbers, names, groups, expansions, shared values."""

from __future__ import annotations

import contextlib
import os
import pwd
import time

import pytest

from supervisor_lite.errors import ConfigError
from supervisor_lite.model.output import Output
from supervisor_lite.model.plan import Group
from supervisor_lite.model.program import Leftovers, Program, Stdin
from supervisor_lite.model.restart import AutoRestart, Backoff, BackoffKind, RestartLimit
from tests.config.conftest import Folder

ME = pwd.getpwuid(os.geteuid()).pw_name


def test_a_program_of_one_line_has_every_default(folder: Folder) -> None:
    plan = folder.load('[daemon]\nlog_dir = "log"\n[program.web]\ncommand = "x -y"\n').plan
    log = str(folder.path / "log/web")
    process = Program(
        name="web",
        group="web",
        program="web",
        command=("x", "-y"),
        stdout=Output(path=f"{log}.stdout.log"),
        stderr=Output(path=f"{log}.stderr.log"),
    )
    assert dict(plan.groups) == {"web": Group(name="web", processes=(process,))}


def test_the_example_of_the_design(folder: Folder) -> None:
    text = f"""\
[daemon]
runtime_dir = "run"
state_dir   = "state"
log_dir     = "log"
include     = ["conf.d/*.toml"]
log_level = "info"
log_format = "console"
umask = "022"
environment = {{}}
identifier = "supervisor"
minfds = 1024

[program.web]
command = "gunicorn app:app"
directory = "/srv/app"
user = "{ME}"
umask = "022"
environment = {{ PORT = "80%(process_num)02d" }}
numprocs = 4
process_name = "%(program_name)s_%(process_num)d"
autostart = true
autorestart = "unexpected"
exitcodes = [0]
startsecs = 1
startretries = 3
priority = 999
stopsignal = "TERM"
stopwaitsecs = 10
stopasgroup = false
killasgroup = false
leftovers = "kill"
stdin = "null"
redirect_stderr = false
stdout_logfile = "auto"
stdout_logfile_maxbytes = "50MB"
stdout_logfile_backups = 10

[program.worker]
command = "celery"

[group.site]
programs = ["web", "worker"]
priority = 10
"""
    configuration = folder.load(text)
    assert list(configuration.plan.groups) == ["site"]
    site = configuration.plan.groups["site"]
    assert site.priority == 10
    assert [p.fullname for p in site.processes] == [
        *(f"site:web_{number}" for number in range(4)),
        "site:worker",
    ]
    assert site.processes[2] == Program(
        name="web_2",
        group="site",
        program="web",
        command=("gunicorn", "app:app"),
        directory="/srv/app",
        user=ME,
        umask=0o022,
        environment={"PORT": "8002"},
        priority=999,
        autostart=True,
        autorestart=AutoRestart.UNEXPECTED,
        exitcodes=(0,),
        startsecs=1.0,
        startretries=3,
        stopsignal="TERM",
        stopwaitsecs=10.0,
        stopasgroup=False,
        killasgroup=False,
        leftovers=Leftovers.KILL,
        stdin=Stdin.NULL,
        redirect_stderr=False,
        stdout=Output(
            path=f"{folder.path}/log/site.web_2.stdout.log", maxbytes=50 << 20, backups=10
        ),
        stderr=Output(path=f"{folder.path}/log/site.web_2.stderr.log"),
    )


def test_every_key_reaches_its_field(folder: Folder) -> None:
    process = folder.process(
        f"""\
[program.web]
command = ["x", "a b", "", 8080]
directory = "srv"
user = "{ME}"
umask = 0o27
environment = {{ A = "1", N = 2, B = true }}
priority = -1
autostart = false
autorestart = true
exitcodes = [0, 2]
startsecs = "1m"
startretries = 0
stopsignal = "SIGINT"
stopwaitsecs = 0.5
stopasgroup = true
leftovers = "keep"
stdin = "pipe"
redirect_stderr = true
stdout_logfile = "web.log"
stdout_logfile_maxbytes = "1MB"
stdout_logfile_backups = 0
stdout_syslog = true
backoff = "exponential"
backoff_max = "1m"
backoff_jitter = 0.1
restart_limit = "5/10m"
restart_limit_action = "1h"
serverurl = "unix:///x"
"""
    )
    assert process == Program(
        name="web",
        group="web",
        program="web",
        command=("x", "a b", "", "8080"),
        directory=str(folder.path / "srv"),
        user=ME,
        umask=0o27,
        environment={"A": "1", "N": "2", "B": "true"},
        priority=-1,
        autostart=False,
        autorestart=AutoRestart.ALWAYS,
        exitcodes=(0, 2),
        startsecs=60.0,
        startretries=0,
        stopsignal="INT",
        stopwaitsecs=0.5,
        stopasgroup=True,
        killasgroup=True,
        leftovers=Leftovers.KEEP,
        stdin=Stdin.PIPE,
        redirect_stderr=True,
        stdout=Output(path=str(folder.path / "web.log"), maxbytes=1 << 20, backups=0, syslog=True),
        stderr=Output(),
        backoff=Backoff(kind=BackoffKind.EXPONENTIAL, max=60.0, jitter=0.1),
        restart_limit=RestartLimit(restarts=5, window=600.0, cooldown=3600.0),
        serverurl="unix:///x",
    )


def test_killasgroup_alone_is_allowed(folder: Folder) -> None:
    process = folder.process('[program.a]\ncommand = "x"\nkillasgroup = true\n')
    assert (process.stopasgroup, process.killasgroup) == (False, True)


def test_numbers_begin_where_they_are_told(folder: Folder) -> None:
    text = """\
[program.web]
command = "x --port 80%(process_num)02d --of %(numprocs)d"
numprocs = 3
numprocs_start = 8
process_name = "%(program_name)s_%(process_num)02d"
"""
    processes = folder.processes(text)
    assert [(p.name, p.command[2]) for p in processes] == [
        ("web_08", "8008"),
        ("web_09", "8009"),
        ("web_10", "8010"),
    ]
    assert {p.command[4] for p in processes} == {"3"}
    assert {p.group for p in processes} == {"web"}


def test_no_processes_is_an_empty_group(folder: Folder) -> None:
    plan = folder.load('[program.web]\ncommand = "x"\nnumprocs = 0\npriority = 5\n').plan
    assert dict(plan.groups) == {"web": Group(name="web", priority=5)}


def test_a_program_of_its_own_gives_its_group_its_priority(folder: Folder) -> None:
    text = '[program.web]\ncommand = "x"\npriority = 5\n'
    assert folder.load(text).plan.groups["web"].priority == 5


def test_a_program_in_two_groups_runs_in_both(folder: Folder) -> None:
    text = """\
[program.web]
command = "x --group %(group_name)s"
[group.a]
programs = ["web"]
[group.b]
programs = ["web"]
"""
    processes = folder.processes(text)
    assert [(p.fullname, p.command[2]) for p in processes] == [("a:web", "a"), ("b:web", "b")]
    assert processes[0].stdout.path != processes[1].stdout.path


def test_a_group_may_have_the_name_of_its_program(folder: Folder) -> None:
    text = '[program.web]\ncommand = "x"\n[group.web]\nprograms = ["web"]\n'
    assert folder.process(text).fullname == "web"


def test_variables_come_from_the_nearest_environment(folder: Folder) -> None:
    text = """\
[daemon]
environment = { B = "daemon", C = "daemon %(ENV_A)s", D = "%(here)s" }
[program.web]
command = "%(ENV_A)s %(ENV_B)s %(ENV_C)s"
environment = { C = "own %(ENV_C)s" }
"""
    process = folder.process(text, {"A": "outer", "B": "outer", "C": "outer"})
    assert process.command == ("outer", "daemon", "own", "daemon", "outer")
    assert process.environment == {
        "B": "daemon",
        "C": "own daemon outer",
        "D": str(folder.path),
    }


def test_a_command_is_expanded_and_then_split(folder: Folder) -> None:
    text = "[program.web]\ncommand = \"%(ENV_CMD)s 'a %(ENV_CMD)s' 5%%\"\n"
    assert folder.process(text, {"CMD": "x -y"}).command == ("x", "-y", "a x -y", "5%")
    text = '[program.web]\ncommand = ["%(ENV_CMD)s", "5%%"]\n'
    assert folder.process(text, {"CMD": "x -y"}).command == ("x -y", "5%")


def test_numbers_and_booleans_may_come_from_the_environment(folder: Folder) -> None:
    text = """\
[program.web]
command = "x"
numprocs = "%(ENV_N)s"
process_name = "w%(process_num)d"
autostart = "%(ENV_YES)s"
autorestart = "%(ENV_YES)s"
startsecs = "%(ENV_N)s"
exitcodes = ["%(ENV_N)s", 0]
stdout_logfile_maxbytes = "%(ENV_N)sMB"
"""
    first, second = folder.processes(text, {"N": "2", "YES": "off"})
    assert (first.name, second.name) == ("w0", "w1")
    assert first.autostart is False
    assert first.autorestart is AutoRestart.NEVER
    assert first.startsecs == 2
    assert first.exitcodes == (2, 0)
    assert first.stdout.maxbytes == 2 << 20


def test_here_is_the_directory_of_the_file_it_stands_in(folder: Folder) -> None:
    folder.write("conf.d/web.toml", '[program.web]\ncommand = "%(here)s/run"\ndirectory = "app"\n')
    process = folder.process("[daemon]\n")
    assert process.command == (f"{folder.path}/conf.d/run",)
    assert process.directory == f"{folder.path}/conf.d/app"


def test_the_host_name_is_known_everywhere(folder: Folder) -> None:
    host = os.uname().nodename
    text = '[daemon]\nidentifier = "%(host_node_name)s"\n'
    assert folder.load(text).settings.identifier == host
    assert folder.process('[program.a]\ncommand = "%(host_node_name)s"\n').command == (host,)


def test_a_home_is_expanded(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert folder.process('[program.a]\ncommand = "x"\ndirectory = "~/app"\n').directory == (
        "/home/me/app"
    )


def test_a_name_with_a_percent_sign_is_only_a_name(folder: Folder) -> None:
    process = folder.process("[program.'50%']\ncommand = '%(program_name)s'\n")
    assert (process.name, process.command) == ("50%", ("50%",))


def test_equal_values_are_one_object(folder: Folder) -> None:
    folder.write(
        "conf.d/web.toml",
        '[program.a]\ncommand = "x y"\ndirectory = "/srv"\nenvironment = { A = "1" }\n'
        '[program.b]\ncommand = "x y"\ndirectory = "/srv"\nenvironment = { A = "1" }\n'
        '[program.c]\ncommand = "x y"\nstdout_logfile = "none"\n'
        '[program.d]\ncommand = "x y"\nstdout_logfile = "none"\n',
    )
    a, b, c, d = folder.processes('[daemon]\nenvironment = { X = "1" }\n')
    assert a.command is b.command
    assert a.directory is b.directory
    assert a.environment is b.environment
    assert c.environment is d.environment
    assert c.stdout is d.stdout
    assert a.backoff is b.backoff


def test_a_relative_path_in_two_directories_is_two_paths(folder: Folder) -> None:
    folder.write("conf.d/b.toml", '[program.b]\ncommand = "x"\ndirectory = "app"\n')
    a, b = folder.processes('[program.a]\ncommand = "x"\ndirectory = "app"\n')
    assert (a.directory, b.directory) == (f"{folder.path}/app", f"{folder.path}/conf.d/app")


def test_the_time_to_load_grows_with_the_number_of_programs(folder: Folder) -> None:
    """Four times the programs take about four times as long, also when each is wrong."""

    def seconds(count: int, more: str) -> float:
        programs = (
            f'[program.web{number}]\ncommand = "x {number}"\n'
            f'stdout_logfile = "{number}.log"\n{more}'
            for number in range(count)
        )
        folder.write("supervisor.toml", "".join(programs))
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            with contextlib.suppress(ConfigError):
                folder.load()
            best = min(best, time.process_time() - start)
        return best

    for more in ("", "autostrat = true\n"):
        assert seconds(800, more) < 10 * seconds(200, more)
