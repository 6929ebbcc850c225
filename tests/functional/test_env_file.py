"""env_file: what a file may hold, when it is read, and that its secrets are told to nobody."""

from __future__ import annotations

import os
import pwd
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor_lite.host.secrets.env_file import parse
from tests.programs import SLEEPER, program
from tests.support import Daemon, Daemons, comm, wait_until

SECRET = "s3cr3t-of-the-test"
PIECES = [
    b"A",
    b"=",
    b"'",
    b'"',
    b"\\",
    b"#",
    b" ",
    b"\t",
    b"\n",
    b"\r",
    b"\0",
    b"export ",
    b"\xff",
]


def environment(daemon: Daemon, name: str) -> dict[str, str]:
    """Wait until a sleeper runs; return its environment."""
    pid = daemon.wait_state(name, "RUNNING")["pid"]
    wait_until(lambda: comm(pid) == "sleep", what=f"{name} runs its command")
    words = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(word.split("=", 1) for word in words if word)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("A=1", "A", "1"),
        ("export A=1", "A", "1"),
        ("  A = two words  ", "A", "two words"),
        ("A=x # a comment", "A", "x"),
        ("A= # only a comment", "A", ""),
        ("A=#ff0000", "A", "#ff0000"),
        ("A=a#b", "A", "a#b"),
        ("A=", "A", ""),
        ("A=b=c==", "A", "b=c=="),
        ("A='$HOME \\n # no comment'  # one", "A", "$HOME \\n # no comment"),
        ('A="tab\\t quote\\" back\\\\ dollar\\$"', "A", 'tab\t quote" back\\ dollar$'),
        ('A="first\nsecond"', "A", "first\nsecond"),
        ("A='first\nsecond'\nB=1", "A", "first\nsecond"),
        ("A=1\r", "A", "1"),
        ('A="1"\r', "A", "1"),
        ("\ufeffA=1", "A", "1"),
        ("# nothing\n\n   \nA=1\n", "A", "1"),
        ("A=1\nA=2", "A", "2"),
        ("spring.name-x=1", "spring.name-x", "1"),
        ("A=grün", "A", "grün"),
    ],
)
def test_lines(line: str, name: str, value: str) -> None:
    assert parse(line.encode())[name] == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"A=1\n{SECRET}\n", "line 2: expected NAME=VALUE"),
        (f"1A={SECRET}", "line 1: expected NAME=VALUE"),
        (f"A B={SECRET}", "line 1: expected NAME=VALUE"),
        (f"={SECRET}", "line 1: expected NAME=VALUE"),
        (f'\n\nA="{SECRET}\n', "line 3: a quote that is never closed"),
        (f"A='x\ny' {SECRET}", "line 2: something follows the closing quote"),
        (f"A={SECRET}\0", "line 1: it holds a NUL character"),
    ],
)
def test_what_is_no_assignment(text: str, said: str) -> None:
    """The line is named, and nothing of it is shown."""
    with pytest.raises(ValueError) as caught:
        parse(text.encode())
    assert str(caught.value) == said


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_every_text_can_be_written(value: str) -> None:
    """In double quotes, with a backslash before what is special there."""
    quoted = re.sub(r'(["\\$])', r"\\\1", value)
    data = f'FIRST=1\nA="{quoted}" # end\nexport LAST=2'.encode()
    assert parse(data) == {"FIRST": "1", "A": value, "LAST": "2"}


