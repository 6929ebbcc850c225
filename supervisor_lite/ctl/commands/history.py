"""The commands that explain: events, why, runs, explain."""

from __future__ import annotations

from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import RemoteError
from supervisor_lite.ctl import render
from supervisor_lite.ctl.commands.follow import follow
from supervisor_lite.ctl.context import CommandContext, Commands, none_left, required
from supervisor_lite.protocol import codes, messages
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.text import sanitize, size, span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.protocol.messages import Message

command = Commands()

_EVENT_OPTIONS = {
    "-f": "follow", "--follow": "follow", "--json": "json", "--since": "since=",
    "-n": "limit=", "--limit": "limit=",
}  # fmt: skip


@command("events")
def events(ctl: CommandContext, arguments: list[str]) -> int:
    """Show changes of state, and with -f go on as they happen."""
    given = ctl.parse(arguments, _EVENT_OPTIONS)
    none_left(given.words)
    params: Message = {}
    for key in ("since", "limit"):
        if given.has(key):
            params[key] = given.integer(key, 0)
    if given.has("follow"):
        params["follow"] = True
    as_json = given.has("json")

    def write(change: Message) -> None:
        for line in [render.json_line(change)] if as_json else _change(ctl.style, change):
            render.out(line)

    with ctl.client() as client:
        result = client.call("events", params)
        for change in listed(result, "changes"):
            write(change)
        if not given.has("follow"):
            return codes.DONE
        for method, note in follow(client):
            if method == messages.NOTE_CHANGE and isinstance(note.get("change"), dict):
                write(note["change"])
    return codes.DONE


@command("why")
def why(ctl: CommandContext, arguments: list[str]) -> int:
    """Tell the chain of causes that led to where a process is."""
    return _tell(ctl, arguments, "why", {"offset": render.clock_offset()})


@command("explain")
def explain(ctl: CommandContext, arguments: list[str]) -> int:
    """Tell what the restart policy will do, second by second."""
    return _tell(ctl, arguments, "explain")


def _tell(
    ctl: CommandContext, arguments: list[str], method: str, more: Message | None = None
) -> int:
    names = required(ctl.parse(arguments, {}))
    with ctl.client() as client:
        try:
            result = client.call(method, {"names": names, **(more or {})})
        except RemoteError as error:
            if not more or error.code != ErrorCode.INVALID_PARAMS:
                raise
            result = client.call(method, {"names": names})  # an older daemon
    for line in _told(listed(result, "processes", "fullname", "lines")):
        render.out(line)
    return codes.DONE


@command("runs")
def runs(ctl: CommandContext, arguments: list[str]) -> int:
    """Show the history of runs."""
    given = ctl.parse(arguments, {"--json": "json", "-n": "limit=", "--limit": "limit="})
    params: Message = {"names": given.words} if given.words else {}
    if given.has("limit"):
        params["limit"] = given.integer("limit", 0)
    with ctl.client() as client:
        rows = listed(client.call("runs", params), "runs", "run", "name")
    if given.has("json"):
        render.out(render.json_rows("runs", rows))
    elif rows:
        header = ["RUN", "NAME", "PID", "SPAWNED", "DURATION", "CPU", "MEMORY", "END"]
        for line in render.table([header, *map(_run, rows)]):
            render.out(ctl.style.cut(line))
    return codes.DONE


def _change(style: render.Style, change: Message) -> list[str]:
    """Return the lines for one change; its serial comes first, for `--since`."""
    text = {key: sanitize(value) for key, value in change.items() if value is not None}
    when = render.moment(change.get("time") or "")
    line = (
        f"{text.get('serial', '?')}  {when}  {text.get('name', '?')}: "
        f"{text.get('from', '?')} -> {style.state(text.get('to', '?')).rstrip()}"
    )
    if text.get("cause"):
        line += f": {text['cause']}"
    if text.get("note"):
        line += f"; {text['note']}"
    if "pid" in text:
        line += f" (pid {text['pid']})"
    if text.get("by"):
        line += f" by {text['by']}"
    return [line, *_last_words(change)]


def _run(row: Message) -> list[str]:
    def fact(key: str) -> str:
        return "-" if row.get(key) is None else sanitize(row[key])

    lasted, memory = row.get("duration"), row.get("maxrss")
    spawned = row.get("spawned") or row.get("ended")  # the try, of one that could not be spawned
    cpu = [row[key] for key in ("utime", "stime") if row.get(key) is not None]
    return [
        fact("run"),
        fact("name"),
        fact("pid"),
        "-" if spawned is None else render.moment(spawned),
        "-" if lasted is None else span(float(lasted)),
        span(float(sum(cpu))) if cpu else "-",
        "-" if memory is None else size(float(memory)),
        _end(row),
    ]


def _end(row: Message) -> str:
    """Return how a run ended, in words."""
    if row.get("ended") is None:
        return "still running"
    words = "unknown"
    if row.get("signal") is not None:
        words = f"SIG{str(row['signal']).removeprefix('SIG')}"
    elif row.get("exitcode") is not None:
        words = f"exit {row['exitcode']}"
    reason = row.get("reason")
    if row.get("pid") is None and reason:
        return sanitize(str(reason))
    return sanitize(f"{words}: {reason}" if reason and reason != words else words)


def _told(processes: list[Message]) -> list[str]:
    """Return what the daemon says of each process; its name above if there are several."""
    indent = "  " if len(processes) > 1 else ""
    lines: list[str] = []
    for process in processes:
        if indent:
            lines.append(sanitize(process["fullname"]))
        lines += [f"{indent}{sanitize(line)}".rstrip() for line in process["lines"]]
        steps = [row for row in process.get("schedule") or [] if "at" in row and "what" in row]
        if steps:
            rows = [[f"{float(row['at']):.1f} s", sanitize(row["what"])] for row in steps]
            wide = max(len(row[0]) for row in rows)
            lines += [f"{indent}  at {at:>{wide}}  {what}" for at, what in rows]
    return lines


def _last_words(change: Message) -> list[str]:
    words = str(change.get("last_words") or "").splitlines()
    return [f"    | {sanitize(line)}" for line in words]
