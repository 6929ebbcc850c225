"""The daemon's own log: structlog, to a rotated file and, in the foreground, to stderr.

One line per event; never an environment. Must be imported before anything else imports structlog.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TypeAlias

from supervisor_lite.explain.cause import cause_text, notes_text
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.syslog import DEVLOG, SyslogClient
from supervisor_lite.model.change import Change
from supervisor_lite.model.output import SYSLOG
from supervisor_lite.text import sanitize

# structlog loads rich and better_exceptions wherever they are installed, for tracebacks that a
# daemon does not print: 10 MB of memory and half of its start-up time.
for _heavy in ("rich", "better_exceptions"):
    sys.modules.setdefault(_heavy, None)  # type: ignore[arg-type]

import structlog  # noqa: E402

LEVELS: Final = {"critical": 50, "error": 40, "warn": 30, "warning": 30, "info": 20, "debug": 10,
                 "trace": 5, "blather": 3}  # fmt: skip


_DAEMON: Final = 3 << 3
"""The facility of system daemons (syslog(3))."""

_PRIORITIES: Final = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""What syslog and systemd's journal call the levels."""


class LogTarget:
    """Where lines of the daemon's log go. Never raises: a failure is reported on stderr, once."""

    def __init__(
        self, path: str | None, maxbytes: int, backups: int, *, to_stderr: bool,
        to_journal: bool = False, devlog: str = DEVLOG,
    ) -> None:  # fmt: skip
        """`path` may be "syslog", at `devlog`."""
        self.to_stderr = to_stderr
        self._to_journal = to_journal
        self._failing = False
        self._syslog = SyslogClient(devlog) if path == SYSLOG else None
        self.file: LogFile | None = None
        if path is not None and path != SYSLOG:
            self.file = LogFile(path, maxbytes, backups, self._complain)

    def _complain(self, text: str) -> None:
        if not self._failing:
            self._failing = True
            self._stderr(f"supervisor-lite: {text}\n".encode())

    def _stderr(self, data: bytes) -> None:
        try:
            os.write(2, data)
        except OSError:
            self.to_stderr = False  # nobody is there any more

    def write_line(self, line: str, level: str, bare: str) -> None:
        """Write one line everywhere; `bare` is the line for a journal, which has its own times."""
        data = line.encode(errors="backslashreplace") + b"\n"
        if self.to_stderr and self._to_journal:
            mark = f"<{_PRIORITIES[level]}>"  # sd-daemon(3)
            lines = "".join(f"{mark}{part}\n" for part in bare.splitlines())
            self._stderr(lines.encode(errors="backslashreplace"))
        elif self.to_stderr:
            self._stderr(data)
        try:
            if self._syslog is not None:
                self._to_syslog(self._syslog, level, bare)
            if self.file is not None:
                self.file.append(data)
        except OSError as error:
            name = self.file.path if self.file is not None else SYSLOG
            self._complain(f'cannot write the log "{name}": {error.strerror}')
        else:
            self._failing = False

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
    if change.cause is not None:
        fields["cause"] = cause_text(change.cause)
    if change.notes:
        fields["note"] = notes_text(change.notes)
    if change.by:
        fields["by"] = change.by
    text = f"{change.name}: {change.from_state} -> {change.to_state}"
    if change.to_state == "FATAL":
        log.error(text, **fields)
    elif change.to_state == "BACKOFF" or change.expected is False:
        log.warning(text, **fields)
    else:
        log.info(text, **fields)


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
