"""The same folder as for the tests of the configuration."""

from __future__ import annotations

from tests.config.conftest import folder

__all__ = ["folder"]
