"""What is installed beside us: the optional parts, and the command that installs them."""

from __future__ import annotations

import sys

_NEEDED = {"gateway": ("starlette", "uvicorn", "h11")}
"""By extra of pyproject.toml: the modules without which it does not work."""


def missing(extra: str) -> str:
    """Return the first module that an extra needs and this Python does not find; or empty."""
    from importlib.util import find_spec

    return next((name for name in _NEEDED[extra] if find_spec(name) is None), "")


def advice(extra: str) -> str:
    """Return the command that installs an extra for this Python."""
    return f"{sys.executable} -m pip install 'supervisor-lite[{extra}]'"
