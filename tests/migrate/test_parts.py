"""From Supervisor's file to ours: programs, groups, the daemon and its servers."""

from __future__ import annotations

import pytest
import tomli

from supervisor_lite.config.load import load
from supervisor_lite.errors import ConfigError
from supervisor_lite.migrate import keys
from supervisor_lite.migrate.converter import convert
from supervisor_lite.migrate.report import Kind
from supervisor_lite.model.restart import AutoRestart
from tests.config.conftest import Folder
from tests.migrate.converting import Converted, program

# commands


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (
            'sh -c "echo a ; echo b"',
            "is never closed (to Supervisor what follows a blank and ; or # is a comment)",
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


@pytest.mark.parametrize(
    ("sections", "runs"),
    [
        ("[group:x]\nprograms=a\n[program:x]\ncommand=1\n", ["x:a", "b"]),
        ("[group:x]\nprograms=a\n[program:x]\ncommand=1\npriority=5\n", ["b", "x"]),
        ("[group:x]\nprograms=a\npriority=5\n[program:x]\ncommand=1\npriority=5\n", ["x:a", "b"]),
        ("[group:x]\nprograms=a\n[eventlistener:x]\ncommand=1\nevents=TICK_5\n", ["b", "x"]),
        ("[eventlistener:b]\ncommand=1\nevents=TICK_5\npriority=1000\n", ["a", "b"]),
        ("[fcgi-program:b]\ncommand=1\nsocket=unix:///s\n", ["a", "b"]),
        ("[fcgi-program:b]\ncommand=1\nsocket=unix:///s\npriority=1\n", ["a", "b"]),
        ("[group:x]\nprograms=a\n[group:y]\nprograms=a\n[program:x]\ncommand=1\npriority=5\n",
         ["b", "x", "y:a"]),
    ],
)  # fmt: skip
def test_of_sections_with_one_name_that_is_used_which_supervisor_uses(
    folder: Folder, sections: str, runs: list[str]
) -> None:
    """The lowest priority; of equals groups before programs before listeners before FastCGI."""
    found = Converted(folder, sections + "[program:a]\ncommand=2\n[program:b]\ncommand=3\n")
    assert found.configuration is not None
    processes = list(found.configuration.plan.processes())
    assert sorted(p.fullname for p in processes) == sorted(runs)
    if "priority=1\n" in sections:
        assert next(p for p in processes if p.name == "b").sockets
    assert found.lost


def test_logs_of_listeners_are_their_own(folder: Folder) -> None:
    """Two listeners, copies of one, a program and the daemon: no two writers of one file."""
    listener = "[eventlistener:{}]\ncommand=x\nevents=TICK_5\nstdout_logfile=DIR/{}\n"
    text = (
        "[supervisord]\nlogfile=DIR/d\n"
        "[program:p]\ncommand=x\nstdout_logfile=DIR/p\nstderr_logfile=DIR/p\n"
        + listener.format("one", "l") + listener.format("two", "l") + listener.format("three", "d")
        + listener.format("four", "p")
        + listener.format("five", "c") + "numprocs=2\nprocess_name=%(process_num)d\n"
        + listener.format("six", "s") + "stderr_logfile=DIR/s\nredirect_stderr=true\n"
    )  # fmt: skip
    found = Converted(folder, text.replace("DIR", str(folder.path)))
    assert found.configuration is not None
    outputs = [o for p in found.configuration.plan.processes() for o in (p.stdout, p.stderr)]
    paths = [output.path for output in outputs if output.path is not None]
    assert len(paths) == len(set(paths)) == 15
    assert len(found.lost) == 6
    assert found.data["program"]["p"]["redirect_stderr"] is True


def test_a_listener_with_a_handler_of_its_own_is_left_out(folder: Folder) -> None:
    """The idiom that brings the output of programs to a container's stdout."""
    found = Converted(
        folder,
        "[program:p]\ncommand=x\nstdout_events_enabled=true\n"
        "; out\n[eventlistener:stdout]\ncommand=supervisor_stdout\nevents=PROCESS_LOG\n"
        "buffer_size=100\nresult_handler=supervisor_stdout:event_handler\n",
    )
    assert found.configuration is not None
    assert "eventlistener" not in found.data
    (text,) = found.lost
    assert 'stdout_logfile = "/dev/stdout"' in text
    assert "output_prefix = true" in text
    assert "# out\n# [eventlistener:stdout] was left out" in found.text


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("command=sh -c 'supervisorctl restart x'", Kind.OPEN, "slctl"),
        ("command=/usr/bin/supervisorctl status", Kind.OPEN, "slctl"),
        ("command=my-supervisorctl-x", None, ""),
        ("command=pidproxy /run/x.pid x", Kind.NOTE, "part of Supervisor"),
        ("command=x \\\n  --more", Kind.NOTE, "backslash at the end of a line"),
        ("command=x 'a\\b' c", None, ""),
        ("user=daemon", Kind.DIFFERENT, "HOME, USER, LOGNAME are those of the user"),
        ('user=daemon\nenvironment=HOME="/x"', Kind.DIFFERENT, ": USER, LOGNAME are"),
        ('user=daemon\nenvironment=HOME="/",USER="b",LOGNAME=c', None, ""),
    ],
)
def test_what_else_makes_a_difference_is_counted(
    folder: Folder, line: str, kind: Kind | None, words: str
) -> None:
    text = f"[program:x]\n{line}\n" + "command=x\n" * (not line.startswith("command"))
    folder.write("etc/supervisord.conf", text)
    notes = convert("etc/supervisord.conf").notes
    assert [note.kind for note in notes] == ([] if kind is None else [kind])
    assert words in "".join(map(str, notes))


