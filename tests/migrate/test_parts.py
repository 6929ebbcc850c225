"""From Supervisor's file to ours: programs, groups, the daemon and its servers."""

from __future__ import annotations

import pytest
import tomli

from supervisor_lite.migrate import keys
from supervisor_lite.migrate.converter import convert
from supervisor_lite.model.restart import AutoRestart
from tests.config.conftest import Folder
from tests.migrate.converting import Converted, program

# commands


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (
            'sh -c "echo a ; echo b"',
            'is never closed (to Supervisor the rest is a comment: echo b")',
        ),
        ("x 'y", "never closed"),
        ("x \\", "backslash"),
        ('""', "names no program"),
        ("x %(nope)s", "no command"),
        ("", "names no program"),
    ],
)
def test_a_program_that_can_never_start_is_left_out(folder: Folder, command: str, why: str) -> None:
    found = Converted(folder, f"[group:g]\nprograms=x,y\n[program:x]\ncommand={command}\n"
                              "[program:y]\ncommand=z\n")  # fmt: skip
    assert list(found.data["program"]) == ["y"]
    assert found.data["group"]["g"]["programs"] == ["y"]
    assert found.configuration is not None
    assert found.said(why), found.lost
    assert "# [program:x] was left out" in found.text


def test_a_program_without_command_is_left_out(folder: Folder) -> None:
    assert "program" not in Converted(folder, "[program:x]\nstartsecs=1\n").data


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a/b", "x" * 101])
def test_a_name_that_cannot_be(folder: Folder, name: str) -> None:
    found = Converted(folder, f"[program:{name}]\ncommand=x\n[group:{name}]\nprograms=\n")
    assert "program" not in found.data
    assert "group" not in found.data
    assert len(found.lost) == 2


def test_odd_names_are_quoted(folder: Folder) -> None:
    found = Converted(folder, "[program: v1.2% ]\ncommand=%(program_name)s\n")
    assert list(found.data["program"]) == ["v1.2%"]
    assert found.configuration is not None
    (process,) = found.configuration.plan.processes()
    assert process.command == ("v1.2%",)


# programs with one log, or one name


def test_two_streams_in_one_file_become_redirect_stderr(folder: Folder) -> None:
    found = program(
        folder, "stdout_logfile=/tmp/x.log", "redirect_stderr=false",
        "stderr_logfile=/tmp/x.log", "stderr_logfile_maxbytes=0",
    )  # fmt: skip
    assert found["redirect_stderr"] is True
    assert found["stdout_logfile"] == "/tmp/x.log"
    assert not [key for key in found if key.startswith("stderr_")]


def test_processes_that_write_to_one_file_get_one_each(folder: Folder) -> None:
    found = Converted(
        folder,
        "[supervisord]\nlogfile=/tmp/all.log\n"
        "[group:g]\nprograms=both\n[group:h]\nprograms=both\n"
        "[program:many]\ncommand=x\nnumprocs=2\nprocess_name=p%(process_num)d\n"
        "stdout_logfile=/tmp/all.log\n"
        "[program:other]\ncommand=x\nstdout_logfile=/tmp/../tmp/all.log\n"
        "[program:third]\ncommand=x\nstdout_logfile=/tmp/%(program_name)s.log\n"
        "[program:fourth]\ncommand=x\nstdout_logfile=/tmp/third.log\n"
        "[program:rotated]\ncommand=x\nstdout_logfile=/tmp/third.log.1\n"
        "[program:both]\ncommand=x\nstdout_logfile=/tmp/both\n",
    )
    assert found.configuration is not None
    paths = [process.stdout.path for process in found.configuration.plan.processes()]
    assert len(set(paths)) == len(paths) == 8
    assert len(found.lost) == 5
    assert found.data["program"]["third"]["stdout_logfile"] == "/tmp/%(program_name)s.log"


def test_the_group_wins_over_a_program_of_its_name(folder: Folder) -> None:
    """Supervisor never runs such a program, unless it is in a group."""
    found = Converted(
        folder,
        "[group:a]\nprograms=b\n[group:b]\nprograms=b\n[program:a]\ncommand=x\n[program:b]\ncommand=x\n",
    )
    assert found.configuration is not None
    assert [p.fullname for p in found.configuration.plan.processes()] == ["a:b", "b"]
    assert found.said("[program:a]: has the name of [group:a], so Supervisor never runs it")


