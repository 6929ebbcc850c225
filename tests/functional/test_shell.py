"""The interactive shell on a real terminal, fg and send, and completion in real shells."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import environment_of, slctl_command
from tests.programs import SLEEPER, program
from tests.support import Daemon, Daemons, wait_until

PROGRAMS = (
    program("cat", ["cat"], stdin="pipe")
    + program("w", SLEEPER, numprocs=2, process_name="%(program_name)s_%(process_num)d")
    + program("late", SLEEPER, autostart=False)
)


class Terminal:
    """A process on a terminal of its own; what it prints is read as it comes."""

    def __init__(self, command: list[str], **environment: str) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**environment_of("shell"), "TERM": "dumb", **environment},
        )  # fmt: skip
        os.close(slave)
        self.seen = ""

    def type(self, text: str) -> None:
        """Type, as a person would."""
        os.write(self.master, text.encode())

    def expect(self, text: str, limit: float = 15.0) -> None:
        """Wait until something is printed that was not expected before."""
        end = time.monotonic() + limit
        while text not in self.seen:
            left = end - time.monotonic()
            assert left > 0, f"not within {limit} s: {text!r}; got {self.seen!r}"
            if select.select([self.master], [], [], left)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode(errors="replace")
                except OSError:
                    raise AssertionError(f"ended before {text!r}: {self.seen!r}") from None
        self.seen = self.seen.partition(text)[2]

    def close(self) -> int:
        """Wait for its end and return the exit code."""
        code = self.process.wait(15)
        os.close(self.master)
        return code


@pytest.fixture
def daemon(daemons: Daemons) -> Daemon:
    """A daemon with a program that echoes."""
    made = daemons(PROGRAMS)
    made.wait_state("cat", "RUNNING")
    made.wait_state("w:w_1", "RUNNING")
    return made


@pytest.fixture
def shell(daemon: Daemon, tmp_path: Path) -> Iterator[Terminal]:
    """The shell, at its first prompt."""
    terminal = Terminal([*slctl_command(), "-s", str(daemon.socket)], XDG_STATE_HOME=str(tmp_path))
    terminal.expect("cat ")
    terminal.expect("slctl> ")
    yield terminal
    if terminal.process.poll() is None:
        terminal.process.kill()
        terminal.close()


def test_the_shell_shows_the_status_and_runs_commands(shell: Terminal) -> None:
    """Status first, then one command a line; it always ends with 0."""
    shell.type("pid cat\n")
    shell.expect("slctl> ")
    shell.type("frobnicate\n")
    shell.expect('there is no command "frobnicate"')
    shell.type("stop 'w:*'\n")
    shell.expect("w:w_0: stopped")
    shell.type("quit\n")
    assert shell.close() == 0


def test_tab_completes_commands_and_live_names(shell: Terminal) -> None:
    """`:` belongs to a name; groups are offered too."""
    shell.type("stat\tw:w_0\n")
    shell.expect("w:w_0 ")
    shell.expect("slctl> ")
    shell.type("start la\t\n")
    shell.expect("late: started")
    shell.type("exit\n")
    assert shell.close() == 0


def test_shutdown_asks_first(shell: Terminal, daemon: Daemon) -> None:
    """What ends everything is asked back; anything but yes means no."""
    shell.type("shutdown\n")
    shell.expect("y/N?")
    shell.type("n\n")
    shell.expect("slctl> ")
    assert daemon.answers()
    shell.type("\x04")
    assert shell.close() == 0


def test_history_is_kept(shell: Terminal, daemon: Daemon, tmp_path: Path) -> None:
    """The next shell knows the lines of this one."""
    shell.type("pid late\n")
    shell.expect("slctl> ")
    shell.type("quit\n")
    assert shell.close() == 0
    assert "pid late" in (tmp_path / "supervisor-lite" / "slctl_history").read_text()


def test_send_reaches_the_program(daemon: Daemon) -> None:
    """A line goes to its input."""
    daemon.ctl("send", "cat", "hello", "world")
    wait_until(lambda: "hello world\n" in daemon.ctl("tail", "cat").stdout, what="the echo")


def test_send_to_a_program_without_a_pipe_says_how(daemon: Daemon) -> None:
    """The text names the option."""
    done = daemon.ctl("send", "w:w_0", "x", code=1)
    assert 'stdin = "pipe"' in done.stderr


def test_fg_shows_output_and_sends_lines(daemon: Daemon) -> None:
    """Typed lines are answered; Ctrl-C leaves the program running."""
    pid = daemon.status("cat")["pid"]
    terminal = Terminal([*slctl_command(), "-s", str(daemon.socket), "fg", "cat"])
    terminal.expect("Press Ctrl-C")
    daemon.ctl("send", "cat", "are you there")
    terminal.expect("are you there")
    terminal.type("typed here\n")
    terminal.expect("typed here")  # the terminal's echo
    terminal.expect("typed here")  # the program's answer
    terminal.process.send_signal(2)
    terminal.expect("Exiting foreground")
    assert terminal.close() == 0
    assert daemon.status("cat")["pid"] == pid


def test_fg_ends_when_the_process_does(daemon: Daemon) -> None:
    """As in Supervisor: "Process got killed"."""
    terminal = Terminal([*slctl_command(), "-s", str(daemon.socket), "fg", "cat"])
    terminal.expect("Press Ctrl-C")
    daemon.ctl("stop", "cat")
    terminal.expect("Process got killed")
    assert terminal.close() == 1


@pytest.fixture
def wrapper(daemon: Daemon, tmp_path: Path) -> Path:
    """A directory with a `slctl` that knows where this daemon is."""
    command = " ".join([*map(_quoted, slctl_command()), "-s", str(daemon.socket)])
    directory = tmp_path / "bin"
    directory.mkdir()
    script = directory / "slctl"
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o755)
    return directory


def _interactive(wrapper: Path, *command: str) -> Terminal:
    """Return a shell that finds that `slctl`, and has a prompt that nothing else looks like."""
    path = f"{wrapper}:{os.environ['PATH']}"
    return Terminal(list(command), PATH=path, PS1="READY> ", PROMPT="READY> ", HOME=str(wrapper))


def test_bash_completes(daemon: Daemon, wrapper: Path) -> None:
    """Commands, live names with colons, streams, signals, options, files; what they mean."""
    (wrapper / "some.toml").touch()
    terminal = _interactive(wrapper, "bash", "--norc", "--noprofile", "-i")
    terminal.type("PS1='READY''> '; bind 'set bell-style none'\n")
    terminal.expect("READY> ")
    terminal.type(f'cd {wrapper}; eval "$(slctl completion bash)"; declare -F _slctl\n')
    terminal.expect("\n_slctl")
    for typed, completed in (
        ("slctl statu\t", "slctl status "),
        ("slctl stop w:w_\t", "slctl stop w:w_"),
        ("slctl tail cat stdo\t", "slctl tail cat stdout "),
        ("slctl signal WIN\t", "slctl signal WINCH "),
        ("slctl start --no-w\t", "slctl start --no-wait "),
        ("slctl check so\t", "slctl check some.toml "),
        ("slctl -s /tmp/none status --js\t", "status --json "),
    ):
        terminal.type(typed)
        terminal.expect(completed)
        terminal.type("\x15")  # Ctrl-U: nothing is left of the line
    terminal.type("slctl re\t\t")
    terminal.expect("reload           (stop everything, start the new configuration)")
    terminal.process.kill()
    terminal.close()


def test_zsh_completes_at_the_first_tab(daemon: Daemon, wrapper: Path) -> None:
    """The file in `fpath` is loaded by the first Tab, which completes something already."""
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    (wrapper / "_slctl").write_text(daemon.ctl("completion", "zsh").stdout)
    terminal = _interactive(wrapper, "zsh", "-f", "-i")
    terminal.type(f"PROMPT='READY''> '; fpath=({wrapper} $fpath); autoload -U compinit; ")
    terminal.type("compinit -u -D; unsetopt zle_bracketed_paste\n")
    terminal.expect("READY> ")
    for typed, completed in (
        ("slctl statu\t", "status "),
        ("slctl stop lat\t", "late "),
        ("slctl stop w:w_\t", "w:w_0"),
        ("slctl tail cat stdo\t", "stdout "),
    ):
        terminal.type(typed)
        terminal.expect(completed)
        terminal.type("\x15")  # Ctrl-U: nothing is left of the line
    terminal.type("slctl re\t\t")
    terminal.expect("stop everything, start the new configuration")
    terminal.process.kill()
    terminal.close()


def test_fish_completes(daemon: Daemon, wrapper: Path) -> None:
    """What fish would show for a line: words with what they mean, and files."""
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    (wrapper / "some.toml").touch()
    lines = ("slctl sta", "slctl stop w:", "slctl signal WIN", "slctl start --no", "slctl check so")
    script = "; ".join(f"complete --do-complete '{line}'" for line in lines)
    done = subprocess.run(
        ["fish", "-c", f"slctl completion fish | source; {script}"],
        capture_output=True, text=True, timeout=60, cwd=wrapper,
        env={**environment_of("shell"), "PATH": f"{wrapper}:{os.environ['PATH']}",
             "HOME": str(wrapper)},
    )  # fmt: skip
    for wanted in (
        "status\twhat is up, and why the rest is not",
        "w:w_0", "w:*", "WINCH", "--no-wait\tdo not wait until it is true", "some.toml",
    ):  # fmt: skip
        assert wanted in done.stdout, done


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
