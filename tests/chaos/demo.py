"""A minute for a sceptic: kill -9 the daemon, again and again, and look at what is left.

`make demo-crash`. Everything happens in a directory of its own below /tmp, which is gone after.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.chaos.tools import chain, check_lines, kill, upgrade, writer
from tests.support import Daemon, Daemons, alive, wait_until

NAMES = ("orders", "mails", "invoices")
BLOWS = 5


def say(text: str) -> None:
    """Print a paragraph, as fast as one can read."""
    print(f"\n{text}", flush=True)
    time.sleep(1)


def command(text: str) -> None:
    """Print what an operator would type."""
    print(f"  $ {text}", flush=True)


def show(text: str) -> None:
    """Print an answer."""
    for line in text.rstrip().splitlines():
        print(f"    {line}", flush=True)


def parent(pid: int) -> int:
    """Return the parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def status(daemon: Daemon) -> dict[str, int]:
    """Show `slctl status`; return the pids."""
    command("slctl status")
    show(daemon.ctl("status").stdout)
    return {name: daemon.status(name)["pid"] for name in NAMES}


def written(daemon: Daemon) -> int:
    """Return how many bytes are in all the log files."""
    logs = (daemon.dir / f"log/{name}.stdout.log" for name in NAMES)
    return sum(path.stat().st_size for log in logs for path in chain(log))


def blow(daemon: Daemon, pids: dict[str, int]) -> None:
    """Kill the daemon, look at its orphans, start the next."""
    old = daemon.pid
    command(f"kill -9 {old}")
    kill(daemon)
    parents = {parent(pid) for pid in pids.values()}
    before = written(daemon)
    time.sleep(0.5)  # for the programs to write while nobody reads
    assert old not in parents, f"the daemon that was killed, {old}, is still a parent"
    assert written(daemon) == before, "somebody has written to the logs without a daemon"
    show(f"nobody reads the logs now; the programs write on, their parent is {parents}")
    began = time.monotonic()
    command(f"supervisor-lite -c {daemon.config} &")
    daemon.start()
    show(f"pid {daemon.pid}, answering after {time.monotonic() - began:.2f} s")
    after = {name: daemon.status(name)["pid"] for name in NAMES}
    assert after == pids, f"{after} is not {pids}"
    wait_until(lambda: written(daemon) > before, what="the logs go on")
    show("the same programs: " + ", ".join(f"{name} {pid}" for name, pid in after.items()))


def main() -> int:
    """Run the demonstration; return an exit code."""
    made = Daemons()
    try:
        daemon = made.prepare(
            "".join(
                writer(name, pause=0.002, batch=2, stdout_logfile_maxbytes="100KB",
                       stdout_logfile_backups=1000)
                for name in NAMES
            )
        )  # fmt: skip
        say("Three programs write numbered lines, a thousand a second each; their logs rotate"
            f" every 100 kB.\nEverything is in {daemon.dir}.")  # fmt: skip
        command(f"supervisor-lite -c {daemon.config} &")
        daemon.start()
        for name in NAMES:
            daemon.wait_state(name, "RUNNING")
        pids = status(daemon)
        say(f"Now the daemon is killed, {BLOWS} times, without any warning.")
        for _ in range(BLOWS):
            blow(daemon, pids)
        say("An upgrade is the same thing, only politely: it executes itself anew.")
        command("slctl upgrade")
        before = daemon.pid
        upgrade(daemon)
        assert daemon.pid == before, f"the pid of the daemon was {before} and is {daemon.pid}"
        after = status(daemon)
        assert after == pids, f"{after} is not {pids}"
        say("Why are they where they are?")
        command(f"slctl why {NAMES[0]}")
        show(daemon.ctl("why", NAMES[0], code=None).stdout)
        say("Now everything is stopped, and the lines are counted. Each program writes as its"
            " last line how many it has written.")  # fmt: skip
        command("slctl shutdown")
        show(daemon.ctl("shutdown").stdout)
        daemon.wait_exit()
        for name in NAMES:
            log = daemon.dir / f"log/{name}.stdout.log"
            count, files = check_lines(log), len(chain(log))
            show(f"{name}: {count} lines in {files} files, every one there, once and in order")
        # Their parent is pid 1 since the first blow, and it may reap late: a zombie has ended.
        left = [f"{name} ({pid})" for name, pid in pids.items() if alive(pid)]
        assert not left, f"still alive after the shutdown: {', '.join(left)}"
        say(f"{BLOWS} times kill -9, one upgrade: no process, no pid and no line was lost.")
    except AssertionError as error:
        print(f"\nThat is not what was promised: {error or repr(error)}", file=sys.stderr)
        return 1
    finally:
        made.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