@given(st.binary() | st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_whatever_a_file_holds(data: bytes) -> None:
    """It gives variables that can be passed on, or a complaint that begins with a line."""
    found: dict[str, str] = {}
    said = "line 1: nothing"
    try:
        found = parse(data)
    except ValueError as error:
        said = str(error)
    assert re.match(r"line [1-9][0-9]*: ", said)
    for name, value in found.items():
        assert name
        assert not set("=\0") & set(name)
        assert "\0" not in value


def test_the_file_goes_before_environment(daemons: Daemons) -> None:
    """Of several files the later one counts; what the daemon gives, such as the run, stays."""
    daemon = daemons.prepare()
    (daemon.dir / "one.env").write_text("A=one\nB=one\nHOME=/one\nSUPERVISOR_LITE_RUN=mine\n")
    (daemon.dir / "two.env").write_text("B=two\n")
    daemon.configure(
        program(
            "web", SLEEPER, startsecs=0, environment={"A": "table", "C": "table"},
            env_file=["one.env", "two.env", "-three.env"], user=pwd.getpwuid(os.geteuid()).pw_name,
        )
    )  # fmt: skip
    found = environment(daemon.start(), "web")
    assert (found["A"], found["B"], found["C"]) == ("one", "two", "table")
    assert found["HOME"] == "/one"
    assert found["SUPERVISOR_LITE_RUN"] != "mine"


def test_a_changed_file_takes_effect_with_a_restart(daemons: Daemons) -> None:
    """It is read at each start; the configuration has not changed."""
    daemon = daemons.prepare()
    file = daemon.dir / "web.env"
    file.write_text("A=before\n")
    daemon.configure(program("web", SLEEPER, startsecs=0, env_file="web.env"))
    daemon.start()
    assert environment(daemon, "web")["A"] == "before"
    file.write_text("A=after\n")
    daemon.ctl("restart", "web")
    assert environment(daemon, "web")["A"] == "after"


def test_a_path_in_the_file_finds_the_command(daemons: Daemons) -> None:
    """PATH counts for the search of the command, wherever it comes from."""
    daemon = daemons.prepare()
    (daemon.dir / "bin").mkdir()
    (daemon.dir / "bin/own-sleeper").symlink_to("/bin/sleep")
    (daemon.dir / "web.env").write_text(f"PATH={daemon.dir}/bin\n")
    daemon.configure(program("web", "own-sleeper 100000", startsecs=0, env_file="web.env"))
    pid = daemon.start().wait_state("web", "RUNNING")["pid"]
    wait_until(lambda: comm(pid) == "own-sleeper", what="it runs the command in its own PATH")


@pytest.mark.parametrize("text", [None, f"A=1\nB {SECRET}\n"])
def test_a_file_that_cannot_be_used_is_a_failed_start(daemons: Daemons, text: str | None) -> None:
    """Its path is named, never what is in it; when it can be used, a start is all it takes."""
    daemon = daemons.prepare()
    file = daemon.dir / "web.env"
    if text is not None:
        file.write_text(text)
    daemon.configure(program("web", SLEEPER, startsecs=0, startretries=0, env_file="web.env"))
    reason = daemon.start().wait_state("web", "FATAL")["reason"]
    cause = "No such file or directory" if text is None else "line 2: expected NAME=VALUE"
    assert f'cannot read the env_file "{file}": {cause}' in reason
    file.write_text("A=1\n")
    daemon.ctl("start", "web")
    assert environment(daemon, "web")["A"] == "1"


def test_what_is_no_file_is_refused_at_once(daemons: Daemons) -> None:
    """A FIFO that nobody writes to does not stop the daemon."""
    daemon = daemons.prepare()
    os.mkfifo(daemon.dir / "pipe")
    daemon.configure(
        program("pipe", SLEEPER, startretries=0, env_file="pipe")
        + program("folder", SLEEPER, startretries=0, env_file="-.")
    )
    daemon.start()
    for name in ("pipe", "folder"):
        assert "it is no regular file" in daemon.wait_state(name, "FATAL")["reason"]


def test_secrets_are_nowhere_but_in_the_program(daemons: Daemons) -> None:
    """Not in the log, the state, a reply of the daemon or an argument of a process."""
    daemon = daemons.prepare(settings='log_level = "debug"')
    (daemon.dir / "web.env").write_text(f"TOKEN={SECRET}\n")
    daemon.configure(
        program("web", SLEEPER, startsecs=0, env_file="web.env")
        + program("broken", ["no-such-command"], startretries=0, env_file="web.env")
    )
    daemon.start()
    assert environment(daemon, "web")["TOKEN"] == SECRET
    daemon.wait_state("broken", "FATAL")
    said = [
        daemon.ctl(*words, code=None).stdout
        for words in (("status", "--json"), ("why", "web"), ("why", "broken"), ("events",),
                      ("runs", "--json"), ("explain", "web"), ("avail",))
    ]  # fmt: skip
    said += [Path(f"/proc/{pid}/cmdline").read_text() for pid in daemon.marked()]
    assert all(SECRET not in text for text in said)
    for folder in ("run", "state", "log"):
        files = [path for path in (daemon.dir / folder).rglob("*") if path.is_file()]
        assert files
        assert all(SECRET.encode() not in path.read_bytes() for path in files)
