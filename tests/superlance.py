"""superlance, the event listeners that most users of Supervisor run: installed once per machine."""

from __future__ import annotations

from pathlib import Path

from tests.peer import installed

PACKAGES = ("superlance==2.0.0", "supervisor==4.3.0", "setuptools<81")
"""They import the supervisor package, and that imports pkg_resources."""


def superlance_bin() -> Path:
    """Return the directory with memmon, httpok and the others; skips the test if there is none."""
    return installed("superlance", PACKAGES, "superlance cannot be installed")
