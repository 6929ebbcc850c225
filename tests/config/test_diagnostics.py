"""Bad input: each mistake gets its file, its line, its key and words that help."""

from __future__ import annotations

import pytest

from tests.config.conftest import Folder

WEB = '[program.web]\ncommand = "x"\n'

# What is written, and the one complaint there must be (without `supervisor.toml:`).
CASES = {
    "a misspelt key": (
        WEB + "autorestrat = true\n",
        '3: program.web.autorestrat: unknown key, did you mean "autorestart"?',
    ),
    "a key with a dash": (
        WEB + "stop-signal = 'TERM'\n",
        '3: program.web.stop-signal: unknown key, did you mean "stopsignal"?',
    ),
    "a key like no other": (WEB + "zzz = 1\n", "3: program.web.zzz: unknown key"),
    "a misspelt table": (
        "[programs.web]\ncommand = 'x'\n",
        '1: programs: unknown table, did you mean "program"?',
    ),
    "a table of Supervisor": (
        "[supervisord]\nlogfile = 'x'\n",
        "1: supervisord: unknown table: that is [daemon] here",
    ),
    "a key of Supervisor that is not here": (
        WEB + "socket_backlog = 5\n",
        '3: program.web.socket_backlog: unknown key: that is sockets = [{ listen = "…", backlog = … }]'  # noqa: E501
        " here",
    ),
    "a key of pm2": (
        WEB + "cwd = '/srv'\n",
        '3: program.web.cwd: unknown key: write directory = "…"',
    ),
    "a key of Compose": (
        WEB + "depends_on = ['db']\n",
        "3: program.web.depends_on: unknown key: no program waits for another one here; "
        "what has a lower priority is started first",
    ),
    "a table of Compose": (
        WEB + "healthcheck = { test = 'x' }\n",
        "3: program.web.healthcheck: unknown key: no program is probed here; startsecs says how "
        "long it has to be up, and what ends is restarted",
    ),
    "a key of systemd": (
        WEB + "ExecStart = 'x'\n",
        '3: program.web.ExecStart: unknown key: write command = "…"',
    ),
    "a key of systemd with a dash": (
        WEB + "Restart = 'always'\n",
        '3: program.web.Restart: unknown key: write autorestart = true, false or "unexpected"; '
        "it is brought back by default, unless its exit code is one of exitcodes",
    ),
    "a table of systemd": (
        "[Service]\nExecStart = 'x'\n",
        '1: Service: unknown table: a program is a table [program.NAME] with command = "…" here',
    ),
    "a key of another gateway": (
        "[gateway]\nlisten = ['http://127.0.0.1:1']\nport = 9001\nusers = []\n",
        '3: gateway.port: unknown key: write listen = ["http://127.0.0.1:9001"]',
    ),
    "a key of another group": (
        WEB + "[group.a]\nmembers = ['web']\n",
        '4: group.a.members: unknown key: write programs = ["…"]',
    ),
    "a key without table": (
        "\nnodaemon = true\n",
        "2: nodaemon: unknown table: a key of [daemon], which must stand above it",
    ),
    "a name with a dot": (
        WEB + "[program.web.v2]\ncommand = 'x'\n",
        '3: program.web.v2: unknown key; a name with a dot needs quotes: [program."web.v2"]',
    ),
    "a table that is nearly a key": (
        WEB + "limits = { nofile = 4 }\n",
        '3: program.web.limits: unknown key, did you mean "rlimits"?',
    ),
    "a key beside its alias": (
        "[daemon]\nloglevel = 'info'\nlog_level = 'info'\n",
        "3: daemon.log_level: the same key as loglevel, which is set too",
    ),
    "an alias with a bad value": (
        "[daemon]\nloglevel = 'loud'\n",
        '2: daemon.loglevel: expected "debug", "info", "warning", "error" or "critical", '
        'got the string "loud"',
    ),
    "text for a boolean": (
        WEB + 'autostart = "yes"\n',
        '3: program.web.autostart: expected true or false, got the string "yes"',
    ),
    "a number for a boolean": (
        WEB + "autostart = 1\n",
        "3: program.web.autostart: expected true or false, got the number 1",
    ),
    "text for a number": (
        WEB + 'startretries = "3"\n',
        '3: program.web.startretries: expected a whole number, 0 or more, got the string "3"',
    ),
    "a fraction for a whole number": (
        WEB + "priority = 1.5\n",
        "3: program.web.priority: expected a whole number, got the number 1.5",
    ),
    "a number that is too small": (
        WEB + "startretries = -1\n",
        "3: program.web.startretries: expected a whole number, 0 or more, got the number -1",
    ),
    "a boolean for text": (
        WEB + "directory = true\n",
        "3: program.web.directory: expected a path, got true",
    ),
    "a date for a duration": (
        WEB + "startsecs = 1979-05-27\n",
        '3: program.web.startsecs: expected a duration like 10, 0.5 or "1m30s", '
        "got the date 1979-05-27",
    ),
    "a bad duration": (
        WEB + 'stopwaitsecs = "soon"\n',
        '3: program.web.stopwaitsecs: expected a duration like 10, 0.5 or "1m30s", '
        'got the string "soon"',
    ),
    "a bad size": (
        WEB + 'stdout_logfile_maxbytes = "50XB"\n',
        '3: program.web.stdout_logfile_maxbytes: expected a size like 1048576 or "50MB", '
        'got the string "50XB"',
    ),
    "a bad word": (
        WEB + 'leftovers = "kil"\n',
        '3: program.web.leftovers: expected "kill" or "keep", got the string "kil", '
        'did you mean "kill"?',
    ),
    "a bad autorestart": (
        WEB + 'autorestart = "unexpectd"\n',
        '3: program.web.autorestart: expected true, false or "unexpected", got the string '
        '"unexpectd", did you mean "unexpected"?',
    ),
    "a bad signal": (
        WEB + 'stopsignal = "TREM"\n',
        '3: program.web.stopsignal: expected a signal like "TERM", "RTMIN+1" or 15, '
        'got the string "TREM", did you mean "TERM"?',
    ),
    "a bad exit code": (
        WEB + "exitcodes = [0, 256]\n",
        "3: program.web.exitcodes: expected an exit code from 0 to 255, got the number 256",
    ),
    "an element on a line of its own": (
        WEB + "exitcodes = [\n  0,\n  'x',\n]\n",
        '5: program.web.exitcodes: expected an exit code from 0 to 255, got the string "x"',
    ),
    "a decimal mode": (
        WEB + "umask = 22\n",
        '3: program.web.umask: expected an octal mode like "022" or 0o22, '
        'got the decimal number 22; write "022"',
    ),
    "an unknown user": (
        WEB + 'user = "rooot"\n',
        '3: program.web.user: expected a user of this system, got the string "rooot", '
        'did you mean "root"?',
    ),
    "an unknown uid": (
        WEB + "user = 4294000000\n",
        "3: program.web.user: expected a user of this system, got the number 4294000000",
    ),
    "an unknown group of users": (
        '[daemon]\nsocket_group = "rooot"\n',
        "2: daemon.socket_group: expected a group of users of this system, "
        'got the string "rooot", did you mean "root"?',
    ),
    "an unknown user of the daemon": (
        '[daemon]\nuser = "rooot"\n',
        '2: daemon.user: expected a user of this system, got the string "rooot", '
        'did you mean "root"?',
    ),
    "no command": (
        "\n[program.web]\n",
        "2: program.web.command: is missing, and there is no default",
    ),
    "an empty command": (
        '[program.web]\ncommand = " "\n',
        '2: program.web.command: expected a command, got the string " ", which names no program',
    ),
    "an empty list of arguments": (
        "[program.web]\ncommand = []\n",
        "2: program.web.command: expected a command, got a list, which names no program",
    ),
    "an argument of a wrong type": (
        '[program.web]\ncommand = ["x", 1.5]\n',
        "2: program.web.command: expected an argument, got the number 1.5",
    ),
    "a command with an open quote": (
        '[program.web]\ncommand = "sh -c \'x"\n',
        '2: program.web.command: expected a command, got the string "sh -c \'x", '
        "which has a quote that is never closed",
    ),
    "a NUL in a command": (
        '[program.web]\ncommand = "x \\u0000"\n',
        "2: program.web.command: expected a command: a string or a list of arguments, "
        'got the string "x \\x00", which holds a NUL character',
    ),
    "a program that is no table": (
        "[program]\nweb = 'x'\n",
        '2: program.web: expected a table, [program.NAME], got the string "x"',
    ),
    "programs that are no tables": (
        "program = 'x'\n",
        '1: program: expected tables [program.NAME], got the string "x"',
    ),
    "access that is no list": (
        "[access]\nrole = 'view'\n",
        "1: access: expected tables [[access]], got a table",
    ),
    "access for nobody": (
        "[[access]]\nrole = 'view'\nusers = ['root']\n[[access]]\nrole = 'view'\n",
        "4: access: says nobody: set users, groups or both",
    ),
    "access without role": (
        "[[access]]\nusers = ['root']\n",
        "1: access.role: is missing, and there is no default",
    ),
    "access of an unknown role": (
        "[[access]]\nrole = 'oprate'\nusers = ['root']\n",
        '2: access.role: expected "view", "operate" or "admin", got the string "oprate", '
        'did you mean "operate"?',
    ),
    "an environment in Supervisor's form": (
        WEB + "environment = 'A=1'\n",
        '3: program.web.environment: expected a table of variables like { PORT = "8080" }, '
        "got a string",
    ),
    "a variable that is a number with a point": (
        WEB + "[program.web.environment]\nPY = 3.10\n",
        "4: program.web.environment.PY: expected a string, a whole number or true or false, "
        "got a number: put it in quotes, or its digits may change",
    ),
    "a variable with a bad name": (
        WEB + 'environment = { "A=B" = "x" }\n',
        '3: program.web.environment: expected names of variables without "=", got a table, '
        'with the name "A=B"',
    ),
    "a program with a blank in its name": (
        '[program."a b"]\ncommand = "x"\n',
        '1: program."a b": expected a name without blanks, ":" and "/", got the string "a b"',
    ),
    "a program without name": (
        '[program.""]\ncommand = "x"\n',
        '1: program."": expected a name without blanks, ":" and "/", got the string ""',
    ),
    "a process name with a colon": (
        WEB + 'process_name = "a:b"\n',
        '3: program.web.process_name: expected a name without blanks, ":" and "/", '
        'got the string "a:b"',
    ),
    "several processes with one name": (
        WEB + "numprocs = 2\n",
        "3: program.web.numprocs: 2 processes need names of their own, for example "
        'process_name = "%(program_name)s_%(process_num)02d"',
    ),
    "several processes with one given name": (
        WEB + 'process_name = "x"\nnumprocs = 2\n',
        "3: program.web.process_name: 2 processes need names of their own, for example "
        'process_name = "%(program_name)s_%(process_num)02d"',
    ),
    "too many processes": (
        WEB + 'numprocs = 1000000\nprocess_name = "%(process_num)d"\n',
        "3: program.web.numprocs: expected a whole number from 0 to 10000, got the number 1000000",
    ),
    "two processes of one name in a group": (
        WEB + '[program.b]\ncommand = "x"\nprocess_name = "web"\n'
        '[group.g]\nprograms = ["web", "b"]\n',
        '5: program.b.process_name: the name "web" is taken in group "g" by a process of '
        "program.web (supervisor.toml:1)",
    ),
    "stopasgroup without killasgroup": (
        WEB + "stopasgroup = true\nkillasgroup = false\n",
        "4: program.web.killasgroup: cannot be false with stopasgroup = true: "
        "the group would be asked, not killed",
    ),
    "a group of an unknown program": (
        WEB + '[group.g]\nprograms = [\n  "web",\n  "webb",\n]\n',
        '6: group.g.programs: there is no program "webb", did you mean "web"?',
    ),
    "a group that lists a program twice": (
        WEB + '[group.g]\nprograms = ["web", "web"]\n',
        '4: group.g.programs: lists "web" twice',
    ),
    "a group with the name of another program": (
        WEB + '[program.b]\ncommand = "x"\n[group.web]\nprograms = ["b"]\n',
        "5: group.web: has the name of program.web (supervisor.toml:1), which is not in this group",
    ),
    "a string for a list": (
        WEB + '[group.g]\nprograms = "web"\n',
        '4: group.g.programs: expected a list of names, got the string "web"',
    ),
    "an unknown expansion": (
        WEB + 'directory = "%(her)s"\n',
        "3: program.web.directory: unknown expansion %(her)s, did you mean %(here)s? (known "
        "here: group_name, here, host_node_name, numprocs, process_num, program_name, and ENV_X "
        "for the environment variable X)",
    ),
    "the number of a process where it has none": (
        WEB + 'user = "u%(process_num)d"\n',
        "3: program.web.user: unknown expansion %(process_num)s (known here: group_name, here, "
        "host_node_name, program_name, and ENV_X for the environment variable X)",
    ),
    "an unknown variable": (
        WEB + 'directory = "%(ENV_SECRE)s"\n',
        '3: program.web.directory: there is no environment variable "SECRE" for %(ENV_SECRE)s, '
        "did you mean %(ENV_SECRET)s?",
    ),
    "a variable with a bad value": (
        WEB + 'stopsignal = "%(ENV_SECRET)s"\n',
        '3: program.web.stopsignal: expected a signal like "TERM", "RTMIN+1" or 15, '
        'got the string "%(ENV_SECRET)s", expanded',
    ),
    "a lone percent sign": (
        '[program.web]\ncommand = "date +%s"\n',
        '2: program.web.command: a percent sign is written "%%" (or begins %(name)s)',
    ),
    "a directory for the daemon that does not exist": (
        '[daemon]\ndirectory = "/no/such"\n',
        "2: daemon.directory: there is no directory /no/such",
    ),
    "a daemon's log in a directory that does not exist": (
        '[daemon]\nlogfile = "/no/such/x.log"\n',
        "2: daemon.logfile: there is no directory /no/such",
    ),
    "the home of nobody": (
        WEB + 'directory = "~no-such-user/x"\n',
        '3: program.web.directory: expected a path, got the string "~no-such-user/x", '
        "and there is no such user",
    ),
    "a path of blanks": (
        WEB + 'stdout_logfile = " "\n',
        '3: program.web.stdout_logfile: expected "auto", "none", "syslog" or a path, '
        'got the string " "',
    ),
    "a number that is too large for any use": (
        "[daemon]\nminfds = 9223372036854775808\njournal_count = 9223372036854775807\n",
        "2: daemon.minfds: expected a whole number, 0 or more, got the number "
        "9223372036854775808, which takes more than 64 bits",
    ),
    "a bad restart limit": (
        WEB + 'restart_limit = "5 per minute"\n',
        '3: program.web.restart_limit: expected a number of restarts in a time, like "5/10m", '
        'got the string "5 per minute"',
    ),
    "a bad jitter": (
        WEB + "backoff_jitter = 2\n",
        "3: program.web.backoff_jitter: expected a number from 0 to 1, got the number 2",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_mistake_has_one_complaint(folder: Folder, name: str) -> None:
    text, complaint = CASES[name]
    environ = {"SECRET": "hunter2 hunter3"}
    assert folder.complaints(text, environ=environ) == [f"supervisor.toml:{complaint}"]


def test_a_variable_is_never_shown(folder: Folder) -> None:
    """Every key with a kind of its own is given the secret, and no complaint tells it."""
    text = WEB
    keys: tuple[str, ...] = (
        "user",
        "directory",
        "stopsignal",
        "umask",
        "startsecs",
        "exitcodes",
        "numprocs",
    )
    keys += ("autorestart", "leftovers", "backoff", "restart_limit", "process_name", "autostart")
    for key in keys:
        text += f'{key} = "%(ENV_SECRET)s"\n'
    complaints = folder.complaints(text, environ={"SECRET": "hunter2 'hunter3"})
    assert len(complaints) >= len(keys) - 1  # directory takes any text
    assert "hunter" not in "\n".join(complaints)
    text = '[program.a]\ncommand = "%(ENV_SECRET)s"\nenvironment = { A = ["hunter2"] }\n'
    complaints = folder.complaints(text, environ={"SECRET": "hunter2 'hunter3"})
    assert len(complaints) == 2
    assert "hunter" not in "\n".join(complaints)


def test_a_misspelt_key_hides_nothing(folder: Folder) -> None:
    text = "[program.web]\ncomand = 'x'\nautostart = 'no'\nenvironment = { A = [], B = [] }\n"
    assert [c.split(": ")[1] for c in folder.complaints(text)] == [
        "program.web.command",
        "program.web.comand",
        "program.web.autostart",
        "program.web.environment.A",
        "program.web.environment.B",
    ]


def test_a_broken_environment_does_not_make_its_variables_unknown(folder: Folder) -> None:
    text = '[program.a]\ncommand = "%(ENV_A)s"\nenvironment = { A = "1", B = 1.5 }\n'
    (complaint,) = folder.complaints(text)
    assert complaint.startswith("supervisor.toml:3: program.a.environment.B: ")


def test_what_is_the_same_for_many_processes_is_said_once(folder: Folder) -> None:
    text = WEB + 'numprocs = 50\nprocess_name = "%(proces_num)d"\ndirectory = "%(x)s"\n'
    places = [complaint.split(" ")[0] for complaint in folder.complaints(text)]
    assert places == ["supervisor.toml:4:", "supervisor.toml:4:", "supervisor.toml:5:"]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            WEB + "restart_limit_action = '1m'\n",
            "3: program.web.restart_limit_action: has no effect without restart_limit",
        ),
        ("[group.g]\n", "1: group.g: has no programs"),
    ],
)
def test_what_is_probably_not_meant_is_a_warning(folder: Folder, text: str, warning: str) -> None:
    assert folder.load(text).warnings == (f"supervisor.toml:{warning}",)


