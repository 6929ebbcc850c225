"""The daemon's own log: structlog, to a rotated file and, in the foreground, to stderr.

One line per event; never an environment. Must be imported before anything else imports structlog.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping
from datetime import datetime
from typing import Any, Final, TypeAlias

from supervisor_lite.explain.cause import cause_text, notes_text
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.outlet import Outlet, tell
from supervisor_lite.logs.syslog import DEVLOG, SyslogClient
from supervisor_lite.model.cause import LISTENER_TROUBLE
from supervisor_lite.model.change import Change
from supervisor_lite.model.output import SYSLOG
from supervisor_lite.special_files import is_special
from supervisor_lite.text import plural, sanitize

# structlog loads these wherever they are installed, for tracebacks that a daemon does not print and
# threads that it does not have: 10 MB of memory and half of its start-up time.
for _heavy in ("rich", "better_exceptions", "greenlet"):
    sys.modules.setdefault(_heavy, None)  # type: ignore[arg-type]

import structlog  # noqa: E402

LEVELS: Final = {"critical": 50, "error": 40, "warn": 30, "warning": 30, "info": 20, "debug": 10,
                 "trace": 5, "blather": 3}  # fmt: skip


_DAEMON: Final = 3 << 3
"""The facility of system daemons (syslog(3))."""

_PRIORITIES: Final = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""What syslog and systemd's journal call the levels."""


class LogTarget:
    """Where lines of the daemon's log go. Never raises and never waits.

    What cannot be written is lost, counted, and told where it is missing; a failure is told on
    stderr as well, once.
    """

    def __init__(
        self, path: str | None, maxbytes: int, backups: int, *, to_stderr: bool,
        to_journal: bool = False, devlog: str = DEVLOG,
    ) -> None:  # fmt: skip
        """`path` may be "syslog", at `devlog`, or what is no regular file."""
        self._to_journal = to_journal
        self._failing = False
        self._missing = 0
        self._lost = 0
        self._stderr = Outlet("/dev/stderr", self._notice_on_stderr) if to_stderr else None
        self._syslog = SyslogClient(devlog) if path == SYSLOG else None
        self._device: Outlet | None = None
        self.file: LogFile | None = None
        self.form = "console"
        if path is not None and path != SYSLOG:
            if is_special(path):
                self._device = Outlet(path, self._notice)
                if self._device.gone:
                    self._complain(f'cannot write the log "{path}"')
                self._write_once(self._device)
            else:
                self.file = LogFile(path, maxbytes, backups, self._complain, mode=0o640)

    def _write_once(self, device: Outlet) -> None:
        """Write no line to one place twice: the log may be what stderr is, too."""
        if self._stderr is not None and self._stderr.is_same(device):
            if self._to_journal:  # stderr tells it the level
                device.close()
            else:
                self._stderr.close()
                self._stderr = None

    @property
    def lost(self) -> int:
        """How many lines could not be written somewhere."""
        outlets = (self._stderr, self._device)
        return self._lost + sum(outlet.lost for outlet in outlets if outlet is not None)

    def _complain(self, text: str) -> None:
        if not self._failing:
            self._failing = True
            line = f"supervisor-lite: {text}\n"
            if self._stderr is not None:
                self._stderr.write(line.encode(errors="backslashreplace"))
            else:
                tell(line, patience=0.0)

    def _notice(self, count: int) -> bytes:
        """Return the line about lines that are missing."""
        event = {"event": _missing_text(count), "level": "warning", "timestamp": timestamp()}
        render = _render_console if self.form == "console" else _render_json
        return f"{render(None, '', event)[0][0]}\n".encode()

    def _notice_on_stderr(self, count: int) -> bytes:
        if self._to_journal:
            return f"<{_PRIORITIES['warning']}>{_missing_text(count)}\n".encode()
        return self._notice(count)

    def write_line(self, line: str, level: str, bare: str) -> None:
        """Write one line everywhere; `bare` is the line for a journal, which has its own times."""
        data = line.encode(errors="backslashreplace") + b"\n"
        if self._stderr is not None and self._to_journal:
            mark = f"<{_PRIORITIES[level]}>"  # sd-daemon(3)
            lines = "".join(f"{mark}{part}\n" for part in bare.splitlines())
            self._stderr.write(lines.encode(errors="backslashreplace"))
        elif self._stderr is not None:
            self._stderr.write(data)
        if self._device is not None:
            self._device.write(data)
        try:
            if self._syslog is not None:
                self._to_syslog(self._syslog, level, bare)
                if self._missing:
                    self._to_syslog(self._syslog, "warning", _missing_text(self._missing))
            if self.file is not None:
                self._to_file(self.file, data)
        except OSError as error:
            name = self.file.path if self.file is not None else SYSLOG
            self._complain(f'cannot write the log "{name}": {error.strerror}')
            self._missing += 1
            self._lost += 1
        else:
            self._failing = False
            self._missing = 0

    def _to_file(self, file: LogFile, data: bytes) -> None:
        """Write a line, on one of its own also where only a part of another was written."""
        if self._missing:
            file.check()
            start = b"" if file.ends_in_newline() else b"\n"
            file.append(start + self._notice(self._missing))
            self._missing = 0
        file.append(data)

    def _to_syslog(self, syslog: SyslogClient, level: str, text: str) -> None:
        """Send a message for each line; one that syslog has no room for is lost. Raises OSError."""
        priority = _DAEMON + _PRIORITIES[level]
        for line in text.splitlines():
            try:
                syslog.send(priority, line)
            except BlockingIOError:
                raise
            except OSError:
                syslog.close()  # it was restarted perhaps: try once more
                syslog.send(priority, line)

    def close(self) -> None:
        """Close what is open."""
        for outlet in (self._stderr, self._device):
            if outlet is not None:
                outlet.close()
        if self._syslog is not None:
            self._syslog.close()
        if self.file is not None:
            self.file.close()

    def reopen(self) -> None:
        """Open the file again, because something has moved it away (SIGUSR2)."""
        if self.file is not None:
            try:
                self.file.reopen()
            except OSError as error:
                self._complain(f'cannot reopen the log "{self.file.path}": {error.strerror}')


