"""The comments of a supervisord.conf: each goes with what it stands above or beside."""

from __future__ import annotations

import re
from collections.abc import Mapping

from supervisor_lite.migrate import sample_file
from supervisor_lite.migrate.commented_out import CommentedOut, plain
from supervisor_lite.migrate.sections import File, Section, Setting
from supervisor_lite.migrate.toml_writer import comment

_INLINE = re.compile(r"(?:^|(?<=\s))[;#]")


def attach(lines: list[str], file: File, marks: Mapping[int, Section | Setting]) -> None:
    """Give each comment to what stands below or beside it.

    `marks` says which section or setting a line of the file belongs to.
    """
    pending: list[str] = []
    begun, key = False, ""
    section: Section | None = None
    for number, line in enumerate(lines, 1):
        text = line.strip()
        mark = marks.get(number)
        if not text or text[0] in ";#":
            pending.append(text)
            continue
        if mark is not None and number == mark.line and mark.file is file:
            if isinstance(mark, Section):
                pending = _leave_below(section, pending, file)
            above = _worth_keeping(pending, section, file)
            if not begun and "" in above:
                cut = len(above) - above[::-1].index("")
                file.head, above = above[: cut - 1], above[cut:]
            mark.above = above
            pending, begun = [], True
        if isinstance(mark, Section):
            section = mark
        elif mark is not None and number == mark.line:
            key = re.split("[=:]", text, maxsplit=1)[0].strip().lower()
        beside = _INLINE.search(line)
        if beside is not None and mark is not None:
            written = line[beside.start() :].strip()
            if isinstance(mark, Section):
                if not sample_file.tells_of_section(written):
                    mark.above.append(comment(plain(written)))
            elif not sample_file.tells_default(key, written):
                mark.beside.append(comment(plain(written)))
    file.foot = _worth_keeping(_leave_below(section, pending, file), section, file)


def _leave_below(section: Section | None, lines: list[str], file: File) -> list[str]:
    """Give a section the settings that are commented out at its end; return the other comments."""
    end = lines.index("") if "" in lines else len(lines)
    reader = CommentedOut(section, file.here)
    if section is None or not any(map(reader.is_setting, lines[:end])):
        return lines
    section.below += _worth_keeping(lines[:end], section, file)
    return lines[end:]


def _worth_keeping(lines: list[str], section: Section | None, file: File) -> list[str]:
    """Return comments without those of the sample file, as TOML's, in blocks apart by "".

    `section` is that in which they stand.
    """
    if not any(lines):
        return []
    kept: list[str] = []
    reader = CommentedOut(section, file.here)
    for block in "\n".join(lines).split("\n\n"):
        all_lines = [line for line in block.split("\n") if line]
        prose = [line for line in all_lines if not sample_file.is_example(line)]
        if len(prose) < len(all_lines) or len(prose) == 2:
            prose = [line for line in prose if not all(map(sample_file.HEADER.fullmatch, prose))]
        if prose and not sample_file.is_prose(prose[0]):
            kept += [*([""] if kept else []), *reader.lines(prose)]
    # A blank line between the last comment and what follows keeps them apart.
    if kept and not lines[-1]:
        kept.append("")
    return kept
