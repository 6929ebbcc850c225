"""Say whether this checkout may be released under a tag: `python packaging/release.py v0.1.0`.

The tag must be `v` and the version in `supervisor_lite/__init__.py`, the changelog must have a
dated section for it that says something, and nothing may be uncommitted. Exits 0, or 1 with every
reason.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def version(root: Path = ROOT) -> str:
    """Return the version of the package. Raises ValueError if its line is not found."""
    text = (root / "supervisor_lite/__init__.py").read_text()
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise ValueError("supervisor_lite/__init__.py has no __version__")
    return found[1]


def objections(tag: str, root: Path = ROOT) -> list[str]:
    """Return every reason why this checkout must not be released as `tag`; none if it may."""
    found = []
    current = version(root)
    if tag != f"v{current}":
        found.append(f"the tag is {tag}, the version is {current}: the tag must be v{current}")
    changelog = (root / "CHANGELOG.md").read_text()
    section = re.search(
        rf"^## {re.escape(current)} - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)", changelog, re.M | re.S
    )
    if section is None:
        found.append(f'CHANGELOG.md has no section "## {current} - YYYY-MM-DD"')
    elif "- " not in section[1]:
        found.append(f"CHANGELOG.md says nothing about {current}")
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=False
    )
    if status.returncode != 0:
        found.append(f"git status failed: {status.stderr.strip()}")
    elif status.stdout:
        found.append("there are uncommitted changes")
    return found


def main(argv: list[str]) -> int:
    """Print the objections to the tag that is named; return the exit code."""
    if len(argv) != 1:
        sys.stderr.write("usage: python packaging/release.py TAG\n")
        return 2
    found = objections(argv[0])
    for text in found:
        sys.stderr.write(f"release: {text}\n")
    if not found:
        sys.stdout.write(f"ok: {argv[0]} may be released\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