def _missing_text(count: int) -> str:
    return f"{plural(count, 'line', 'lines')} of this log could not be written here and are lost"


def timestamp() -> str:
    """Return the time of a line that structlog has not made."""
    return datetime.now().astimezone().isoformat()


class _Logger:
    """What structlog hands finished lines to; one method per level, all the same."""

    def __init__(self, target: LogTarget) -> None:
        self._target = target

    def msg(self, line: str, level: str, bare: str) -> None:
        """Write one line."""
        self._target.write_line(line, level, bare)

    log = debug = info = warn = warning = error = critical = exception = fatal = msg


Log: TypeAlias = structlog.typing.FilteringBoundLogger
"""What writes lines: a method per level, with a text and fields."""


def open_log(target: LogTarget, level: str, form: str) -> Log:
    """Return the logger that writes lines as "console" or "json" from this level on."""
    target.form = form
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=form == "json"),
            structlog.processors.format_exc_info,
            _render_console if form == "console" else _render_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: _Logger(target),
        cache_logger_on_first_use=True,
    )
    log: Log = structlog.get_logger()
    return log


_Rendered = tuple[tuple[str, str, str], dict[str, Any]]
"""What a _Logger is called with: the line, its level, and the line without time and level."""

_json = structlog.processors.JSONRenderer()


def _render_json(log: object, method: str, event: MutableMapping[str, Any]) -> _Rendered:
    level = str(event["level"])
    line = str(_json(log, method, event))
    return (line, level, line), {}


def _render_console(_: object, __: str, event: MutableMapping[str, Any]) -> _Rendered:
    """Render `time level text key=value …` on one line."""
    stamp = str(event.pop("timestamp")).replace("T", " ")[:23]
    level = str(event.pop("level"))
    text = str(event.pop("event"))
    trace = event.pop("exception", None)
    pairs = " ".join(f"{key}={_value(value)}" for key, value in event.items())
    bare = sanitize(text + (f"  {pairs}" if pairs else ""))
    if trace:
        bare = "\n".join([bare, *map(sanitize, str(trace).split("\n"))])
    return (f"{stamp} {level:<8} {bare}", level, bare), {}


def _value(value: object) -> str:
    text = str(value)
    return repr(text) if " " in text or not text else text


def log_change(log: Log, change: Change) -> None:
    """Write the one line about a change of state."""
    fields: dict[str, Any] = {}
    if change.pid is not None:
        fields["pid"] = change.pid
    if change.run is not None and change.to_state != "STARTING":  # it has no run yet
        fields["run"] = change.run
    cause = cause_text(change.cause)
    if cause and change.from_state != change.to_state:
        fields["cause"] = cause
    if change.notes:
        fields["note"] = notes_text(change.notes)
    if change.by:
        fields["by"] = change.by
    text = f"{change.name}: {change.from_state} -> {change.to_state}"
    if change.from_state == change.to_state:
        text = f"{change.name}: {cause}"
    if change.to_state == "FATAL":
        log.error(text, **fields)
    elif change.to_state == "BACKOFF" or change.expected is False or _is_trouble(change):
        log.warning(text, **fields)
    else:
        log.info(text, **fields)


def _is_trouble(change: Change) -> bool:
    """Is it about an event listener that is of no use?"""
    return change.cause is not None and change.cause.kind in LISTENER_TROUBLE


class ErrorLog:
    """What goes wrong inside of the daemon, for its log."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def bug(self, error: Exception) -> None:
        """Write an error that nobody has expected, with its traceback."""
        self._log.error(f"internal error: {error!r}", exc_info=error)

    def loop_error(self, _: object, context: Mapping[str, Any]) -> None:
        """Write on one line what asyncio could not do, such as accept without a descriptor left.

        It is an event loop's exception handler (asyncio's loop.set_exception_handler).
        """
        error = context.get("exception")
        if isinstance(error, OSError):
            self._log.error(f"{context['message']}: {error.strerror or error}")
        elif isinstance(error, Exception):
            self.bug(error)
        else:
            self._log.error(str(context["message"]))
