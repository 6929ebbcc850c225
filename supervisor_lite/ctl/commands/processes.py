"""The commands that do something to processes: start, stop, restart, signal, clear, add, remove.

The daemon is asked once for all names, and answers when all of it has come true or failed.
"""

from __future__ import annotations

from supervisor_lite.client.buffer import listed
from supervisor_lite.client.sync import DEFAULT_TIMEOUT
from supervisor_lite.ctl import render
from supervisor_lite.ctl.context import CommandContext, Commands, required
from supervisor_lite.ctl.options import UsageError
from supervisor_lite.ctl.waiting import WAITING, waiting
from supervisor_lite.protocol import codes
from supervisor_lite.protocol.codes import ErrorCode, LeftOutCode
from supervisor_lite.text import duration, sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.protocol.messages import Message

command = Commands()

_RESTARTING = {**WAITING, "--at-once": "at-once"}


@command("start")
def start(ctl: CommandContext, arguments: list[str]) -> int:
    """Start processes; done when they are RUNNING."""
    return _wait_for(ctl, "start", arguments)


@command("stop")
def stop(ctl: CommandContext, arguments: list[str]) -> int:
    """Stop processes; done when nothing of them is left."""
    return _wait_for(ctl, "stop", arguments)


@command("restart")
def restart(ctl: CommandContext, arguments: list[str]) -> int:
    """Stop and start processes, as one operation in the daemon."""
    return _wait_for(ctl, "restart", arguments, _RESTARTING)


@command("signal")
def signal(ctl: CommandContext, arguments: list[str]) -> int:
    """Send a signal to processes."""
    words = ctl.parse(arguments, {}).words
    if len(words) < 2:
        raise UsageError("it needs a SIGNAL and a NAME")
    with ctl.client() as client:
        result = client.call("signal", {"signal": words[0], "names": words[1:]})
    code = report(result)
    _tell_untouched(f"signal {sanitize(words[0])}", result)
    return code


@command("clear")
def clear(ctl: CommandContext, arguments: list[str]) -> int:
    """Empty the log files of processes."""
    names = required(ctl.parse(arguments, {}))
    with ctl.client() as client:
        return report(client.call("clear", {"names": names}))


@command("add")
def add(ctl: CommandContext, arguments: list[str]) -> int:
    """Take groups into use that the configuration has and the daemon does not."""
    given = ctl.parse(arguments, WAITING)
    params: Message = {"names": required(given, "the NAME of a group")}
    timeout = waiting(given, params)
    with ctl.client(timeout) as client:
        return report(client.call("add", params), " process group")


@command("remove")
def remove(ctl: CommandContext, arguments: list[str]) -> int:
    """Take stopped groups out of use."""
    names = required(ctl.parse(arguments, {}), "the NAME of a group")
    with ctl.client(None) as client:
        return report(client.call("remove", {"names": names}), " process group")


def report(result: Message, suffix: str = "") -> int:
    """Print one line for each result and return the exit code: 0, 7 (only timeouts) or 1."""
    failures = []
    for row in listed(result, "results", "fullname", "ok", "result"):
        name = sanitize(row["fullname"])
        word = sanitize(row["result"])
        if row["ok"]:
            render.out(f"{name}: {word}{suffix}{_killed(row.get('killed_after'))}")
            continue
        failures.append(row.get("code") or row["result"])
        render.err(f"{name}: ERROR ({_cause(word, sanitize(row.get('reason') or ''))})")
        for line in str(row.get("last_words") or "").splitlines():
            render.err(f"    | {sanitize(line)}")
    if not failures:
        return codes.DONE
    # A daemon from before result codes has only the word.
    timed_out = {ErrorCode.TIMED_OUT, "timeout"}
    return codes.TIMED_OUT if timed_out.issuperset(failures) else codes.FAILED


def _wait_for(
    ctl: CommandContext, verb: str, arguments: list[str], options: dict[str, str] = WAITING
) -> int:
    given = ctl.parse(arguments, options)
    params: Message = {"names": required(given)}
    if given.has("at-once"):
        params["at_once"] = True
    timeout = waiting(given, params)
    if given.has("no-wait"):
        timeout = DEFAULT_TIMEOUT
    with ctl.client(timeout) as client:
        result = client.call(verb, params)
    code = report(result)
    _tell_untouched(verb, result)
    _tell_newer(result.get("newer") or {})
    return code


def _killed(after: object) -> str:
    """Return what is added to the result of a stop that took SIGKILL."""
    if not isinstance(after, int | float):
        return ""
    return f" (killed after {duration(after)})" if after else " (killed)"


_NOTHING = {"start": "every process is up already", "stop": "no process is up"}
"""Why there was nothing to do, where there are processes."""

_LEFT_OUT = {
    LeftOutCode.CALLER: "slctl runs inside it",
    LeftOutCode.GATEWAY: "the daemon's own gateway is meant by its name only",
}


def _tell_untouched(words: str, result: Message) -> None:
    """Say who was left out of `all` or a pattern, and if that was, or is, everybody.

    `words` are what was asked for, without the names.
    """
    verb = words.partition(" ")[0]
    left_out = [row for row in result.get("left_out") or () if isinstance(row, dict)]
    for row in left_out:
        name, why = sanitize(row.get("fullname")), str(row.get("why"))
        means = f"`slctl {words} {name}` means it"
        render.err(f"slctl: {name} was left out: {_LEFT_OUT.get(why) or sanitize(why)}; {means}")
    if result.get("results") != []:
        return
    unchanged = result.get("unchanged")  # None: a daemon that does not say
    if unchanged:
        why = _NOTHING.get(verb, "")
    elif left_out:
        why = "there is no other process"
    else:
        why = "there is no process" if unchanged == 0 else ""
    render.err(f"slctl: nothing {'else ' if left_out else ''}to {verb}{why and ': '}{why}")


def _tell_newer(newer: Message) -> None:
    """Say that the configuration on disk is newer than what runs, and what applies it."""
    for line in newer.get("refused") or ():
        render.err(
            f"slctl: the configuration on disk is newer, and cannot be used: {sanitize(line)}"
        )
    groups, others = newer.get("groups") or [], newer.get("others") or []
    if groups:
        files = " and ".join(f'"{sanitize(file)}"' for file in newer.get("files") or [])
        are = "are" if len(newer.get("files") or []) > 1 else "is"
        what = f"{files or 'the configuration'} {are} newer than what runs"
        render.err(f"slctl: {what}: `slctl update {sanitize(' '.join(groups))}` applies it")
    elif others:
        what = f"the configuration is newer than what runs ({sanitize(', '.join(others))})"
        render.err(f"slctl: {what}: `slctl update` applies it")


def _cause(word: str, reason: str) -> str:
    """Join the word for what went wrong and the reason, without saying anything twice."""
    if not reason or not word:
        return reason or word
    return reason if word == "failed" or reason.startswith(word) else f"{word}: {reason}"
