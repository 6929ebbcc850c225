"""An event listener that notes what it hears, for tests that run one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tests.programs import toml
from tests.support import Daemon, wait_until

SCRIPT = r'''
import json, os, sys, time
path = sys.argv[1]
events = os.fdopen(0, "r", newline="")
out = os.fdopen(1, "wb", buffering=0)

def does(word):
    """Is this what the test wants? It leaves a file of that name."""
    return os.path.exists(path + "." + word)

def note(**what):
    with open(path, "a") as file:
        file.write(json.dumps(what) + "\n")

while True:
    if does("silent"):
        time.sleep(0.02)
        continue
    out.write(b"READY\n")
    line = events.readline()
    if not line:
        break
    head = dict(word.split(":") for word in line.split())
    payload = events.read(int(head["len"]))
    note(pid=os.getpid(), line=line, payload=payload, at=time.monotonic())
    while does("hang"):
        time.sleep(0.02)
    if does("die"):
        os.unlink(path + ".die")
        os._exit(1)
    if does("babble"):
        out.write(b"RESULT what\n")
    elif does("fail"):
        out.write(b"RESULT 4\nFAIL")
    else:
        out.write(b"RESULT 2\nOK")
'''


@dataclass(frozen=True)
class Heard:
    """One event as a listener has got it."""

    pid: int
    line: str
    payload: str
    at: float
    """When it has got it (CLOCK_MONOTONIC)."""

    @property
    def head(self) -> dict[str, str]:
        """The words of the envelope."""
        return dict(word.split(":") for word in self.line.split())

    @property
    def name(self) -> str:
        """The name of the event."""
        return self.head["eventname"]

    @property
    def words(self) -> dict[str, str]:
        """The words of the first line of the payload."""
        return dict(word.split(":") for word in self.payload.split("\n")[0].split())


def ears(events: Sequence[str], name: str = "ears", **options: object) -> str:
    """Return an `[eventlistener.NAME]` table; see SCRIPT for what it does."""
    lines = [
        f"[eventlistener.{name}]",
        f"command = {toml(['python3', '-c', SCRIPT.replace('%', '%%'), f'%(here)s/{name}.heard'])}",
        f"events = {toml(list(events))}",
        *(f"{key} = {toml(value)}" for key, value in {"startsecs": 0, **options}.items()),
    ]
    return "\n".join(lines) + "\n\n"


def heard(daemon: Daemon, name: str = "ears") -> list[Heard]:
    """Return what a pool has heard so far."""
    whole = daemon.text(f"{name}.heard").rpartition("\n")[0]  # the last line may be half written
    return [Heard(**json.loads(line)) for line in whole.splitlines()]


def told(daemon: Daemon, *wanted: str, name: str = "ears", limit: float = 10.0) -> list[Heard]:
    """Wait until a pool has heard of all these events; return everything that it has heard."""

    def there() -> bool:
        names = [event.name for event in heard(daemon, name)]
        return all(names.count(each) >= wanted.count(each) for each in wanted)

    try:
        wait_until(there, limit)
    except AssertionError as error:
        said = [event.name for event in heard(daemon, name)]
        raise AssertionError(f"{name} has heard {said}, not {wanted}\n{daemon.log()}") from error
    return heard(daemon, name)


def make(daemon: Daemon, word: str, name: str = "ears") -> None:
    """Have a listener behave like this from now on."""
    (daemon.dir / f"{name}.heard.{word}").touch()


def unmake(daemon: Daemon, word: str, name: str = "ears") -> None:
    """Have it behave well again."""
    (daemon.dir / f"{name}.heard.{word}").unlink()
