"""Where pids mean something: a pid namespace, from its begin to its end."""

from __future__ import annotations

from typing import NamedTuple


class World(NamedTuple):
    """One pid namespace of one boot.

    The number of a namespace is given out again when it is gone, often at once: a container that
    is started again has it, too. What is never the same again is when its first process began.
    """

    boot: str
    """The kernel's random id of this boot."""
    namespace: int = 0
    """The inode of the pid namespace, 0 where it cannot be known."""
    began: int = 0
    """Start time of the namespace's pid 1 in clock ticks after boot; 0 where it cannot be seen
    (hidepid= of proc(5)), and as versions wrote it that did not know it."""

    def __str__(self) -> str:
        """Return it as it stands in the journal."""
        return f"{self.boot} {self.namespace} {self.began}"

    @classmethod
    def parse(cls, text: str) -> World:
        """Return what was written; what cannot be read is unknown."""
        boot, *numbers = text.split(" ") if text else [""]
        found = [int(each) if each.isdecimal() and len(each) < 20 else 0 for each in numbers]
        return cls(boot, *found[:2])

    def may_be(self, other: World) -> bool:
        """Can both be the same, by what is known of both?"""
        return (
            self.boot == other.boot
            and (self.namespace == other.namespace or 0 in (self.namespace, other.namespace))
            and (self.began == other.began or 0 in (self.began, other.began))
        )
