"""The comments of a supervisord.conf: each goes with what it stands above or beside."""

from __future__ import annotations

import re
from collections.abc import Mapping

from supervisor_lite.migrate.sections import File, Section, Setting
from supervisor_lite.migrate.toml_writer import comment

_INLINE = re.compile(r"(?:^|(?<=\s))[;#]")
_SETTING = re.compile(r"[;#]+\s*(?:\[[a-z_:-]+\]|[a-z_]+\s*=[^;]*)\s+;.*")
"""A setting that is commented out and explained beside it: only the sample file has these."""

_HEADER = re.compile(r"[;#]+\s*(?:\[[^\]]*\]|files = relative/directory/\*\.ini)\s*")

_SAMPLE = (
    "sample supervisor config file.",
    "security warning:",
    "the rpcinterface:supervisor section must remain",
    "the supervisorctl section configures",
    "the sample ",
    "the [include] section can just contain",
)
"""How the comments of Supervisor's own sample file begin: they explain the old format."""


def attach(lines: list[str], file: File, marks: Mapping[int, Section | Setting]) -> None:
    """Give each comment to what stands below or beside it.

    `marks` says which section or setting a line of the file belongs to.
    """
    pending: list[str] = []
    begun = False
    for number, line in enumerate(lines, 1):
        text = line.strip()
        mark = marks.get(number)
        if not text or text[0] in ";#":
            pending.append(text)
            continue
        if mark is not None and number == mark.line and mark.file is file:
            above = _worth_keeping(pending)
            if not begun and "" in above:
                cut = len(above) - above[::-1].index("")
                file.head, above = above[: cut - 1], above[cut:]
            mark.above = above
            pending, begun = [], True
        comment = _INLINE.search(line)
        if comment is not None and mark is not None:
            written = _comment(line[comment.start() :].strip())
            (mark.beside if isinstance(mark, Setting) else mark.above).append(written)
    file.foot = _worth_keeping(pending)


def _worth_keeping(lines: list[str]) -> list[str]:
    """Return comments without those of the sample file, as TOML's, in blocks apart by ""."""
    kept: list[str] = []
    for block in "\n".join(lines).split("\n\n"):
        all_lines = [line for line in block.split("\n") if line]
        prose = [line for line in all_lines if not _SETTING.fullmatch(line)]
        if len(prose) < len(all_lines) or len(prose) == 2:
            prose = [line for line in prose if not all(map(_HEADER.fullmatch, prose))]
        if prose and not prose[0].strip(";# ").lower().startswith(_SAMPLE):
            kept += [*([""] if kept else []), *map(_comment, prose)]
    # A blank line between the last comment and what follows keeps them apart.
    if kept and lines and not lines[-1]:
        kept.append("")
    return kept


def _comment(text: str) -> str:
    """Return a comment as TOML writes it; what is indented stays so."""
    body = text.lstrip(";#")
    return comment(body[1:] if body.startswith(" ") else body)