def test_the_gateway_is_something_to_do(folder: Folder) -> None:
    folder.write("etc/supervisord.conf", "[unix_http_server]\nfile=/run/x\n")
    (note,) = convert("etc/supervisord.conf").notes
    assert note.kind is Kind.OPEN
    assert "pip install 'supervisor-lite[gateway]'" in note.text


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


def test_umask_and_directory_have_no_effect_in_the_foreground(folder: Folder) -> None:
    """Nor is the directory what relative paths are relative to."""
    text = "[supervisord]\nnodaemon={}\numask=077\ndirectory=/tmp\npidfile=x.pid\n"
    found = Converted(folder, text.format("true"))
    path = f"{folder.path}/etc/x.pid"
    assert found.data["daemon"] == {"nodaemon": True, "pidfile": path}
    assert sum("ignores it with nodaemon=true" in text for text in found.notes) == 2
    assert not found.lost
    found = Converted(folder, text.format("false"))
    daemon = {"umask": "077", "directory": "/tmp", "pidfile": "/tmp/x.pid"}
    assert found.data["daemon"] == daemon


@pytest.mark.parametrize("value", ["", "%", "%(nope)s", "nobody-of-this-name"])
@pytest.mark.parametrize("section", ["supervisord", "program:x"])
def test_a_user_that_supervisor_refuses_never_becomes_root(
    folder: Folder, section: str, value: str
) -> None:
    """What would have run as somebody is refused, not run as whoever starts the daemon."""
    found = Converted(folder, f"[program:x]\ncommand=y\n[{section}]\nuser={value}\n")
    table = found.data["daemon"] if section == "supervisord" else found.data["program"]["x"]
    assert table["user"] == value.replace("%", "%%")
    with pytest.raises(ConfigError, match=r"\.user: "):
        load(str(folder.path / "out/supervisor.toml"), {})


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
    assert found.said("chmod: not served: Supervisor refuses this")
    assert "gateway" not in found.data


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
    (text,) = found.lost
    assert "[inet_http_server:two] username: each user of one server may use all" in text


@pytest.mark.parametrize(
    ("credentials", "key"),
    [
        ("username=%(ENV_U)s\npassword=%(ENV_P)s", "username"),
        ("username=a\npassword=%(ENV_P)s", "password"),
        ("username=%(ENV_U)s\npassword=secret-word", "username"),
        ("username=%(ENV_U)s", "username"),
        ("username=a", "username"),
        ("password=secret-word", "password"),
        ("username=\npassword=secret-word", "username"),
        ("username=a\npassword=", "password"),
        ("username=a:b\npassword=secret-word", "username"),
        ("username=a\npassword={SHA}secret-word", "password"),
        ("username=a\npassword=secret-word%", "password"),
    ],
)
@pytest.mark.parametrize("server", ["unix_http_server]\nfile=/x", "inet_http_server]\nport=9"])
def test_what_had_a_secret_is_not_served_without(
    folder: Folder, server: str, credentials: str, key: str
) -> None:
    """Neither alone, nor with the secret of another server, nor to members of a group."""
    text = f"[{server}\n{credentials}\nchmod=0770\nchown=root:adm\n"
    found = Converted(folder, text)
    assert found.data == {}
    assert any(f" {key}: not served: " in text for text in found.lost), found.lost
    assert "secret-word" not in str(found.lost + found.notes) + found.text
    other = "[unix_http_server:other]\nfile=/other\nusername=u\npassword=v\n"
    for both in (text + other, other + text):
        found = Converted(folder, both)
        assert found.data["gateway"]["listen"] == ["unix:///other"]
        assert found.data["gateway"]["socket_password"] is True
        assert [user["name"] for user in found.data["gateway"]["users"]] == ["u"]


def test_unix_sockets_share_owner_and_mode(folder: Folder) -> None:
    """A wider mode of one must not open the other."""
    one, two = "[unix_http_server]\nfile=/a\n{}", "[unix_http_server:b]\nfile=/b\n{}"
    found = Converted(folder, one.format("chmod=0700\n") + two.format("chmod=0777\n"))
    assert found.data["gateway"]["listen"] == ["unix:///a"]
    assert found.data["gateway"]["socket_mode"] == "0700"
    assert found.said("chmod: not served: the Unix sockets of one [gateway] have one owner and")
    secret = "username=a\npassword=b\n"
    for first, second in (("", secret), (secret, "")):
        found = Converted(folder, one.format(first) + two.format(second))
        assert found.data["gateway"]["socket_password"] is True
        assert found.said("Unix sockets ask all for a password here, or none: all do")


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
    text = Converted(folder, "[unix_http_server]\nfile=/run/x\n").text
    assert "# pip install 'supervisor-lite[gateway]'\n" in text
    assert "gateway" not in Converted(folder, "[program:x]\ncommand=y\n").text
