"""Options, help, exit codes, streams, and what is loaded."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from supervisor_lite import __version__
from supervisor_lite.ctl.main import dispatch, main
from supervisor_lite.ctl.options import HelpAsked, UsageError, parse, seconds
from supervisor_lite.ctl.render import Style, table
from supervisor_lite.protocol.commands import SLCTL
from supervisor_lite.text import columns
from tests.ctl.conftest import ROOT, Serve, Slctl
from tests.ctl.fake import Connection, Params, error, process, result

HEAVY = (
    "asyncio", "structlog", "psutil", "email", "ssl", "subprocess", "inspect", "dataclasses",
    "argparse", "logging", "socket", "pathlib", "datetime", "shutil", "tempfile", "threading",
    "difflib", "re", "unicodedata", "json", "enum", "functools", "tomli", "tomllib",
    "supervisor_lite.errors", "supervisor_lite.config",
    "supervisor_lite.rules", "supervisor_lite.ctl.commands.help",
    "supervisor_lite.ctl.commands.processes",
    "supervisor_lite.ctl.commands.output",
)  # fmt: skip


def test_status_loads_nothing_heavy(serve: Serve, slctl: Slctl) -> None:
    """What `slctl status` imports is what it costs."""
    serve(status=result({"now": 98, "processes": [process("web")]}))
    code = (
        "import sys; before = set(sys.modules)\n"
        "from supervisor_lite.ctl.main import main\n"
        f"main(['-s', {slctl.path!r}, 'status'])\n"
        "sys.stderr.write('\\n'.join(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    loaded = done.stderr.split()
    assert "supervisor_lite.ctl.commands.status" in loaded
    assert done.stdout.startswith("web  ")
    assert [name for name in HEAVY if name in loaded] == []


def test_every_command_exists_and_has_a_help_text(capsys: pytest.CaptureFixture[str]) -> None:
    for name, row in SLCTL.items():
        assert callable(dispatch(row.module).functions[name])
        assert main(["help", name]) == 0
        text = capsys.readouterr().out
        assert text.startswith(f"usage: slctl {name}")
        for option in ("-h", "--help"):
            assert main([name, option]) == 0
            assert capsys.readouterr().out == text or name == "help"


def test_the_help_text_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == main(["help"]) == main(["-h"]) == 0
    out = capsys.readouterr().out
    assert all(out.count(f"\n  {name} ") == 3 for name in SLCTL)


def test_version_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"slctl {__version__}\n"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["statsu"], 'there is no command "statsu"; did you mean status?'),
        (["zzzz"], 'there is no command "zzzz"\n'),
        (["\x1b[2J"], 'there is no command "\\x1b[2J"'),
        (["help", "restrat"], 'there is no command "restrat"; did you mean restart?'),
        (["start", "--nowait", "web"], "there is no option --nowait; did you mean --no-wait?"),
        (["start", "--no-wait=1", "web"], "--no-wait takes no value"),
        (["start", "web", "--timeout"], "--timeout needs a value"),
        (["start", "web", "--timeout", "soon"], '"soon" is not a number of seconds'),
        (["logs", "-n", "x"], '"x" is not a whole number'),
        (["--\x1b[2Jx"], "there is no option --\\x1b[2Jx"),
        (["--colour", "status"], "there is no option --colour; did you mean --color?"),
        (["--color", "red", "status"], "--color is one of auto, always, never"),
        (["-s", "http://localhost:9001", "status"], "slctl does not speak HTTP"),
        (["reload", "web"], 'cannot use "web" here'),
    ],
)
def test_usage_errors(capsys: pytest.CaptureFixture[str], words: list[str], text: str) -> None:
    """Exit 2, what is wrong, and how to do it right; nothing on stdout."""
    assert main(["-s", "/nonexistent", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert "usage: slctl" in err


def test_options_are_found_anywhere() -> None:
    known = {"-f": "follow", "-n": "lines=", "--lines": "lines=", "-#": "bytes="}
    for words in (["-f", "-n", "5", "web"], ["web", "-n5", "-f"], ["web", "--lines=5", "-f"]):
        given = parse(words, known)
        assert (given.words, given.has("follow"), given.text("lines")) == (["web"], True, "5")
    given = parse(["-100", "--", "-f", "-"], known)
    assert (given.words, given.has("follow"), given.integer("bytes", 1)) == (
        ["-f", "-"],
        False,
        100,
    )
    given = parse(["-n", "3", "web", "-f"], known, leading=True)
    assert (given.words, given.integer("lines", 1), given.has("follow")) == (
        ["web", "-f"],
        3,
        False,
    )
    with pytest.raises(HelpAsked):
        parse(["web", "-h"], known)
    with pytest.raises(UsageError):
        parse(["-n", "9" * 5000], known).integer("lines", 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [("10", 10.0), ("2.5", 2.5), ("1m30s", 90.0), ("500ms", 0.5), ("1h", 3600.0), ("0", 0.0),
     ("1.5h", 5400.0), ("2d", 172800.0)],
)  # fmt: skip
def test_seconds(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(
    "text", ["", "-1", "1m30", "s", "1 s", "nan", "inf", "1e3", "9" * 400, "٣"]
)
def test_no_seconds(text: str) -> None:
    with pytest.raises(UsageError):
        seconds(text)


@pytest.mark.parametrize("prefix", ["", "unix://"])
def test_the_socket_may_be_an_url(
    serve: Serve, socket_path: str, capsys: pytest.CaptureFixture[str], prefix: str
) -> None:
    serve(version=result({"version": "1"}))
    assert main([f"-s{prefix}{socket_path}", "version"]) == 0
    assert capsys.readouterr().out == "1\n"


def test_the_socket_is_found_in_the_configuration(
    serve: Serve, socket_path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(version=result({"version": "1"}))
    file = tmp_path / "x.toml"
    file.write_text(f'[daemon]\nsocket = "{socket_path}"\n')
    assert main(["-c", str(file), "version"]) == 0
    assert capsys.readouterr().out == "1\n"


def test_the_configuration_may_be_named_after_the_command_and_by_the_environment(
    serve: Serve, capsys: pytest.CaptureFixture[str], tmp_path: Path, socket_path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The command line comes first, and in it what is typed last; an error names the variable."""
    config = tmp_path / "supervisor.toml"
    config.write_text(f'[daemon]\nsocket = "{socket_path}"\n')
    serve(pid=result({"pid": 1}))
    assert main(["pid", "-c", str(config)]) == 0
    assert main(["-c", "/none", "pid", "--config", str(config)]) == 0
    assert main(["-c", "/none", "pid", "-s", socket_path]) == 0
    assert main(["-s", "/none", "pid", f"-c{config}"]) == 0
    monkeypatch.setenv("SLCTL_CONFIG", str(config))
    assert main(["pid"]) == 0
    assert main(["-c", "", "pid"]) == 0
    capsys.readouterr()
    assert main(["-c", "/none", "pid"]) == 2
    assert "SLCTL_CONFIG" not in capsys.readouterr().err
    monkeypatch.setenv("SLCTL_CONFIG", "/none")
    assert main(["pid"]) == 2
    assert '"/none" (named by SLCTL_CONFIG)' in capsys.readouterr().err
    assert main(["-s", socket_path, "pid"]) == 0


