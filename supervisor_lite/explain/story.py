"""Tell why a process is where it is: the chain of causes, in sentences, the newest first.

Made from what the journal knows (changes, runs) and from the record; nothing here asks the world.
Texts that come from programs (names of leftovers, last words) are passed on as they are: whoever
shows them makes them harmless.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from itertools import groupby

from supervisor_lite.explain.episode_reader import EpisodeReader, end_glue
from supervisor_lite.explain.episodes import Episode, Known, Verb
from supervisor_lite.explain.output import amount_text, trouble_text
from supervisor_lite.explain.reason import reason
from supervisor_lite.explain.tries import of_all
from supervisor_lite.model.output import OutputLoss, OutputTrouble
from supervisor_lite.model.program import Program
from supervisor_lite.model.states import QUIET, State
from supervisor_lite.text import span

MOST_LINES = 60
"""Lines that are told of one process."""


def tell(known: Known, now: float, clock: Callable[[float], str], offset: str = "") -> list[str]:
    """Return the story, line by line: first what it is now, then why, the newest cause first.

    `offset` says which clock that is, `+01:00`; the first time has it.
    """
    episodes = EpisodeReader(known).episodes()[::-1]
    lines = [_head(known, now, clock, offset)]
    for index, (_, group) in enumerate(groupby(episodes, lambda episode: episode.sameness)):
        same = list(group)
        told = _told(same, known.program, clock)
        gave_up = index == 0 and same[0].verb is Verb.GAVE_UP
        if gave_up and known.record.state is State.FATAL:
            told[0] += f"; next: fix it, then slctl start {known.program.fullname}"
        if len(lines) + len(told) > MOST_LINES:
            lines.append("… and more before that: see slctl events and slctl runs")
            return lines
        lines += told
    if not known.complete:
        lines.append("… and more before that: see slctl events and slctl runs")
    elif not known.changes:
        lines.append("the journal knows of nothing that has happened to it")
    return lines


def local_clock(now: float, zone: tzinfo | None = None) -> Callable[[float], str]:
    """Return how to show times: the hour alone if it was today; in the machine's zone for None."""
    today = datetime.fromtimestamp(now, zone).date()

    def clock(seconds: float) -> str:
        moment = datetime.fromtimestamp(seconds, zone)
        return f"{moment:%H:%M:%S}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M:%S}"

    return clock


def clock_offset(now: float, zone: tzinfo | None = None) -> str:
    """Return how far that clock is from UTC: `+01:00`."""
    whole = datetime.fromtimestamp(now, zone).astimezone(zone).strftime("%z")
    return f"{whole[:3]}:{whole[3:5]}"


def tell_output(
    trouble: OutputTrouble | None, lost: OutputLoss, clock: Callable[[float], str]
) -> list[str]:
    """Return the lines about output that cannot be written, or could not."""
    lines = [f"since {clock(trouble.since)}: {trouble_text(trouble)}"] if trouble else []
    if lost.bytes:
        when = f"between {clock(lost.first)} and {clock(lost.last)}"
        lines.append(f"{amount_text(lost)} of its output were lost {when}")
    return lines


# What it is now.


def _head(known: Known, now: float, clock: Callable[[float], str], offset: str) -> str:
    program, record = known.program, known.record
    why = reason(program, record)
    if record.run is None and record.state is State.STOPPED:
        return f"{program.fullname} is STOPPED: it was not started"
    when = f"{clock(known.since)} {offset}".rstrip()
    since = f"since {when} ({span(max(0.0, now - known.since))})"
    line = f"{program.fullname} is {record.state.name} {since}"
    facts = [f"pid {record.pid}, run {record.run}"] if record.pid is not None else []
    # The next line says why it is down, unless the journal does not know.
    told = bool(known.changes) and known.changes[-1].to_state == record.state.name
    if record.state not in QUIET or known.due is not None or not told:
        facts.append(why)
    if known.due is not None:
        facts.append(f"next start {clock(known.due)}")
    if record.state is State.STOPPING and record.by:
        facts.append(f"asked by {record.by}")
    more = "; ".join(filter(None, facts))
    return f"{line}: {more}" if more else line


# What happened.


def _told(group: list[Episode], program: Program, clock: Callable[[float], str]) -> list[str]:
    """Return the lines for equal episodes in a row, the newest first."""
    newest = group[0]
    if newest.verb is Verb.FAILED_TO_START:
        line = _failed(group, program, clock)
    elif len(group) == 1:
        line = f"{newest.verb.value} {clock(newest.time)}{newest.rest}"
    elif newest.cause is not None:
        end = f"{newest.end}{_range(group)}{newest.aside}{newest.after}"
        line = f"{newest.verb.value} {_times(group, clock)}: {end}"
    else:
        line = f"{newest.verb.value} {_times(group, clock)}, the last time{newest.rest}"
    if not newest.words:
        return [line]
    return [f"{line}; it said:", *(f"    | {text}" for text in newest.words)]


def _failed(group: list[Episode], program: Program, clock: Callable[[float], str]) -> str:
    newest, oldest = group[0], group[-1]
    total = program.startretries + 1
    of = of_all(program) if newest.number <= total else ""
    end = f"{newest.end}{_range(group)}{newest.after}"
    if newest.exit is not None and newest.exit.code in program.exitcodes:
        # Nothing went wrong, as it seems: so what did?
        end += f", before startsecs ({span(program.startsecs)})"
    if len(group) == 1:
        return f"failed to start {clock(newest.time)} (try {newest.number}{of}): {end}"
    climbing = newest.number - oldest.number == len(group) - 1
    tries = f" (tries {oldest.number} to {newest.number}{of})" if climbing else ""
    return f"failed to start {_times(group, clock)}{tries}: {end}"


def _times(group: list[Episode], clock: Callable[[float], str]) -> str:
    first, last = clock(group[-1].time), clock(group[0].time)
    when = f"at {first}" if first == last else f"between {first} and {last}"
    return f"{len(group)} times {when}"


def _range(group: list[Episode]) -> str:
    """Return how long these runs were up."""
    lasted = [episode.lasted for episode in group if episode.lasted is not None]
    if not lasted:
        return ""
    least, most = span(min(lasted)), span(max(lasted))
    after = f"{end_glue(group[0].cause)} after {least}"
    return after if least == most else f"{after} to {most}"
