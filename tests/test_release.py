"""A release is tagged with the version that it has."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", ROOT / "packaging/release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = _load()

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "supervisor_lite").mkdir()
    (tmp_path / "supervisor_lite/__init__.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.0 - 2026-11-28\n\n- New.\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "-m", "x")
    return tmp_path


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", *arguments],
        cwd=directory,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


@needs_git
def test_a_checkout_that_may_be_released(checkout: Path) -> None:
    assert release.objections("v1.2.0", checkout) == []


@needs_git
@pytest.mark.parametrize("tag", ["1.2.0", "v1.2", "v1.2.0rc1", "v1.3.0", ""])
def test_the_tag_must_equal_the_version(checkout: Path, tag: str) -> None:
    (objection,) = release.objections(tag, checkout)
    assert objection.endswith("the tag must be v1.2.0")


@needs_git
def test_the_changelog_must_have_something_to_say(checkout: Path) -> None:
    changelog = checkout / "CHANGELOG.md"
    changelog.write_text("## Unreleased\n\n- New.\n")
    assert any("no section" in text for text in release.objections("v1.2.0", checkout))
    changelog.write_text("## 1.2.0 - 2026-11-28\n\n## 1.1.0 - 2026-01-01\n\n- Old.\n")
    assert any("says nothing" in text for text in release.objections("v1.2.0", checkout))


@needs_git
def test_nothing_may_be_uncommitted(checkout: Path) -> None:
    (checkout / "new").touch()
    assert release.objections("v1.2.0", checkout) == ["there are uncommitted changes"]


@needs_git
def test_a_tagged_commit_has_the_tag_of_its_version() -> None:
    """Fails in the checks of a release that was tagged wrongly, and nowhere else."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    tags = git(ROOT, "tag", "--points-at", "HEAD", "--list", "v[0-9]*").split()
    assert tags in ([], [f"v{release.version(ROOT)}"])
