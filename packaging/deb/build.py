"""Make the Debian package: python3 packaging/deb/build.py [--version V] [--output DIR].

Needs pip and dpkg-deb, no root and no debhelper. The package has a private directory of modules in
/usr/lib/supervisor-lite, ours and those that we depend on. Of these it takes the wheels that
suit every Python (pure ones, or with the stable ABI), so one package fits Debian 12 and later.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from email.utils import formatdate
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[1]
SYSTEMD = HERE.parent / "systemd"
NAME = "supervisor-lite"
HOME = f"usr/lib/{NAME}"
DOC = f"usr/share/doc/{NAME}"
PYTHON = "3.11"
"""The oldest version that the package is for."""

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Debian's names of architectures, and those of wheels."""

SCRIPT = """\
#!/usr/bin/python3 -IS
import sys
sys.path.insert(0, "/{home}")
{more}from {module} import {function}
sys.exit({function}())
"""
# Isolated: no module of the administrator's Python, no variable and no current directory counts.
# What slctl itself runs (the check of a configuration) is found by a variable.
FOR_CLIENT = f'import os\nos.environ["PYTHONPATH"] = "/{HOME}"\n'


def main() -> None:
    """Build it and print where it is."""
    parser = argparse.ArgumentParser(description="Make the Debian package.")
    parser.add_argument("--version", help="instead of the one in supervisor_lite/__init__.py")
    parser.add_argument("--output", type=Path, default=REPO / "dist", metavar="DIR")
    options = parser.parse_args()
    machine = subprocess.run(
        ["dpkg", "--print-architecture"], check=True, capture_output=True, text=True
    ).stdout.strip()
    version = options.version or version_of(REPO)
    options.output.mkdir(parents=True, exist_ok=True)
    target = options.output / f"{NAME}_{version}_{machine}.deb"
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        root.mkdir()
        Build(root, Path(scratch), version, machine).run()
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, target],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    sys.stdout.write(f"{target}\n")


def version_of(place: Path) -> str:
    """Return the version of a checkout."""
    text = (place / "supervisor_lite/__init__.py").read_text()
    match = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if match is None:
        raise SystemExit("there is no __version__")
    return match[1]