@pytest.mark.parametrize("text", ["[daemon\nsocket = 1", '[daemon]\nsocket = "%(nope)s"', None])
def test_a_configuration_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    file = tmp_path / "x.toml"
    if text is not None:
        file.write_text(text)
    assert main(["-c", str(file), "version"]) == 2
    said = capsys.readouterr().err
    assert f'cannot read the configuration "{file}"' in said
    assert "usage" not in said  # the command line was right
    assert "Errno" not in said


def test_a_method_that_the_daemon_does_not_have(serve: Serve, slctl: Slctl) -> None:
    serve()
    assert slctl("why", "web") == (
        1,
        "",
        'slctl: the daemon does not know "why": is it older than this slctl?\n',
    )


def test_wrong_parameters_are_a_usage_error(serve: Serve, slctl: Slctl) -> None:
    serve(signal=error(-32602, "there is no signal FOO"))
    assert slctl("signal", "FOO", "web") == (2, "", "slctl: there is no signal FOO\n")


def test_a_reader_that_goes_away(serve: Serve, slctl: Slctl) -> None:
    """`slctl status | head -1` ends quietly."""
    rows = [process(f"web_{number}") for number in range(5000)]
    serve(status=result({"now": 99, "processes": rows}))
    child = slctl.spawn("status")
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(20) == 141
    assert child.stderr.read() == b""
    child.stderr.close()


