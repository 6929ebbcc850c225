"""How a run ended."""

from __future__ import annotations

from typing import NamedTuple


class Exit(NamedTuple):
    """How a run ended. Neither code nor signal: nobody could tell (an adopted run)."""

    code: int | None = None
    signal: str | None = None
    """"SIGSEGV"."""
    core: bool = False
    out_of_memory: bool = False
    """The kernel killed it for want of memory; of an unknown end, it probably did."""
    memory_max: int | None = None
    """The limit that it had reached, in bytes; None: memory was short without one."""
    sent_by: str = ""
    """Who asked the daemon to send that signal; empty if nobody did."""