def test_what_groups_may_not_list(folder: Folder) -> None:
    found = Converted(
        folder,
        "[group:g]\nprograms = a , b,a,gone,\n[group: g]\nprograms=a\n[group:empty]\n"
        "[program:a]\ncommand=x\nprocess_name=same\n[program:b]\ncommand=x\nprocess_name=same\n"
        "[program: b]\ncommand=y\n",
    )
    assert found.data["group"] == {"g": {"programs": ["b"]}, "empty": {"programs": []}}
    assert list(found.data["program"]) == ["b"]
    assert found.configuration is not None


# the daemon


def test_minfds_is_inherited_by_supervisors_programs(folder: Folder) -> None:
    assert Converted(folder, "[supervisord]\nminfds=4096\n").said("minfds: programs do not inherit")
    assert not Converted(folder, "[supervisord]\nminfds=1024\n").said("minfds")


def test_relative_paths_are_told(folder: Folder) -> None:
    found = Converted(
        folder,
        "[supervisord]\nlogfile=log\ndirectory=/\n"
        "[program:x]\ncommand=y\nstdout_logfile=tmp/x.log\ndirectory=srv\n",
    )
    assert found.data["daemon"]["logfile"] == "/log"
    assert found.data["program"]["x"]["stdout_logfile"] == "/tmp/x.log"
    assert found.data["program"]["x"]["directory"] == "/srv"
    assert found.said("[supervisord] logfile: is relative to where Supervisor was started")


def test_a_log_named_none_is_a_file_for_the_daemon(folder: Folder) -> None:
    folder.write("etc/supervisord.conf", "[supervisord]\nlogfile=NONE\npidfile=x.pid\n")
    text = convert("etc/supervisord.conf", "etc").files["supervisor.toml"]
    assert tomli.loads(text)["daemon"] == {"logfile": "./NONE", "pidfile": "./x.pid"}
    converted = Converted(folder, "[supervisord]\nlogfile=syslog\n").data
    assert converted["daemon"]["logfile"] == "syslog"


def test_umask_and_directory_in_the_foreground_are_told(folder: Folder) -> None:
    found = Converted(folder, "[supervisord]\nnodaemon=true\numask=077\ndirectory=/\n")
    assert found.data["daemon"] == {"nodaemon": True, "umask": "077", "directory": "/"}
    assert sum("ignores it with nodaemon=true" in text for text in found.notes) == 2


def test_who_may_use_the_socket(folder: Folder) -> None:
    """The mode and the owner of Supervisor's socket are what its access control is."""
    found = Converted(folder, "[unix_http_server]\nfile=/run/x\nchmod=0770\nchown=daemon:adm\n")
    assert found.data["access"] == [{"role": "admin", "users": ["daemon"], "groups": ["adm"]}]
    assert found.data["daemon"] == {
        "socket_owner": "daemon", "socket_group": "adm", "socket_mode": "0660",
    }  # fmt: skip
    found = Converted(folder, "[unix_http_server]\nfile=/run/x\nchmod=0777\n")
    assert "access" not in found.data
    assert found.said("everybody on the machine")
    found = Converted(folder, "[unix_http_server]\nfile=/run/x\nchown=nobody\nchmod=bad\n")
    assert found.said("chmod: Supervisor refuses this")


def test_http_servers_become_the_gateway(folder: Folder) -> None:
    found = Converted(
        folder,
        "[unix_http_server]\nfile=run/x.sock\nusername=a\npassword=%%b\n"
        "[inet_http_server]\nport=9001\nusername=a\npassword=%%b\n"
        "[inet_http_server:two]\nport=[::1]:9002\nusername=c\npassword=d\n",
    )
    gateway = found.data["gateway"]
    assert gateway["listen"] == [
        f"unix://{folder.path}/etc/run/x.sock", "http://*:9001", "http://[::1]:9002",
    ]  # fmt: skip
    assert gateway["socket_password"] is True
    assert [user["name"] for user in gateway["users"]] == ["a", "c"]
    assert found.configuration is not None
    assert found.configuration.gateway is not None
    from supervisor_lite.passwords import matches

    assert matches("%b", found.configuration.gateway.users[0].password_hash)
    assert not found.lost