@pytest.mark.parametrize(
    "name",
    [".", "..", "all", "-x", "a/b", "a:b", "a b", "a\\tb", "*", "a?", "[ab]", "\\u0000",
     "\\u001b[2J", "\\u202e", "x" * 101, "é" * 51, ""],
)  # fmt: skip
def test_names_that_cannot_be_addressed_or_make_no_file_name(folder: Folder, name: str) -> None:
    """Wherever a name is given, with file, line and key."""
    command = "command = 'x'\n"
    program, group = f'[program."{name}"]\n{command}', f'[group."{name}"]\nprograms = ["web"]\n'
    assert folder.complaints(program)[0].startswith("supervisor.toml:1: program.")
    assert folder.complaints(f'[eventlistener."{name}"]\n{command}events = ["TICK_5"]\n')[
        0
    ].startswith("supervisor.toml:1: eventlistener.")
    assert folder.complaints(WEB + group)[0].startswith("supervisor.toml:3: group.")
    process = folder.complaints(WEB + f'process_name = "{name}"\n')
    assert process[0].startswith("supervisor.toml:3: program.web.process_name:")


@pytest.mark.parametrize("name", ["...", ".x", "All", "all_", "a-b", "a.b", "grün-店", "x" * 100])
def test_names_that_can(folder: Folder, name: str) -> None:
    assert folder.process(f"[program.\"{name}\"]\ncommand = 'x'\n").name == name
