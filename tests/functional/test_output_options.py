"""What may be done to the output of a program besides logging it, with a real daemon."""

from __future__ import annotations

import os
import signal
import sys

from tests.chaos.tools import crash
from tests.ears import ears, told
from tests.programs import echoer, program, sh
from tests.support import Daemon, Daemons, wait_until

BEGIN, END = "<!--XSUPERVISOR:BEGIN-->", "<!--XSUPERVISOR:END-->"


def log_is(daemon: Daemon, name: str, text: str) -> None:
    wait_until(lambda: daemon.text(f"log/{name}") == text, what=f"{name} is {text!r}")


def test_strip_ansi_is_for_every_program(daemons: Daemons) -> None:
    """Also for sequences that come in two pieces, and for titles of windows."""
    daemon = daemons(
        program("web", echoer("web"), startsecs=0)
        + program("err", sh(r"printf '\033[31mred\033[0m\n' >&2; exec sleep 1000"), startsecs=0),
        settings="strip_ansi = true",
    )
    log_is(daemon, "err.stderr.log", "red\n")
    daemon.say("web", "\x1b[1mbold\x1b[0m \x1b]0;ti")
    log_is(daemon, "web.stdout.log", "bold ")
    daemon.say("web", "tle\x07plain\n\x1b[3")
    log_is(daemon, "web.stdout.log", "bold plain\n")
    daemon.say("web", "8;5;1mx\n")
    log_is(daemon, "web.stdout.log", "bold plain\nx\n")
    assert daemon.ctl("tail", "web").stdout == "bold plain\nx\n"


def test_short_output_of_a_program_in_capture_mode_is_not_lost(daemons: Daemons) -> None:
    """Supervisor holds the last 24 bytes back, and loses them when the program ends."""
    daemon = daemons(
        program("short", sh("echo 0123456789; echo tail"), startsecs=0, autorestart=False,
                stdout_capture_maxbytes="1KB")
        + program("cut", sh("printf '%%s' '<!--XSUPERVISOR:BEG'"), startsecs=0, autorestart=False,
                  stdout_capture_maxbytes="1KB")
    )  # fmt: skip
    daemon.wait_state("short", "EXITED")
    assert daemon.text("log/short.stdout.log") == "0123456789\ntail\n"
    daemon.wait_state("cut", "EXITED")
    assert daemon.text("log/cut.stdout.log") == "<!--XSUPERVISOR:BEG"


def test_a_token_in_a_write_of_its_own(daemons: Daemons) -> None:
    daemon = daemons(
        ears(["PROCESS_COMMUNICATION"])
        + program("web", echoer("web"), startsecs=0, stdout_capture_maxbytes="1KB")
    )
    for part in (BEGIN, "a message", END):
        daemon.say("web", part)
    (event,) = told(daemon, "PROCESS_COMMUNICATION_STDOUT")
    assert event.payload.endswith("\na message")
    assert daemon.text("log/web.stdout.log") == ""


def test_a_killed_daemon_loses_nothing_of_what_is_looked_at(daemons: Daemons) -> None:
    """What is for the log is never only in its memory: not even half a sequence."""
    script = (
        "import sys, time\n"
        "for n in range(4000):\n"
        "    sys.stdout.write(f'\\x1b[3{n % 8}mline {n}\\x1b[0m\\n'); sys.stdout.flush()\n"
        "    n % 10 or time.sleep(0.01)\n"
        "print('\\x1b[1mend'); sys.stdout.flush(); time.sleep(1000)\n"
    )
    daemon = daemons(
        program("web", [sys.executable, "-c", script.replace("%", "%%")], startsecs=0,
                stdout_events_enabled=True, stdout_capture_maxbytes="1KB"),
        settings="strip_ansi = true",
    )  # fmt: skip
    wait_until(lambda: daemon.text("log/web.stdout.log"))
    for _ in range(3):
        crash(daemon)
    wait_until(lambda: daemon.text("log/web.stdout.log").endswith("end\n"), 30)
    assert (
        daemon.text("log/web.stdout.log") == "".join(f"line {n}\n" for n in range(4000)) + "end\n"
    )


def test_capture_and_events_can_be_switched_without_a_restart(daemons: Daemons) -> None:
    listener = ears(["PROCESS_LOG"])
    daemon = daemons(listener + program("web", echoer("web"), startsecs=0))
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    daemon.say("web", f"one {BEGIN}\n")
    log_is(daemon, "web.stdout.log", f"one {BEGIN}\n")
    daemon.configure(
        listener
        + program("web", echoer("web"), startsecs=0, stdout_capture_maxbytes=100,
                  stdout_events_enabled=True)
    )  # fmt: skip
    daemon.ctl("update")
    daemon.say("web", f"two{BEGIN}x{END}\n")
    log_is(daemon, "web.stdout.log", f"one {BEGIN}\ntwo\n")
    assert told(daemon, "PROCESS_LOG_STDOUT")[0].payload.partition("\n")[2][:3] == "two"
    assert daemon.status("web")["pid"] == pid


def test_what_goes_nowhere_else_can_be_heard_of_from_the_next_run_on(daemons: Daemons) -> None:
    """A child whose output is thrown away has to be started again for that."""
    listener = ears(["PROCESS_LOG"])
    web = {"command": sh("echo hello; exec sleep 1000"), "startsecs": 0, "stdout_logfile": "none"}
    daemon = daemons(listener + program("web", **web))  # type: ignore[arg-type]
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    daemon.configure(listener + program("web", **web, stdout_events_enabled=True))  # type: ignore[arg-type]
    daemon.ctl("update")
    (event,) = told(daemon, "PROCESS_LOG_STDOUT")
    assert event.payload.endswith("\nhello\n")
    assert daemon.status("web")["pid"] != pid


def test_what_waits_for_more_costs_nothing(daemons: Daemons) -> None:
    """Half a token is no reason to be awake."""
    daemon = daemons(program("web", echoer("web"), startsecs=0, stdout_capture_maxbytes=100))
    daemon.say("web", "text<!--XSUPERV")
    log_is(daemon, "web.stdout.log", "text")

    def ticks() -> int:
        fields = (daemon.dir / f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    for _ in range(5):
        daemon.say("web", "-")  # it is no token after all
    wait_until(lambda: daemon.text("log/web.stdout.log") == "text<!--XSUPERV-----")
    assert ticks() - before < os.sysconf("SC_CLK_TCK")


def test_keys_that_have_no_effect_are_accepted(daemons: Daemons) -> None:
    daemon = daemons(settings="nocleanup = true")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
