"""How a run ended."""

from __future__ import annotations

from typing import NamedTuple


class Exit(NamedTuple):
    """How a run ended. Neither code nor signal: nobody could tell (an adopted run)."""

    code: int | None = None
    signal: str | None = None
    core: bool = False
    why: str = ""
    """Why it was killed, in words, where that is known; of an unknown end, what is likely."""

    def __str__(self) -> str:
        if self.code is not None:
            return f"exit {self.code}"
        words = "ended with an unknown exit code"
        if self.signal is not None:
            words = f"killed by {self.signal}" + (" (core dumped)" if self.core else "")
        return f"{words}: {self.why}" if self.why else words