@pytest.mark.parametrize(
    ("server", "why"),
    [
        ("[inet_http_server]\nport=9001", "cannot be in listen of [gateway] without a password"),
        ("[inet_http_server]\nport=9001\nusername=a\npassword={SHA}00", "only the hash"),
        ("[unix_http_server]\nfile=/x\nusername=a\npassword=%(ENV_PW)s", "%(ENV_PW)s"),
        ("[unix_http_server]\nfile=/x\nusername=a:b\npassword=c", "no colon here"),
        ("[unix_http_server]\nchmod=0700", "without a file"),
        ("[inet_http_server]\nusername=a\npassword=b", "without a port"),
        (f"[unix_http_server]\nfile=/{'x' * 107}", "107 bytes"),
        ("[unix_http_server]\nfile=%", "single percent sign"),
    ],
)
def test_servers_that_cannot_be(folder: Folder, server: str, why: str) -> None:
    found = Converted(folder, f"{server}\n")
    assert "gateway" not in found.data
    assert found.configuration is not None
    assert any(why in text for text in found.lost), found.lost
    assert "%(ENV_PW)s" in why or "{SHA}" not in str(found.lost)


def test_every_key_that_supervisor_has_is_converted() -> None:
    """What our keys say of Supervisor's names is all that Supervisor 4.3 knows."""
    streams = [
        f"{stream}_{key}"
        for stream in ("stdout", "stderr")
        for key in ("logfile", "logfile_maxbytes", "logfile_backups", "capture_maxbytes",
                    "events_enabled", "syslog")
    ]  # fmt: skip
    program_keys = {
        "command", "process_name", "numprocs", "numprocs_start", "priority", "autostart",
        "startsecs", "startretries", "autorestart", "exitcodes", "stopsignal", "stopwaitsecs",
        "stopasgroup", "killasgroup", "user", "redirect_stderr", "environment", "directory",
        "umask", "serverurl", *streams,
    }  # fmt: skip
    sockets = {"socket", "socket_backlog", "socket_owner", "socket_mode"}
    assert {kind: set(options) for kind, (_, options) in keys.KINDS.items()} == {
        "supervisord": {
            "logfile", "logfile_maxbytes", "logfile_backups", "loglevel", "pidfile", "umask",
            "nodaemon", "silent", "minfds", "minprocs", "nocleanup", "childlogdir", "user",
            "directory", "strip_ansi", "environment", "identifier",
        },
        "program": program_keys,
        "fcgi-program": program_keys | sockets,
        "group": {"programs", "priority"},
        "eventlistener": program_keys | {"events", "buffer_size", "result_handler"},
    }  # fmt: skip
    apart = {n for _, options in keys.KINDS.values() for n, o in options.items() if o.key is None}
    assert apart == sockets


def test_defaults_are_supervisors(folder: Folder) -> None:
    found = Converted(folder, "[supervisord]\n[program:x]\ncommand=y\n")
    assert found.configuration is not None
    (process,) = found.configuration.plan.processes()
    assert process.autorestart is AutoRestart.UNEXPECTED
    assert found.data["program"]["x"] == {"command": "y", "leftovers": "keep", "stdin": "pipe"}


def test_how_the_gateway_is_run_is_said_where_it_stands(folder: Folder) -> None:
    """What stands there as a comment is a program that works."""
    text = Converted(folder, "[unix_http_server]\nfile=/run/x\n").text
    lines = text[text.index("# [program.gateway]") :].splitlines()[:3]
    data = tomli.loads("\n".join(line.removeprefix("# ") for line in lines))
    assert data["program"]["gateway"]["command"].startswith("supervisor-lite-gateway -c %(here)s/")
    assert "program.gateway" not in Converted(folder, "[program:x]\ncommand=y\n").text
