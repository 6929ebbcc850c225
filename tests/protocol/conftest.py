"""What the tests of the table of commands take from those of slctl."""

from __future__ import annotations

from tests.ctl.conftest import serve, socket_path

__all__ = ["serve", "socket_path"]
