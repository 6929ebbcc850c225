"""The policy of a program in sentences."""

from __future__ import annotations

from supervisor_lite.explain.imagined import IMAGINED_RUN, ImaginedWorld
from supervisor_lite.explain.tries import how_often, of_all
from supervisor_lite.model.events import StartAsked
from supervisor_lite.model.program import Leftovers, Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.restart import AutoRestart, BackoffKind
from supervisor_lite.model.states import State
from supervisor_lite.rules import backoff
from supervisor_lite.text import duration


def on_start(program: Program) -> str:
    """When a start counts as done."""
    if program.startsecs == 0:
        return "It is RUNNING as soon as it is spawned (startsecs = 0)."
    up = duration(program.startsecs)
    return f"It is RUNNING when it has been up for {up}; an end before that is a failed start."


def on_failed_start(program: Program) -> tuple[str, ...]:
    """Say how often and when a failed start is tried again."""
    rule, retries = program.backoff, program.startretries
    if retries == 0:
        return ("A failed start is not tried again: it is FATAL.",)
    waits = [
        backoff.pause(rule, number, IMAGINED_RUN) for number in range(1, retries + 1)[:_PAUSES]
    ]
    pauses = ", ".join(map(duration, waits)) + (" …" if retries > len(waits) else "")
    if rule.kind is BackoffKind.CONSTANT:
        pauses = f"{duration(waits[0])} each time"
    limits = "" if rule.max is None else f", at most {duration(rule.max)}"
    if rule.jitter:
        limits += f", each up to +{rule.jitter * 100:g} %"
    then = "; then it is FATAL" if of_all(program) else ""
    lines = [
        f"A failed start is tried again {how_often(program)}, after {pauses}"
        f" ({rule.kind.value} backoff{limits}){then}."
    ]
    total = _total(program)
    if total is not None:
        at_least = "at least " if rule.jitter else ""
        lines.append(f"If every try fails at once, it is FATAL after {at_least}{duration(total)}.")
    return tuple(lines)


def _total(program: Program) -> float | None:
    """Return how long after its first spawn a program that never starts is given up."""
    if program.startsecs == 0:
        return None
    world = ImaginedWorld(program, Record(), 0.0)
    world.play((StartAsked(""),))
    return world.moments[-1].at if world.record.state is State.FATAL else None


def on_exit(program: Program) -> str:
    """What an end after RUNNING leads to."""
    codes = ", ".join(map(str, program.exitcodes)) or "none"
    soon = f"at once ({backoff.MIN_INTERVAL:g} s after its last spawn at the earliest)"
    match program.autorestart:
        case AutoRestart.ALWAYS:
            return f"When it ends after it was RUNNING, it is started again {soon}."
        case AutoRestart.NEVER:
            return "When it ends after it was RUNNING, it stays EXITED (autorestart = false)."
        case AutoRestart.UNEXPECTED:
            return (
                f"When it ends after it was RUNNING with an expected exit code ({codes}), it stays"
                f" EXITED; after any other end it is started again {soon}."
            )


def on_limit(program: Program) -> tuple[str, ...]:
    """What `restart_limit` allows."""
    limit = program.restart_limit
    if limit is None:
        return ()
    most = f"At most {limit.restarts} automatic starts in {duration(limit.window)}"
    if limit.cooldown is None:
        return (f"{most}, then it is FATAL; starts that were asked for do not count.",)
    pause = duration(limit.cooldown)
    return (
        f"{most}, then a pause of {pause} and one try, again and again;"
        " starts that were asked for do not count.",
    )


def on_stop(program: Program) -> str:
    """How it is stopped."""
    whom = "its process group" if program.stopasgroup else "its main process"
    killed = " to the group" if program.killasgroup else ""
    wait = duration(program.stopwaitsecs)
    text = f"A stop sends {program.stopsignal} to {whom}, KILL{killed} after {wait}."
    if program.leftovers is Leftovers.KEEP:
        return f"{text} Whatever else of it is alive after its end is left alone."
    return (
        f"{text} Whatever else of it is alive after its end gets {program.stopsignal},"
        f" and KILL after {wait} (after a stop what is left of that, at least"
        f" {duration(min(1.0, program.stopwaitsecs))}); the next start waits for that."
    )


_PAUSES = 6
"""Pauses that are spelled out in words."""
