"""How many tries there are: a number that somebody may live to see, or none."""

from __future__ import annotations

from supervisor_lite.model.program import Program

NO_END = 1_000_000
"""As many tries as this are without an end for whoever reads it."""


def of_all(program: Program) -> str:
    """Return " of 4" where there are four tries; nothing where there is no end of them."""
    retries = program.startretries
    return f" of {retries + 1}" if retries < NO_END else ""


def how_often(program: Program) -> str:
    """Say how often a failed start is tried again, at least once."""
    retries = program.startretries
    if retries >= NO_END:
        return "without an end"
    return "once" if retries == 1 else f"up to {retries} times"