def test_a_disk_that_is_full(serve: Serve, slctl: Slctl) -> None:
    """A result that could not be written is a failure."""
    serve(version=result({"version": "1"}))
    with open("/dev/full", "wb") as full:
        child = slctl.spawn("version", stdout=full)
    _, err = child.communicate(timeout=20)
    assert child.returncode == 1
    assert err == b"slctl: cannot write the result: No space left on device\n"


def test_closed_streams(serve: Serve, slctl: Slctl) -> None:
    """`slctl version >&- 2>&-` still has its exit code."""
    serve(version=result({"version": "1"}))
    command = f"{sys.executable} -m supervisor_lite.ctl.main -s {slctl.path}"
    environment = {"PYTHONPATH": str(ROOT)}
    for words, code in (("version >&- 2>&-", 0), ("tail >&- 2>&-", 2)):
        done = subprocess.run(f"{command} {words}", shell=True, env=environment, timeout=30)
        assert done.returncode == code


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["status"], b""),
        (["stop", "web"], b"slctl: interrupted; the daemon goes on with the stop\n"),
    ],
)
def test_ctrl_c(serve: Serve, slctl: Slctl, words: list[str], message: bytes) -> None:
    """130 and no traceback; where it matters, what becomes of the request."""
    asked = threading.Event()

    def answer(connection: Connection, number: Any, params: Params) -> None:
        asked.set()

    serve(status=answer, stop=answer)
    child = slctl.spawn(*words)
    assert asked.wait(20)
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=20) == (b"", message)
    assert child.returncode == 130


def on_terminal(slctl: Slctl, *words: str, **environment: str) -> tuple[str, int]:
    """Return what slctl writes to a terminal, stdout and stderr, and the exit code."""
    ours, theirs = os.openpty()
    base = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    command = [sys.executable, "-m", "supervisor_lite.ctl.main", "-s", slctl.path, *words]
    child = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs,
        env={**base, "PYTHONPATH": str(ROOT), "TERM": "xterm", **environment},
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while True:
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # how Linux tells that the other side is closed
            break
        seen += chunk
    os.close(ours)
    return seen.decode().replace("\r\n", "\n"), child.wait(20)


def test_a_terminal_gets_colour_hints_and_fitting_lines(serve: Serve, slctl: Slctl) -> None:
    rows = [
        process("web", stale=True),
        process("bad", "FATAL", reason="exit 1: " + "long " * 30),
    ]
    serve(status=result({"now": 100, "processes": rows}))
    text, code = on_terminal(slctl, "status", COLUMNS="80")
    lines = text.splitlines()
    assert code == 3
    assert lines[0].split("\x1b[32mRUNNING\x1b[0m   ")[1] == "pid 123, uptime 0:00:02; stale"
    assert "\x1b[31mFATAL\x1b[0m     exit 1" in lines[1]
    assert lines[1].endswith("…")
    plain = lines[1].replace("\x1b[31m", "").replace("\x1b[0m", "")
    assert len(plain) <= 80
    assert lines[2] == "bad gave up: `slctl why bad` tells the story"
    assert lines[3] == "the configuration has changed: `slctl update web` applies it"


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_status_never_wraps(serve: Serve, slctl: Slctl, width: int) -> None:
    """The column of names is as wide as they are; wide characters take two columns."""
    long = "very-long-name-of-a-group:" + "and-of-a-process-in-it-" * 2 + "0"
    short = [process("web"), process("日本語", "FATAL", reason="理由 " * 40)]
    answers = iter([short, [process(long), *short]])
    serve(status=lambda *args: result({"now": 100, "processes": next(answers)})(*args))
    text, _ = on_terminal(slctl, "status", "--color=never", COLUMNS=str(width))
    lines = text.splitlines()[:2]
    assert lines[0].startswith("web     RUNNING   pid 123"), lines
    assert lines[1].startswith("日本語  FATAL     理由"), lines
    assert all(columns(line) <= width for line in lines), lines
    text, _ = on_terminal(slctl, "status", "--color=never", COLUMNS=str(width))
    assert all(columns(line) <= width for line in text.splitlines()[:3]), text
    assert "pid 123" in text


