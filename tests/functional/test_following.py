"""Reading and following output: nothing is left out, nothing comes twice, whatever dies between."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.client import slctl_command
from tests.functional.test_shell import Terminal
from tests.programs import SLEEPER, echoer, program
from tests.support import Daemon, Daemons, wait_until

COUNTER = 'python3 -uc "import time\nfor n in range(10 ** 9):\n    print(n)\n    time.sleep(0.001)"'
"""Prints numbers, without an end."""


class Followed:
    """A `slctl … -f` whose output goes to a file."""

    def __init__(self, daemon: Daemon, *words: str) -> None:
        name = "-".join(word.strip("-") for word in words)
        self.out, self.err = daemon.dir / f"{name}.out", daemon.dir / f"{name}.err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = daemon.spawn_ctl(*words, stdout=out, stderr=err)

    def wait_for(self, text: str) -> None:
        """Wait until it has shown this."""
        wait_until(lambda: text in self.out.read_text(), 30, f"{text!r} in {self.out}")

    def said(self) -> str:
        """What it has said on stderr."""
        return self.err.read_text()

    def wait_for_daemons(self, count: int) -> None:
        """Wait until it has gone on with so many daemons after its first one."""
        wait_until(lambda: self.said().count("going on") == count, 30, "it goes on")

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


@contextlib.contextmanager
def followed(*followers: Followed) -> Iterator[None]:
    try:
        yield
    finally:
        for follower in followers:
            follower.end()


def numbers(path: Path, prefix: str = "") -> list[int]:
    lines = path.read_text().split("\n")[:-1]
    return [int(line.removeprefix(prefix)) for line in lines if line.startswith(prefix)]


def is_complete(found: list[int]) -> bool:
    return bool(found) and found == list(range(found[0], found[-1] + 1))


def die_and_come_back(daemon: Daemon) -> None:
    assert daemon.process is not None
    daemon.process.kill()
    daemon.process.wait()
    daemon.start()


def test_every_follower_survives_the_daemon(daemons: Daemons) -> None:
    """kill -9, an upgrade, rotation all the while: no gap, no line twice, a remark on stderr."""
    daemon = daemons(
        program("count", COUNTER, startsecs=0, stdout_logfile_maxbytes="3KB",
                stdout_logfile_backups=200)
        + program("cat", "cat", stdin="pipe", startsecs=0)
    )  # fmt: skip
    daemon.wait_running("count", "cat")
    tail = Followed(daemon, "tail", "-f", "-0", "count")
    logs = Followed(daemon, "logs", "-f")
    named = Followed(daemon, "logs", "-f", "-n", "0", "c*")
    events = Followed(daemon, "events", "-f", "--json", "-n", "0")
    main = Followed(daemon, "maintail", "-f")
    followers = [tail, logs, named, events, main]
    with followed(*followers):
        for follower in (tail, logs, named):
            wait_until(lambda f=follower: f.out.stat().st_size > 0, what="it follows")  # type: ignore[misc]
        daemon.ctl("restart", "cat")
        events.wait_for('"to": "RUNNING"')
        for round_number in range(2):
            die_and_come_back(daemon)
            daemon.ctl("upgrade")
            for follower in followers:
                follower.wait_for_daemons(2 * round_number + 2)
            daemon.ctl("send", "cat", f"after {round_number}")
            logs.wait_for(f"cat   | after {round_number}\n")
            daemon.ctl("restart", "cat")
        daemon.configure(
            program("count", COUNTER, startsecs=0, stdout_logfile_maxbytes="3KB",
                    stdout_logfile_backups=200)
            + program("cat", "cat", stdin="pipe", startsecs=0)
            + program("later", "sh -c 'echo from the first line on; exec sleep 100000'")
            + program("cheap", "sh -c 'echo matches; exec sleep 100000'")
        )  # fmt: skip
        daemon.ctl("update")
        logs.wait_for("later | from the first line on\n")
        named.wait_for("cheap | matches\n")
        assert "later" not in named.out.read_text()
        serial = daemon.events()[-1]["serial"]
        events.wait_for(f'"serial": {serial},')
        daemon.ctl("stop", "count")
        last = (daemon.dir / "log/count.stdout.log").read_text().split()[-1]
        tail.wait_for(f"{last}\n")
        for follower in (logs, named):
            follower.wait_for(f"count | {last}\n")
        main.wait_for("upgraded")
    for path, prefix in ((tail.out, ""), (logs.out, "count | "), (named.out, "count | ")):
        assert is_complete(numbers(path, prefix)), path
    serials = [json.loads(line)["serial"] for line in events.out.read_text().splitlines()]
    assert is_complete(serials)
    assert "took over" in main.out.read_text()
    for follower in followers:
        remarks = set(follower.said().splitlines())
        assert remarks == {"[the daemon has hung up: waiting for the next one]",
                           "[a daemon answers again: going on]"}  # fmt: skip


def test_followers_wait_for_a_daemon_and_end_with_it(daemons: Daemons) -> None:
    """One that left its programs running is waited for; one that was shut down is not."""
    daemon = daemons(program("echo", echoer("echo")))
    tail = Followed(daemon, "tail", "-f", "echo")
    with followed(tail):
        daemon.say("echo", "one\n")
        tail.wait_for("one\n")
        daemon.ctl("shutdown", "--leave-running")
        assert daemon.wait_exit() == 0
        daemon.say("echo", "meanwhile\n")
        wait_until(lambda: "waiting" in tail.said(), what="the remark")
        daemon.start()
        tail.wait_for("one\nmeanwhile\n")
        daemon.say("echo", "last words\n")
        daemon.ctl("shutdown")
        assert tail.process.wait(20) == 0
    assert tail.out.read_text() == "one\nmeanwhile\nlast words\n"
    assert tail.said().endswith("[the daemon has been shut down]\n")


def test_any_amount_is_read(daemons: Daemons) -> None:
    """Many MB, over rotated files, come whole; so does what a slow reader has left for a while."""
    count = 1_200_000
    daemon = daemons(
        program("big", f"sh -c 'seq 1 {count}; touch %(here)s/done; exec sleep 100000'",
                startsecs=0, stdout_logfile_maxbytes="2MB", stdout_logfile_backups=20)
    )  # fmt: skip
    wait_until((daemon.dir / "done").exists, 60)
    wait_until(lambda: str(count) in daemon.ctl("tail", "-20", "big").stdout, 60)
    whole = "".join(f"{n}\n" for n in range(1, count + 1)).encode()
    digest = hashlib.sha256(whole).hexdigest()

    def read(*words: str) -> tuple[str, str]:
        with daemon.spawn_ctl(*words) as client:
            out, err = client.communicate(timeout=120)
        assert client.returncode == 0
        return hashlib.sha256(out.replace(b"big | ", b"")).hexdigest(), err.decode()

    assert read("logs", "-n", "100000000", "big") == (digest, "")
    assert read("tail", "-100000000", "big") == (digest, "")
    last = whole[whole.index(b"\n200001\n") + 1 :]
    assert read("logs", "-n", "1000000", "big") == (hashlib.sha256(last).hexdigest(), "")
    # Nobody waits for a reader that stands still, and it misses nothing.
    with daemon.spawn_ctl("tail", "-f", "-100000000", "big") as slow:
        assert slow.stdout is not None
        first = slow.stdout.read(10)
        daemon.ctl("restart", "big")
        wait_until(lambda: daemon.ctl("tail", "-20", "big").stdout.endswith(f"{count}\n"), 60)
        rest = slow.stdout.read(2 * len(whole) - 10)
        slow.kill()
    assert hashlib.sha256(first + rest).hexdigest() == hashlib.sha256(whole * 2).hexdigest()


def test_two_streams_come_in_the_order_of_arrival(daemons: Daemons) -> None:
    """What another daemon has seen comes stream by stream."""
    daemon = daemons(
        program("both", "sh -c 'while read stream text; do echo $text >&$stream; done'",
                stdin="pipe", startsecs=0)
    )  # fmt: skip
    live = Followed(daemon, "logs", "-f")
    expected = []
    with followed(live):
        for number, stream in enumerate((1, 2, 2, 1, 2, 1)):
            daemon.ctl("send", "both", f"{stream} line {number}")
            mark = "|" if stream == 1 else "!"
            expected.append(f"both {mark} line {number}")
            live.wait_for(expected[-1])
    assert live.out.read_text().splitlines() == expected
    assert daemon.ctl("logs").stdout.splitlines() == expected
    assert daemon.ctl("logs", "-n", "1").stdout.splitlines() == expected[-2:]
    die_and_come_back(daemon)
    by_stream = sorted(expected, key=lambda line: "!" in line)
    assert daemon.ctl("logs").stdout.splitlines() == by_stream


def test_fg_ends_with_its_input_and_survives_the_daemon(daemons: Daemons) -> None:
    """Piped, closed, and by Ctrl-D on a terminal."""
    daemon = daemons(
        program("cat", "cat", stdin="pipe", startsecs=0) + program("sleep", SLEEPER, startsecs=0)
    )
    daemon.wait_running("cat", "sleep")
    banner, farewell = "==> Press Ctrl-C to exit <==\n", "Exiting foreground\n"

    def fg(stdin: bytes, name: str = "cat") -> tuple[int, str, str]:
        line = [*slctl_command(), "-c", str(daemon.config), "fg", name]
        done = subprocess.run(line, input=stdin, capture_output=True, timeout=60)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    assert fg(b"one\ntwo") == (0, f"{banner}one\ntwo{farewell}", "")
    assert fg(b"") == (0, f"{banner}{farewell}", "")
    many = b"".join(b"%d\n" % n for n in range(300))
    code, out, err = fg(many)
    assert (code, err) == (0, "")
    assert many.decode() in out
    code, _, err = fg(b"x\n", "sleep")
    assert (code, 'stdin = "pipe"' in err) == (0, True)
    closed = ["sh", "-c", 'exec "$@" <&-', "sh", *slctl_command(), "-c", str(daemon.config)]
    done = subprocess.run([*closed, "fg", "cat"], capture_output=True, timeout=60, text=True)
    assert (done.returncode, done.stdout) == (0, f"{banner}{farewell}")
    terminal = Terminal([*slctl_command(), "-s", str(daemon.socket), "fg", "cat"])
    terminal.expect("Press Ctrl-C")
    terminal.type("before\n")
    terminal.expect("before")
    terminal.expect("before")
    die_and_come_back(daemon)
    terminal.expect("going on")
    terminal.type("typed\n")
    terminal.expect("typed")
    terminal.expect("typed")
    terminal.type("\x04")
    terminal.expect("Exiting foreground")
    assert terminal.close() == 0
