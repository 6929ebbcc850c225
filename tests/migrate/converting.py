"""Convert a text and look at what it became."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli

from supervisor_lite.config.load import load
from supervisor_lite.errors import ConfigError
from supervisor_lite.migrate.converter import Conversion, convert
from supervisor_lite.model.plan import Configuration
from tests.config.conftest import Folder

MACHINE = (
    "a user of this system", "a group of users of this", "no permission", "no directory",
    "it is a directory", "%(ENV_", "there is no such user",
)  # fmt: skip
"""Complaints that are about the machine and not about the conversion."""


def write_out(conversion: Conversion, out: Path) -> Path:
    for name, text in conversion.files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return out / "supervisor.toml"


def loaded(main: Path, environ: Mapping[str, str]) -> Configuration | None:
    """Load what was written, None if this machine is the only reason why that fails."""
    try:
        return load(str(main), environ)
    except ConfigError as error:
        ours = [c for c in error.diagnostics if not any(words in c.text for words in MACHINE)]
        assert not ours, "\n".join(map(str, ours))
        return None


class Converted:
    """What a text became: the tables, the findings, and the configuration if it can be loaded."""

    def __init__(self, folder: Folder, text: str) -> None:
        folder.write("etc/supervisord.conf", text)
        conversion = convert("etc/supervisord.conf", "out")
        self.data: dict[str, Any] = tomli.loads(conversion.files["supervisor.toml"])
        self.text = conversion.files["supervisor.toml"]
        self.lost = [str(note) for note in conversion.notes if note.lossy]
        self.notes = [str(note) for note in conversion.notes if not note.lossy]
        self.configuration = loaded(write_out(conversion, folder.path / "out"), {"HOME": "/root"})

    def said(self, words: str) -> bool:
        return any(words in text for text in self.lost + self.notes)


def program(folder: Folder, *lines: str, name: str = "x") -> dict[str, Any]:
    """Return the table that a program with these keys becomes."""
    body = "\n".join(("[supervisord]", f"[program:{name}]", "command=sleep 1", *lines))
    found: dict[str, Any] = Converted(folder, body).data["program"][name]
    return found
