"""What the virtual machine boots: Debian's kernel, and all its files in memory (initramfs).

The parts are made once and kept in the cache. Nothing is installed on this machine.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import tomli

from tests.systemd.machine import CACHE, PACKAGES, REPO, SUITE, base_root

KERNEL = CACHE / "vm-kernel"
ROOT = CACHE / f"vm-{SUITE}.cpio"
WHEELS = CACHE / f"vm-{SUITE}-wheels"

_KERNEL_PACKAGE = "linux-image-cloud-amd64"

_TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "cpio": "cpio",
    "debootstrap": "debootstrap",
    "setpriv": "util-linux",
}
"""What has to be installed, with the packages of Debian that have it."""

_NEEDED = ("hatchling", "pip", "pytest", "pytest-timeout", "hypothesis")
"""What the tests need beside our own dependencies: they build and install our wheel, too."""

_LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "dist", "build", "*.egg-info")


def missing() -> str:
    """Return what there has to be before a machine can be made, or an empty string."""
    if platform.machine() != "x86_64":
        return "a processor of x86-64"
    if os.geteuid() != 0:
        return "root: the machine's files have many owners"
    if lacking := [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]:
        return f"apt-get install --no-install-recommends {' '.join(lacking)}"
    return ""


def kernel() -> Path:
    """Return the directory of Debian's kernel, unpacked from its package.

    Raises subprocess.CalledProcessError, for example without a network.
    """
    if not KERNEL.exists():
        shown = _output("apt-cache", "depends", "--important", _KERNEL_PACKAGE)
        (package,) = re.findall(r"Depends: (linux-image-\S+)", shown)
        with tempfile.TemporaryDirectory(dir=CACHE) as place:
            download = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package]
            subprocess.run(download, cwd=place, check=True, timeout=300)
            (file,) = Path(place).glob("*.deb")
            subprocess.run(["dpkg-deb", "-x", file, f"{place}/kernel"], check=True)
            Path(place, "kernel").rename(KERNEL)
    return KERNEL


def build(target: Path, arguments: Sequence[str]) -> None:
    """Write the files of a machine that runs pytest with these arguments.

    That is the root of the systemd tests, and over it the packages, this checkout and init.
    """
    base = base_root()
    made = ROOT.with_suffix(".made")
    if not (made.exists() and made.read_text() == PACKAGES and ROOT.exists()):
        made.unlink(missing_ok=True)
        with ROOT.open("wb") as archive:
            _pack(base, archive)
        made.write_text(PACKAGES)
    version = Path(base / "usr/bin/python3").readlink().name.removeprefix("python")
    _download(version)
    with tempfile.TemporaryDirectory(dir=CACHE) as place, target.open("wb") as archive:
        over = Path(place)
        over.chmod(0o755)
        _lay_over(over, version, arguments)
        with ROOT.open("rb") as lower:
            shutil.copyfileobj(lower, archive, 1 << 20)
        archive.flush()
        _pack(over, archive, "--owner=+0:+0")  # the kernel unpacks one archive after the other


def _lay_over(over: Path, version: str, arguments: Sequence[str]) -> None:
    """Put there what the machine has beside its root."""
    shutil.copytree(REPO, over / "repo", ignore=_LEFT_OUT, symlinks=True)
    shutil.copytree(WHEELS, over / "packages")
    (module,) = kernel().rglob("overlay.ko")
    shutil.copy(module, over / "overlay.ko")
    shutil.copy(Path(__file__).with_name("init.sh"), over / "init")
    (over / "init").chmod(0o755)
    pytest = ["python3", "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    cache = over / "root/.cache/supervisor-lite"
    (cache / f"root-{SUITE}").mkdir(parents=True)
    (cache / f"root-{SUITE}.made").write_text(PACKAGES)
    (over / "arguments").write_text(f"exec {shlex.join(pytest)}\n")
    packages = over / f"usr/local/lib/python{version}/dist-packages"
    wheels = sorted(str(wheel) for wheel in WHEELS.glob("*.whl"))
    _pip("install", "--no-deps", "--no-compile", "--target", str(packages), *_for(version), *wheels)
    (packages / "checkout.pth").write_text("/repo\n")


def _download(version: str) -> None:
    """Fetch the packages for the Python of the machine, which need not be ours."""
    project = tomli.loads((REPO / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *_NEEDED]
    made = WHEELS / "needed"
    if made.exists() and made.read_text() == str(needed):
        return
    shutil.rmtree(WHEELS, ignore_errors=True)
    _pip("download", "-d", str(WHEELS), *_for(version), *needed)
    made.write_text(str(needed))


def _for(version: str) -> list[str]:
    """Return what makes pip choose wheels for every Python from that one on, as ours must be."""
    fits = ["--only-binary=:all:", f"--python-version={version}", "--implementation=cp"]
    return [*fits, "--abi=abi3", "--abi=none", "--platform=manylinux2014_x86_64"]


def _pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *words]
    subprocess.run(command, check=True, timeout=300)


def _pack(root: Path, archive: BinaryIO, *options: str) -> None:
    """Append everything below a directory to an archive, as the kernel reads it."""
    line = ["cpio", "--null", "--create", "--format=newc", "--quiet", *options]
    names = [".", *(str(path.relative_to(root)) for path in sorted(root.rglob("*")))]
    listed = "\0".join(names).encode()
    subprocess.run(line, cwd=root, input=listed, stdout=archive, check=True, timeout=300)


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
