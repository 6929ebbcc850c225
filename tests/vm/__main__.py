"""`python -m tests.vm [pytest's arguments]`: run tests on a whole kernel of their own.

Its cgroups are those of version 2 with all controllers, which a host may have bound to version 1.
The machine has one processor, no network and no disk, and is Debian's of SUPERVISOR_LITE_SUITE.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.systemd.machine import CACHE, SUITE
from tests.vm import image

DEFAULT = ("tests/functional/test_real_limits.py", "tests/functional/test_cgroups.py",
           "tests/systemd/test_delegation.py")  # fmt: skip

LIMIT = 1800.0
"""Seconds after which the machine is switched off, whatever it does."""

ACCELERATOR = os.environ.get("SUPERVISOR_LITE_ACCELERATOR", "tcg")
"""How the processor is made. KVM is faster by far, but may hang inside of another machine."""

MEMORY = "3G"
"""The files of the machine are in there, and a copy of them while it boots."""

NO_MACHINE = 2
"""Exit code if there was none: pytest's own for a usage error."""


def main(arguments: list[str]) -> int:
    """Boot, print what the tests say while they run, and return pytest's exit code."""
    if why := image.missing():
        print(f"tests.vm: not without: {why}", file=sys.stderr)
        return NO_MACHINE
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as place:
        files, said = Path(place, "files"), Path(place, "code")
        try:
            kernel = image.kernel()
            image.build(files, arguments or DEFAULT)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"tests.vm: cannot make the machine: {error}", file=sys.stderr)
            return NO_MACHINE
        (vmlinuz,) = kernel.glob("boot/vmlinuz-*")
        machine = subprocess.Popen(_command(vmlinuz, files, said), stdin=subprocess.DEVNULL)
        try:
            machine.wait(LIMIT)
        except subprocess.TimeoutExpired:
            print(f"tests.vm: switched off after {LIMIT:g} s", file=sys.stderr)
        finally:
            machine.kill()
            machine.wait()
        with contextlib.suppress(OSError, ValueError):
            return int(said.read_text())
    print("tests.vm: the machine ended before the tests did", file=sys.stderr)
    return NO_MACHINE


def _command(vmlinuz: Path, files: Path, said: Path) -> list[str]:
    """Return how the machine is started: it ends with us, and does not boot twice."""
    words = "console=ttyS0 quiet loglevel=2 panic=-1 rdinit=/init random.trust_cpu=on"
    return [
        "setpriv", "--pdeathsig=KILL", "qemu-system-x86_64",
        "-accel", ACCELERATOR, "-cpu", "max", "-smp", "1", "-m", MEMORY,
        "-nodefaults", "-display", "none", "-no-reboot",
        "-serial", "stdio", "-serial", f"file:{said}",
        "-kernel", str(vmlinuz), "-initrd", str(files), "-append", f"{words} SUITE={SUITE}",
    ]  # fmt: skip


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("tests.vm: interrupted, switched off")
