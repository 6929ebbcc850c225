"""The commands that look: status, pid, version."""

from __future__ import annotations

from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import RemoteError
from supervisor_lite.ctl import render
from supervisor_lite.ctl.context import CommandContext, Commands, none_left, report_missing
from supervisor_lite.protocol import codes
from supervisor_lite.text import columns, fit, pad, sanitize, uptime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.protocol.messages import Message

command = Commands()

NOT_UP = ("STOPPED", "EXITED", "FATAL", "UNKNOWN")
"""States for which `status` exits 3: Supervisor's rule, whether wanted or not."""

KEYS = (
    "name", "group", "fullname", "program", "state", "statecode", "wanted", "pid", "run", "uptime",
    "started", "since", "exitcode", "signal", "failures", "restarts", "next_try", "reason",
    "autostart", "priority", "stdout_logfile", "stderr_logfile", "stale", "cause",
    "output_trouble", "output_dropped", "output_lost", "listener",
)  # fmt: skip
"""The keys of a process in `--json`, in their order; docs/slctl.md promises them."""


@command("status")
def status(ctl: CommandContext, arguments: list[str]) -> int:
    """Show what is up, and why the rest is not."""
    given = ctl.parse(arguments, {"--json": "json", "--health": "health"})
    names, health = given.words, given.has("health")
    code = codes.DONE
    with ctl.client() as client:
        try:
            result = client.call("status", {"names": names} if names else {})
        except RemoteError as error:
            missing = report_missing(ctl, error)
            known = [name for name in names if name not in missing]
            if not missing:
                raise
            code = error.number
            result = client.call("status", {"names": known}) if known else {"processes": []}
    processes = listed(result, "processes", "fullname", "state")
    now = float(result.get("now") or 0.0)
    down = [each for each in processes if (is_missing(each) if health else each["state"] in NOT_UP)]
    if given.has("json"):
        rows = render.json_rows("processes", [_as_json(process, now) for process in processes])
        render.out(_health_json(down, rows) if health else rows)
    else:
        for line in _lines(ctl.style, down if health else processes, now):
            render.out(line)
        if health and not down and code == codes.DONE:
            render.out(_all_up(processes))
        show_refused(result)
        if ctl.style.terminal:
            for hint in _hints(down if health else processes):
                render.err(hint)
    return codes.NOT_UP if code == codes.DONE and down else code


def is_missing(process: Message) -> bool:
    """Is it wanted, and not up?

    The first try of a start counts as up while it lasts, a further one does not: it is a part of
    the pauses between failures. What is down and not wanted is as it should be.
    """
    if not process.get("wanted"):
        return False
    first_try = process["state"] == "STARTING" and not process.get("failures")
    return process["state"] != "RUNNING" and not first_try


@command("pid")
def pid(ctl: CommandContext, arguments: list[str]) -> int:
    """Print the pid of the daemon, or of those processes that run: `kill $(slctl pid X)`."""
    names = ctl.parse(arguments, {}).words
    with ctl.client() as client:
        result = client.call("pid", {"names": names} if names else {})
    if not names:
        render.out(sanitize(result.get("pid")))
        return codes.DONE
    code = codes.DONE
    for row in listed(result, "pids", "pid"):
        if row["pid"]:
            render.out(sanitize(row["pid"]))
        elif "all" not in names:  # which means those that run
            render.err(f"{sanitize(row.get('fullname') or names[0])}: ERROR (not running)")
            code = codes.NOT_UP
    return code


@command("version")
def version(ctl: CommandContext, arguments: list[str]) -> int:
    """Print the version of the daemon."""
    none_left(ctl.parse(arguments, {}).words)
    with ctl.client() as client:
        about = client.call("version")
    render.out(sanitize(about.get("version")))
    if about.get("log_lines_lost"):
        render.err(f"{sanitize(about['log_lines_lost'])} lines of the daemon's own log are lost")
    show_refused(about)
    return codes.DONE


def _health_json(down: list[Message], rows: str) -> str:
    """Return the document of `--health --json`: the verdict, and the whole one of `--json`."""
    names = render.json_line([each["fullname"] for each in down])
    return f'{{"healthy": {"false" if down else "true"}, "not_up": {names}, {rows[1:]}'


def _all_up(processes: list[Message]) -> str:
    """Return the line of `--health` when it has nothing else to show."""
    wanted = sum(bool(process.get("wanted")) for process in processes)
    return f"everything that is wanted is up: {wanted} of {len(processes)}"


def show_refused(result: Message) -> None:
    """Say on stderr why the daemon does not use the configuration on disk, if it does not."""
    for line in result.get("refused") or ():
        render.err(f"slctl: configuration not used: {sanitize(line)}")


def _uptime(process: Message, now: float) -> float | None:
    """Return for how many seconds the live run has been up, None without one."""
    since = process.get("up_since")
    return None if since is None else max(0.0, round(now - float(since), 3))


def _as_json(process: Message, now: float) -> Message:
    process = {**process, "uptime": _uptime(process, now)}
    process.pop("up_since", None)
    return {**{key: process.get(key) for key in KEYS}, **process}


def _lines(style: render.Style, processes: list[Message], now: float) -> list[str]:
    """Return the table: in Supervisor's layout, and as wide as a terminal is on one."""
    names = [sanitize(process["fullname"]) for process in processes]
    widest = max(map(columns, names), default=0)
    column = max(30, widest) + 3
    if style.width is not None:
        column = min(widest, max(style.width // 2 - 5, 8)) + 2
    lines = []
    for name, process in zip(names, processes, strict=True):
        state = sanitize(process["state"])
        words = style.cut(_description(process, now), column + 10)
        line = f"{pad(fit(name, column - 2), column)}{style.state(state)}{words}"
        lines.append(line.rstrip())
    return lines


def _description(process: Message, now: float) -> str:
    words = sanitize(_state_words(process, now))
    if process.get("stale"):
        return f"{words}; stale" if words else "stale"
    return words


def _state_words(process: Message, now: float) -> str:
    if process["state"] != "RUNNING":
        return str(process.get("reason") or "")
    up = _uptime(process, now)
    number = process.get("pid")
    words = f"pid {number}" if up is None else f"pid {number}, uptime {uptime(up)}"
    # What runs and has a reason to show has trouble with its output.
    return f"{words}; {process['reason']}" if process.get("reason") else words


def _hints(processes: list[Message]) -> list[str]:
    """Return what to type next, for a human at a terminal: one line for each sort of trouble."""
    hints = []
    failed = [process for process in processes if process["state"] == "FATAL"]
    if failed:
        name = sanitize(failed[0]["fullname"])
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        hints.append(f"{name} gave up{more}: `slctl why {name}` tells the story")
    stale = sorted({str(process.get("group")) for process in processes if process.get("stale")})
    if stale:
        groups = sanitize(" ".join(stale))
        hints.append(f"the configuration has changed: `slctl update {groups}` applies it")
    return hints