def test_times_are_those_of_the_reader(
    serve: Serve, slctl: Slctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With their offset; `why` asks the daemon for them, unless that is too old."""
    change = {"serial": 1, "time": "2025-11-21T10:42:07.250Z", "name": "web", "from": "STOPPED"}
    run = {"run": 1, "name": "web", "spawned": None, "ended": "2025-11-21T10:42:07Z", "pid": None}
    told = {"processes": [{"fullname": "web", "lines": ["web is RUNNING"]}]}

    def why(connection: Connection, number: Any, params: Params) -> None:
        asked.append(params)
        reply = error(-32602, "unknown") if "offset" in params else result(told)
        reply(connection, number, params)

    asked: list[Params] = []
    serve(
        events=result({"changes": [{**change, "to": "STARTING"}]}),
        runs=result({"runs": [run]}),
        why=why,
    )
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert "2025-11-21T16:12:07.250+05:30" in slctl("events")[1]
        assert "2025-11-21T16:12:07+05:30" in slctl("runs")[1], "a failed spawn has a time, too"
        assert slctl("why", "web") == (0, "web is RUNNING\n", "")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert asked == [{"names": ["web"], "offset": "+05:30"}, {"names": ["web"]}]


@pytest.mark.parametrize(
    ("words", "environment", "coloured"),
    [
        (["status"], {"NO_COLOR": "1"}, False),
        (["status"], {"TERM": "dumb"}, False),
        (["status", "--color=never"], {}, False),
        (["--color", "always", "status"], {"NO_COLOR": "1"}, True),
        (["status"], {"NO_COLOR": ""}, True),
    ],
)
def test_colour_is_a_choice(
    serve: Serve, slctl: Slctl, words: list[str], environment: dict[str, str], coloured: bool
) -> None:
    serve(status=result({"now": 100, "processes": [process("web")]}))
    text, _ = on_terminal(slctl, *words, **environment)
    assert ("\x1b" in text) is coloured
    assert "RUNNING" in text


def test_a_pipe_has_colour_only_on_demand(serve: Serve, slctl: Slctl) -> None:
    serve(status=result({"now": 100, "processes": [process("web", stale=True)]}))
    assert "\x1b" not in slctl("status")[1]
    code, out, err = slctl("status", "--color=always")
    assert (code, err) == (0, "")
    assert out.endswith("\x1b[32mRUNNING\x1b[0m   pid 123, uptime 0:00:02; stale\n")


def test_a_locale_without_unicode(serve: Serve, slctl: Slctl) -> None:
    """What cannot be encoded is spelled out."""
    serve(status=result({"now": 100, "processes": [process("grün", "FATAL", reason="日")]}))
    environment = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "supervisor_lite.ctl.main", "-s", slctl.path, "status"]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (3, b"")
    assert done.stdout.split() == [b"gr\\xfcn", b"FATAL", b"\\u65e5"]


def test_tables_and_styles() -> None:
    assert table([["a", "bb", ""], ["ccc", "d", "e"]]) == ["a    bb", "ccc  d   e"]
    style = Style(terminal=True, colour=True, width=30)
    assert style.paint("", "31") == ""
    assert [style.cut("x" * n, 5) for n in (25, 26)] == ["x" * 25, "x" * 24 + "…"]


def test_json_is_one_document(serve: Serve, slctl: Slctl) -> None:
    """One process a line, for grep; one document, for jq."""
    serve(status=result({"now": 100, "processes": [process("a"), process("b")]}))
    _, out, _ = slctl("status", "--json")
    assert len(json.loads(out)["processes"]) == 2
    assert [line.count('"fullname"') for line in out.splitlines()] == [0, 1, 1, 0]
