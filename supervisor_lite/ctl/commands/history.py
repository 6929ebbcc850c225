"""The commands that explain: events, why, runs, explain."""

from __future__ import annotations

from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import RemoteError
from supervisor_lite.ctl import render
from supervisor_lite.ctl.commands.follow import follow, follow_changes
from supervisor_lite.ctl.context import CommandContext, Commands, none_left, required
from supervisor_lite.protocol import codes, messages
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.text import sanitize, size, span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor_lite.client.sync import Client
    from supervisor_lite.ctl.options import Arguments
    from supervisor_lite.protocol.messages import Message

command = Commands()

PIECE = 1000
"""Changes or runs that are asked for at a time."""

_EVENT_OPTIONS = {
    "-f": "follow", "--follow": "follow", "--json": "json", "--since": "since=",
    "-n": "limit=", "--limit": "limit=",
}  # fmt: skip


@command("events")
def events(ctl: CommandContext, arguments: list[str]) -> int:
    """Show changes of state, and with -f go on as they happen."""
    given = ctl.parse(arguments, _EVENT_OPTIONS)
    none_left(given.words)
    as_json = given.has("json")

    def write(change: Message) -> None:
        for line in [render.json_line(change)] if as_json else _change(ctl.style, change):
            render.out(line)

    shown = _EventList(given, write)
    if not given.has("follow"):
        with ctl.client() as client:
            shown.show(client)
        return codes.DONE
    for method, note in follow(ctl, shown.subscribe):
        if method == messages.NOTE_CHANGE and isinstance(note.get("change"), dict):
            shown.take(note["change"])
    return codes.DONE


class _EventList:
    """Changes of state, and how far we have come, whichever daemon tells."""

    def __init__(self, given: Arguments, write: Callable[[Message], None]) -> None:
        self._limit = given.integer("limit", 0) if given.has("limit") else None
        self._since = given.integer("since", 0) if given.has("since") else None
        self._write = write
        self._serial: int | None = None
        """That of the last change that we know of."""
        self._began = False

    def take(self, change: Message) -> None:
        """Write a change and remember it."""
        self._write(change)
        self._serial = change.get("serial", self._serial)

    def subscribe(self, client: Client) -> None:
        """Show what there is, the first time, and follow from where we are."""
        if not self._began:
            self.show(client)
        self._serial = follow_changes(client, self._serial)
        self._began = True

    def show(self, client: Client) -> None:
        """Write what is stored, a piece at a time."""
        if self._since is not None:
            self._serial = self._since
            self._show_since(client, self._limit)
            return
        limit = self._limit
        first = client.call("events", {} if limit is None else {"limit": min(limit, PIECE)})
        pages = [listed(first, "changes")]
        found = len(pages[0])
        while limit is not None and found < limit and len(pages[-1]):
            oldest = pages[-1][0]["serial"]
            asked = {"limit": min(limit - found, PIECE), "before": oldest}
            pages.append(listed(client.call("events", asked), "changes", "serial"))
            found += len(pages[-1])
        if limit != 0:
            self._serial = 0  # unless there is one, all that will be is new
        for page in reversed(pages):
            for change in page:
                self.take(change)

    def _show_since(self, client: Client, left: int | None) -> None:
        while left is None or left > 0:
            asked: Message = {"since": self._serial}
            if left is not None:
                asked["limit"] = min(left, PIECE)
            changes = listed(client.call("events", asked), "changes", "serial")
            for change in changes:
                self.take(change)
            if not changes:
                return
            left = None if left is None else left - len(changes)


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
    limit = given.integer("limit", 0) if given.has("limit") else None
    if limit is not None:
        params["limit"] = min(limit, PIECE)
    with ctl.client() as client:
        rows = page = listed(client.call("runs", params), "runs", "run", "name")
        while limit is not None and len(rows) < limit and page:
            params |= {"limit": min(limit - len(rows), PIECE), "before": page[-1]["run"]}
            page = listed(client.call("runs", params), "runs", "run", "name")
            rows = rows + page
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
