"""The configuration of this daemon, for clients that mean the daemon of another one.

Two projects may look for their daemons at the same socket. A client that has found a configuration
says with each request which one that is; nothing is done for one that is not ours.
"""

from __future__ import annotations

from collections.abc import Iterable

from supervisor_lite.errors import OtherConfiguration
from supervisor_lite.protocol.directories import same


class OwnConfiguration:
    """What the daemon runs with."""

    def __init__(self, path: str = "", files: Iterable[str] = ()) -> None:
        """`path` is a file or a directory, `files` are all that were read; none: any is right."""
        self._path = path
        self._files = frozenset((path, *files))

    def require(self, other: object) -> None:
        """Raise OtherConfiguration if that is not ours, nor one of its files."""
        if not self._path:
            return
        if isinstance(other, str) and (
            other in self._files or any(same(other, file) for file in self._files)
        ):
            return
        raise OtherConfiguration(
            f'the daemon here runs with "{self._path}", and slctl has found "{other}": nothing was'
            " done; name the daemon's configuration with -c, or its socket with -s"
        )
