"""From Supervisor's file to ours: samples as a whole, and what single keys become."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import tomli

from supervisor_lite.errors import ConfigError
from supervisor_lite.migrate.converter import Conversion, convert
from supervisor_lite.model.program import Leftovers, Stdin
from tests.config.conftest import Folder
from tests.migrate import samples
from tests.migrate.converting import Converted, loaded, program, write_out

# whole files


@pytest.mark.parametrize("name", samples.NAMES)
def test_a_sample_becomes_what_is_expected(name: str) -> None:
    """Five files after patterns of public documentation, key by key, comments included."""
    with samples.directory() as place:
        found = samples.converted(samples.lay_out(name, place), place / "out")
    assert found == samples.expected(name)


@pytest.mark.parametrize("name", samples.NAMES)
@pytest.mark.parametrize("together", [False, True], ids=["directory", "one file"])
def test_a_converted_sample_can_be_loaded(name: str, together: bool, tmp_path: Path) -> None:
    main = samples.lay_out(name, tmp_path)
    out = tmp_path / "out"
    conversion = convert(str(main), None if together else str(out))
    configuration = loaded(write_out(conversion, out), samples.ENVIRON)
    if configuration is not None:
        for process in configuration.plan.processes():
            if process.internal:
                continue  # the gateway, which the daemon runs by itself
            assert process.leftovers is Leftovers.KEEP
            # A listener's stdin is where it gets its events.
            own = Stdin.SOCKET if process.sockets else Stdin.PIPE
            assert process.stdin is (Stdin.NULL if process.listener else own)


def test_in_the_same_directory_here_stays_here(tmp_path: Path) -> None:
    """`-o` beside the old file: nothing has to be made absolute."""
    main = samples.lay_out("django", tmp_path)
    files = convert(str(main), str(main.parent)).files
    assert 'directory = "%(here)s"' in files["supervisor.toml"]
    assert str(tmp_path) not in files["supervisor.toml"].replace(f"from {main}", "")
    assert loaded(write_out(Conversion(files, {}, ()), main.parent), {}) is not None


def test_supervisors_own_sample_loses_its_explanations(folder: Folder) -> None:
    found = Converted(
        folder,
        "; Sample supervisor config file.\n; Notes: quotes are not supported.\n\n"
        "[supervisord]\nloglevel=info   ; log level\n;umask=022   ; process umask\n\n"
        "; The sample program section below shows all options.\n\n"
        ";[program:theprogramname]\n;command=/bin/cat    ; the program\n\n"
        ";[include]\n;files = relative/directory/*.ini\n",
    )
    assert found.text.endswith('[daemon]\nlog_level = "info"  # log level\n')
    assert "sample" not in found.text
    assert found.text.count("#") == 2


def test_comments_stay_with_what_they_explain(folder: Folder) -> None:
    found = Converted(
        folder,
        ";; Ours.\n\n# The daemon\n[supervisord]\n[program:x] ; the best\n"
        "; it sleeps\n;   and sleeps\ncommand=sleep 1 ; a while\n"
        ";autostart=false\nstartsecs=2\n; the end\n",
    )
    assert found.text.splitlines() == [
        "# Ours.",
        "",
        "# Converted from etc/supervisord.conf by slctl import.",
        '# leftovers = "keep" and stdin = "pipe" are what Supervisor does. Without them, nothing'
        " that a",
        "# program has started outlives it, and its stdin is /dev/null.",
        "",
        "# The daemon",
        "[daemon]",
        "",
        "# the best",
        "[program.x]",
        "# it sleeps",
        "#   and sleeps",
        'command = "sleep 1"  # a while',
        "# autostart = false",
        "startsecs = 2",
        'leftovers = "keep"',
        'stdin = "pipe"',
        "",
        "# the end",
    ]


def test_comments_of_what_vanishes_are_carried_over(folder: Folder) -> None:
    found = Converted(
        folder,
        "# one\n[supervisord]\n# two\nnodaemon=false\n# three\nsilly=1\n\n"
        "# four\n[supervisorctl]\n# five\nserverurl=unix:///x\n\n# six\n[include]\nfiles=none\n\n"
        "# seven\n[inet_http_server]\n# eight\nport=9\n\n# nine\n[unknown]\nx=1\n\n"
        "# ten\n[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\n"
        "# eleven\n[program:x]\ncommand=y\n# twelve\nstartsecs=nope\n",
    )
    words = "one two three four five six seven eight nine ten eleven twelve"
    for word in words.split():
        assert found.text.count(f"# {word}\n") == 1, word


def uncommented(text: str) -> dict[str, Any]:
    """Return what a text says without the marks before its comments."""
    lines = (line.removeprefix("# ") for line in text.splitlines())
    return tomli.loads("\n".join(line for line in lines if not line.startswith("Converted")))


def test_what_is_commented_out_is_toml(folder: Folder) -> None:
    """Without the marks it is what it would have been without them in the old file."""
    folder.write(
        "etc/supervisord.conf",
        "[supervisord]\n;loglevel=warn\n\n[program:a]\ncommand=a\n;exitcodes=0,2 ; and two\n"
        '; environment = A="1",\n;   B=%(here)s\n# user=www data is what it was\n\n'
        ";[program:b]\n;command=b --x ; why\n;numprocs=2\n"
        ";process_name=%(program_name)s_%(process_num)d\n;autostart = false ; not yet\n\n"
        "#[group:g]\n#programs=a,b\n#nonsense=1\n\n; [eventlistener:e]\n; command=e\n"
        "; events=tick_5\n",
    )
    text = convert("etc/supervisord.conf", "out").files["supervisor.toml"]
    kept = [line for line in text.splitlines() if "exitcodes" in line or "not yet" in line]
    assert kept == ["# exitcodes = [0, 2]  # and two", "# autostart = false  # not yet"]
    assert "# nonsense=1" in text
    text = text.replace("# nonsense=1\n", "").replace('# stdin = "pipe" are', "")
    lines = [line for line in text.splitlines() if "Supervisor do. Without" not in line]
    lines = [line for line in lines if "outlives it" not in line and "leftovers" not in line]
    lines = [line for line in lines if "stdin" not in line and "data is" not in line]
    data = uncommented("\n".join(lines))
    here = str(folder.path / "etc")
    assert data["daemon"] == {"log_level": "warning"}
    assert data["program"]["a"]["environment"] == {"A": "1", "B": here}
    assert data["program"]["b"] == {
        "command": "b --x", "numprocs": 2, "autostart": False,
        "process_name": "%(program_name)s_%(process_num)d",
    }  # fmt: skip
    assert data["group"] == {"g": {"programs": ["a", "b"]}}
    assert data["eventlistener"] == {"e": {"command": "e", "events": ["TICK_5"]}}


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("startsecs=5 ; # of secs prog must stay up to be running (def. 1)", False),
        ("startsecs=5 ; must stay up (default 1)", False),
        ("autorestart=true ; when to restart (def: unexpected)", False),
        ("stdout_logfile=/tmp/x ; stdout log path, NONE for none; default AUTO", False),
        ("numprocs=1 ; default 2, one is enough on this machine", True),
        ("startsecs=5 ; the default queue needs long", True),
        ("directory=/ ; the default", True),
        (";startsecs=5 ; seconds that it must stay up (default 1)", False),
        (";umask=022 ; umask for process", False),
        (";startsecs=5 ; slow disk", True),
        ("[inet_http_server] ; inet (TCP) server disabled by default", False),
        ("[inet_http_server] ; for Anna", True),
    ],
)
def test_comments_that_tell_supervisors_defaults_are_dropped(
    folder: Folder, line: str, kept: bool
) -> None:
    text = Converted(folder, f"[program:x]\ncommand=y\n{line}\nport=9\n").text
    words = line.rpartition("; ")[2]
    assert (words in text) is kept, text


# files


def calls_for(programs: int, folder: Folder) -> int:
    """Return how many calls a conversion takes: programs in files and groups, with logs."""
    text = "[program:p{0}]\ncommand=x\nstdout_logfile=/l/{0}.log\n[group:g{0}]\nprograms=p{0}\n"
    place = f"etc{programs}"
    for number in range(programs):
        folder.write(f"{place}/{number}.ini", text.format(number))
    folder.write(f"{place}/supervisord.conf", "[include]\nfiles=*.ini\n")
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        convert(f"{place}/supervisord.conf", "out")
    finally:
        sys.setprofile(None)
    return calls


def test_twice_as_many_programs_take_twice_as_long(folder: Folder) -> None:
    assert calls_for(400, folder) < 2.2 * calls_for(200, folder)


def test_includes_become_files_of_conf_d(folder: Folder) -> None:
    folder.write("etc/b/web.conf", "[program:web]\ncommand=x\n")
    folder.write("etc/c/.web.ini", "[program:hidden]\ncommand=x\n")
    folder.write("etc/c/web.ini", "[program:other]\ncommand=%(here)s/x\n")
    folder.write("etc/nested.ini", "[include]\nfiles=nothing\n")
    folder.write(
        "etc/supervisord.conf",
        "[include]\nfiles = b/* %(here)s/c/*.ini c/.web.ini\n nested.ini no/*.conf\n",
    )
    conversion = convert("etc/supervisord.conf", "out")
    assert list(conversion.files) == [
        "supervisor.toml", "conf.d/web.toml", "conf.d/c-web.toml", "conf.d/web-2.toml",
        "conf.d/nested.toml",
    ]  # fmt: skip
    assert [str(note) for note in conversion.notes] == [
        'etc/supervisord.conf:2: [include] files: "no/*.conf" matches no file',
        "etc/nested.ini:1: [include]: Supervisor ignores this in a file that is included",
    ]
    configuration = loaded(write_out(conversion, folder.path / "out"), {})
    assert configuration is not None
    commands = {p.name: p.command[0] for p in configuration.plan.processes()}
    assert commands == {"web": "x", "hidden": "x", "other": str(folder.path / "etc/c/x")}


def test_an_included_file_changes_what_was_set(folder: Folder) -> None:
    """As in Supervisor; in TOML each table stands once, in the file where it began."""
    folder.write("etc/more.ini", "[supervisord]\nloglevel=error\n[program:x]\nstartsecs=7\n")
    found = Converted(
        folder, "[supervisord]\nloglevel=info\n[program:x]\ncommand=y\n[include]\nfiles=more.ini\n"
    )
    assert found.data["daemon"] == {"log_level": "error"}
    assert found.data["program"]["x"]["startsecs"] == 7
    assert found.said(
        "more.ini:2: [supervisord] loglevel: is set before, at etc/supervisord.conf:2"
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("key=value\n", "etc/supervisord.conf:1: stands before the first [section]"),
        ("[a]\nb=c\nnonsense\n", "etc/supervisord.conf:3: neither key=value nor [section]"),
        ("[include]\n", "etc/supervisord.conf:1: [include] has no files="),
        ("[include]\nfiles=%(gone)s\n", "etc/supervisord.conf:2: [include] files: unknown"),
    ],
)
def test_what_supervisor_cannot_read_is_refused(folder: Folder, text: str, complaint: str) -> None:
    folder.write("etc/supervisord.conf", text)
    with pytest.raises(ConfigError) as caught:
        convert("etc/supervisord.conf")
    assert str(caught.value).startswith(complaint)


def test_a_missing_file_is_refused(folder: Folder) -> None:
    with pytest.raises(ConfigError, match="cannot read it: No such file"):
        convert(str(folder.path / "gone.conf"))


def test_other_encodings(folder: Folder) -> None:
    folder.write("etc/supervisord.conf", "[program:x]\ncommand=caf\xe9\n".encode("latin-1"))
    conversion = convert("etc/supervisord.conf")
    assert 'command = "café"' in conversion.files["supervisor.toml"]
    assert "supervisord.conf:2: is not UTF-8" in str(conversion.notes[0])
    folder.write("etc/supervisord.conf", "\ufeff[program:x]\r\ncommand=ü\r\n")
    assert 'command = "ü"' in convert("etc/supervisord.conf").files["supervisor.toml"]


# keys


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("autorestart=TRUE", True),
        ("autorestart=0", False),
        ("autorestart=Unexpected", "unexpected"),
        ("exitcodes=0, 2", [0, 2]),
        ("exitcodes=", []),
        ("stopsignal=sigusr2", "USR2"),
        ("stopsignal=9", "KILL"),
        ("startsecs=-3", 0),
        ("startretries=%(ENV_N)s", "%(ENV_N)s"),
        ("priority=-1", -1),
        ("umask=22", "022"),
        ("umask=0o77", "077"),
        ("umask=7777", "0777"),
        ("stdout_logfile_maxbytes=10 mb", "10MB"),
        ("stdout_logfile_maxbytes=0", 0),
        ("stdout_logfile_maxbytes=-1", 0),
        ("stdout_logfile=OFF", "none"),
        ("stdout_logfile=", "none"),
        ("stdout_logfile=Auto", "auto"),
        ("stdout_logfile=SYSLOG", "syslog"),
        ("stdout_logfile=/dev/stdout", "/dev/stdout"),
        ("stdout_logfile=~/x", "~/x"),
        ("stdout_logfile=/a%%%%b", "/a%%b"),
        ("stdout_logfile=/a%%(process_num)02d", "/a%(process_num)02d"),
        ("stdout_logfile=/a%%b", "/a%%b"),
        ("autostart : no", False),
        ("STARTSECS=4", 4),
        ("directory=%(ENV_HOME)s/x", "%(ENV_HOME)s/x"),
        ("serverurl=unix:///x", "unix:///x"),
        ("user=0", "0"),
    ],
)
def test_a_value(folder: Folder, written: str, value: object) -> None:
    key = written.replace(":", "=").partition("=")[0].strip().lower()
    folder.write("etc/supervisord.conf", f"[program:x]\ncommand=sleep 1\n{written}\n")
    text = convert("etc/supervisord.conf").files["supervisor.toml"]
    assert tomli.loads(text)["program"]["x"][key] == value


@pytest.mark.parametrize(
    "written",
    [
        "autostart=maybe", "startsecs=1.5", "exitcodes=256", "exitcodes=a", "stopsignal=NOPE",
        "stopsignal=0", "umask=9", "stdout_logfile_maxbytes=1K", "priority=%(nope)s",
        "numprocs=%(process_num)d", "stdout_logfile=/x%", "directory=%(here)r",
        "environment=A=", "environment=A", 'environment=A="x', "environment=%(program_name)s=1",
        "numprocs_start=-1", "process_name=a:b", f"process_name={'x' * 101}", "numprocs=1000000",
        "strip_ansi_=1",
    ],
)  # fmt: skip
def test_what_cannot_be_is_left_out_and_said(folder: Folder, written: str) -> None:
    """The rest of the program is there, can be loaded, and the report names the key."""
    key = written.partition("=")[0]
    found = Converted(folder, f"[program:x]\ncommand=sleep 1\n{written}\nautorestart=no\n")
    assert found.configuration is not None
    assert found.said(f"etc/supervisord.conf:3: [program:x] {key}: "), found.lost + found.notes
    if key not in ("numprocs", "environment"):
        assert key not in found.data["program"]["x"]


def test_an_unknown_key_is_told_with_a_suggestion(folder: Folder) -> None:
    """Supervisor accepts it without a word."""
    found = Converted(folder, "[program:x]\ncommand=y\nautostrt=false\n[progam:y]\ncommand=z\n")
    assert found.notes == [
        "etc/supervisord.conf:3: [program:x] autostrt: Supervisor has no such key and ignores it, "
        'did you mean "autostart"?',
        "etc/supervisord.conf:4: [progam:y]: Supervisor knows no such section and ignores it, "
        'did you mean "program"?',
    ]
    assert not found.lost


def test_keys_of_the_default_section_reach_every_section(folder: Folder) -> None:
    found = Converted(folder, "[DEFAULT]\nautostart=no\nprograms=x\n[program:x]\ncommand=y\n")
    assert found.data["program"]["x"]["autostart"] is False
    assert not found.notes


def test_stopasgroup_implies_killasgroup(folder: Folder) -> None:
    found = Converted(
        folder,
        "[program:x]\ncommand=y\nstopasgroup=true\n"
        "[program:y]\ncommand=y\nstopasgroup=true\nkillasgroup=false\n",
    )
    assert found.configuration is not None
    for process in found.configuration.plan.processes():
        assert (process.stopasgroup, process.killasgroup) == (True, True)
    assert len(found.lost) == 1


def test_several_processes_need_numbers(folder: Folder) -> None:
    found = program(folder, "numprocs=2")
    assert found["process_name"] == "%(program_name)s_%(process_num)02d"