class Build:
    """Fills a directory with what the package holds."""

    def __init__(self, root: Path, scratch: Path, version: str, machine: str) -> None:
        self.root = root
        self.scratch = scratch
        self.version = version
        self.machine = machine
        self.when = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))

    def run(self) -> None:
        """Do everything but pack it."""
        source = self.sources()
        self.modules(self.wheel(source))
        self.systemd()
        self.texts()
        self.manuals()
        self.control()

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the package."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def compress(self, path: str, text: str) -> None:
        """Write a compressed file that is the same every time."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(gzip.compress(text.encode(), 9, mtime=0))

    def sources(self) -> Path:
        """Copy what the wheel is made of, with the version that is asked for."""
        copy = self.scratch / "source"
        copy.mkdir()
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(REPO / name, copy)
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPO / "supervisor_lite", copy / "supervisor_lite", ignore=ignore)
        init = copy / "supervisor_lite/__init__.py"
        init.write_text(init.read_text().replace(f'"{version_of(copy)}"', f'"{self.version}"'))
        return copy

    def wheel(self, source: Path) -> Path:
        """Make our own wheel."""
        self.pip("wheel", "--no-deps", "--wheel-dir", str(self.scratch), str(source))
        (wheel,) = self.scratch.glob("*.whl")
        return wheel

    def modules(self, wheel: Path) -> None:
        """Install the modules and the scripts that run them."""
        home = self.root / HOME
        machine = MACHINES.get(self.machine, self.machine)
        platforms = ("manylinux_2_17", "manylinux_2_12", "manylinux2014", "manylinux2010")
        fits = [
            "--python-version",
            PYTHON,
            "--implementation",
            "cp",
            "--abi",
            "abi3",
            "--abi",
            "none",
        ]
        for platform in platforms:
            fits += ["--platform", f"{platform}_{machine}"]
        self.pip("install", "--target", str(home), "--no-compile", "--only-binary=:all:",
                 *fits, f"{wheel}[gateway]")  # fmt: skip
        scripts = configparser.ConfigParser()
        scripts.read(next(home.glob("supervisor_lite-*.dist-info")) / "entry_points.txt")
        for name, place in scripts["console_scripts"].items():
            module, _, function = place.partition(":")
            more = FOR_CLIENT if name == "slctl" else ""
            text = SCRIPT.format(home=HOME, module=module, function=function, more=more)
            self.write(f"usr/bin/{name}", text, 0o755)
        for path in (home / "bin", home / "psutil/tests", *home.glob("*.dist-info")):
            shutil.rmtree(path, ignore_errors=True)
        for path in sorted(home.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
            if path.suffix == ".so":
                subprocess.run(["strip", "--strip-unneeded", path], check=False)

    def pip(self, *arguments: str) -> None:
        """Run pip, quietly unless it fails."""
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stdout}")

    def systemd(self) -> None:
        """Install the units, for programs that are in /usr/bin, and the configuration."""
        for name, path in (
            ("supervisor-lite.service", "lib/systemd/system/supervisor-lite.service"),
            ("supervisor-lite-user.service", "usr/lib/systemd/user/supervisor-lite.service"),
            ("sysusers.conf", f"usr/lib/sysusers.d/{NAME}.conf"),
            ("tmpfiles.conf", f"usr/lib/tmpfiles.d/{NAME}.conf"),
            ("hardening.conf", f"{DOC}/examples/hardening.conf"),
            ("leave-running.conf", f"{DOC}/examples/leave-running.conf"),
            ("preserve-store.conf", f"{DOC}/examples/preserve-store.conf"),
            ("limits.conf", f"{DOC}/examples/limits.conf"),
        ):
            text = (SYSTEMD / name).read_text().replace("/opt/supervisor-lite/bin/", "/usr/bin/")
            manuals = "Documentation=man:supervisor-lite(1) man:slctl(1)"
            text = re.sub(r"^Documentation=.*$", manuals, text, flags=re.MULTILINE)
            self.write(path, text)
        self.write("etc/supervisor-lite/supervisor.toml",
                   (HERE.parent / "supervisor.toml").read_text())  # fmt: skip
        (self.root / "etc/supervisor-lite/conf.d").mkdir()

    def texts(self) -> None:
        """Install the licences, the changes and what lintian is to know."""
        self.write(f"{DOC}/copyright", (HERE / "copyright").read_text())
        self.write(f"usr/share/lintian/overrides/{NAME}", (HERE / "lintian-overrides").read_text())
        entry = (
            f"{NAME} ({self.version}) unstable; urgency=medium\n\n"
            "  * What has changed is told in CHANGELOG.md of the source.\n\n"
            f" -- The supervisor-lite authors <{NAME}@localhost>  {formatdate(self.when)}\n"
        )
        self.compress(f"{DOC}/changelog.gz", entry)
        self.compress(f"{DOC}/README.md.gz", (REPO / "README.md").read_text())

    def manuals(self) -> None:
        """Make the manual pages from what the programs say about themselves."""
        done = subprocess.run(
            [sys.executable, HERE / "manual.py", self.version],
            check=True, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(self.root / HOME), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        for name, text in ast.literal_eval(done.stdout).items():
            self.compress(f"usr/share/man/man1/{name}.1.gz", text)

    def control(self) -> None:
        """Write what dpkg reads."""
        files = sorted(p for p in self.root.rglob("*") if p.is_file())
        size = sum(max(4, -(-p.stat().st_size // 1024)) for p in files)
        sums = "".join(
            f"{hashlib.md5(p.read_bytes()).hexdigest()}  {p.relative_to(self.root)}\n"
            for p in files
            if "etc" not in p.relative_to(self.root).parts[:1]
        )
        control = (HERE / "control").read_text().format(
            version=self.version, machine=self.machine, size=size, python=PYTHON
        )  # fmt: skip
        self.write("DEBIAN/control", control)
        self.write("DEBIAN/md5sums", sums)
        self.write("DEBIAN/conffiles", "/etc/supervisor-lite/supervisor.toml\n")
        for name in ("postinst", "prerm", "postrm"):
            self.write(f"DEBIAN/{name}", (HERE / name).read_text(), 0o755)


if __name__ == "__main__":
    main()
