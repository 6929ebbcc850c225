"""The command import: from Supervisor's file to ours."""

from __future__ import annotations

import os
import sys

from supervisor_lite.ctl import render
from supervisor_lite.ctl.context import CommandContext, Commands, none_left, required
from supervisor_lite.protocol import codes
from supervisor_lite.text import sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from supervisor_lite.migrate.converter import Conversion
    from supervisor_lite.migrate.report import ConversionNote

command = Commands()

_OPTIONS = {"-o": "out=", "--output": "out=", "--strict": "strict"}


@command("import")
def import_file(ctl: CommandContext, arguments: list[str]) -> int:
    """Convert a supervisord.conf; say on stderr what will be different. Needs no daemon."""
    given = ctl.parse(arguments, _OPTIONS)
    source, *rest = required(given, "the path of a supervisord.conf")
    none_left(rest)
    out = given.text("out") or None
    import gc

    from supervisor_lite.errors import ConfigError
    from supervisor_lite.migrate.converter import convert

    # All of it lives until the end, and there may be thousands of programs.
    gc.disable()
    try:
        conversion = convert(source, out)
    except ConfigError as error:
        for diagnostic in error.diagnostics:
            render.err(sanitize(diagnostic))
        return codes.USAGE
    if out is None:
        refused = _refused_text(conversion)
    elif trouble := _write(conversion, out):
        render.err(f"slctl: import: {sanitize(trouble)}; nothing was written")
        return codes.FAILED
    else:
        refused = _refused(os.path.join(out, next(iter(conversion.files))))
    unlike = _report(conversion.notes, refused)
    if out is None:
        sys.stdout.write("\n".join(conversion.files.values()))
    else:
        for name in conversion.files:
            render.out(os.path.join(out, name))
    return codes.FAILED if unlike and given.has("strict") else codes.DONE


def _report(notes: Iterable[ConversionNote], refused: Sequence[ConversionNote]) -> bool:
    """Show everything, and how much it is; tell whether something is different or to be done."""
    from supervisor_lite.migrate.report import Kind, grouped, summary

    findings = [*grouped(notes), *grouped(refused)]
    for finding in findings:
        render.err(sanitize(finding))
    if refused:
        render.err("this must be put right before supervisor-lite can use it on this machine")
    if findings:
        render.err(summary(findings))
    return any(finding.first.kind is not Kind.NOTE for finding in findings)


def _write(conversion: Conversion, out: str) -> str:
    """Write the files; return why that is impossible, or nothing."""
    paths = {name: os.path.join(out, name) for name in conversion.files}
    included = os.path.join(out, "conf.d")
    written: list[str] = []
    try:
        for path in paths.values():
            if os.path.lexists(path):
                return f"{path} exists already"
        if os.path.isdir(included):
            # They would be read together with what we write.
            for name in sorted(os.listdir(included)):
                if name.endswith(".toml") and not name.startswith("."):
                    return f"{included}/{name} exists already"
        for name, path in paths.items():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            written.append(path)
            with open(descriptor, "w", encoding="utf-8") as stream:
                os.fchmod(descriptor, _mode(conversion.sources[name]))
                stream.write(conversion.files[name])
    except OSError as error:
        for path in written:
            os.unlink(path)
        return f"cannot write {error.filename or out}: {error.strerror}"
    return ""


def _mode(sources: list[str]) -> int:
    """Return permissions for a file: those that all of its sources have, which may hold secrets."""
    mode = 0o666
    for source in sources:
        mode &= os.stat(source).st_mode
    return mode | 0o600


def _refused(path: str) -> list[ConversionNote]:
    """Return what keeps a configuration from being used on this machine."""
    from supervisor_lite.config.load import load
    from supervisor_lite.errors import ConfigError
    from supervisor_lite.migrate.report import ConversionNote, Kind

    try:
        load(path)
    except ConfigError as error:
        return [ConversionNote(d.file, d.line, "", d.key, d.text, Kind.OPEN)
                for d in error.diagnostics]  # fmt: skip
    return []


def _refused_text(conversion: Conversion) -> list[ConversionNote]:
    """Return the same for what goes to stdout."""
    import contextlib
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        for name, text in conversion.files.items():
            with open(os.path.join(place, name), "w", encoding="utf-8") as stream:
                stream.write(text)
        # Its name is nobody's business; every path in the text is absolute.
        with contextlib.chdir(place):
            return _refused(next(iter(conversion.files)))
