"""A folder with configuration files, and what loading them gives."""

from __future__ import annotations

import contextlib
import encodings.utf_8_sig  # noqa: F401 see `unprivileged`
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from supervisor_lite.config.load import load
from supervisor_lite.errors import ConfigError
from supervisor_lite.model.plan import Configuration
from supervisor_lite.model.program import Program


class Folder:
    """Files in the current directory, named in complaints as they are written here."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def load(
        self,
        text: str | bytes | None = None,
        path: str = "supervisor.toml",
        environ: Mapping[str, str] | None = None,
    ) -> Configuration:
        """Load `path`; `text` is first written to the main file."""
        if text is not None:
            self.write("supervisor.toml", text)
        return load(path, {} if environ is None else environ)

    def complaints(
        self,
        text: str | bytes | None = None,
        path: str = "supervisor.toml",
        environ: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Return the complaints, one text each; there must be some."""
        with pytest.raises(ConfigError) as caught:
            self.load(text, path, environ)
        assert str(caught.value).split("\n") == [str(c) for c in caught.value.diagnostics]
        return [str(complaint) for complaint in caught.value.diagnostics]

    def processes(self, text: str, environ: Mapping[str, str] | None = None) -> list[Program]:
        return list(self.load(text, environ=environ).plan.processes())

    def process(self, text: str, environ: Mapping[str, str] | None = None) -> Program:
        (process,) = self.processes(text, environ)
        return process


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Be a user to whom permissions apply.

    That user may not be able to read Python's library, and what cannot be imported once is taken
    for missing ever after: the codec that files are read by is loaded before.
    """
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """A folder that every user can enter; pytest's own are private."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    monkeypatch.chdir(path)
    yield Folder(path)
    shutil.rmtree(path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    return Folder(tmp_path)
