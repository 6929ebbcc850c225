"""Boot a real systemd as PID 1 of private namespaces, and run commands in it.

Needs root, debootstrap, unshare and nsenter. The root file system is made once and kept in a cache;
each machine works on a copy of its own (overlayfs), with our package installed in /opt.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "supervisor-lite"
PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,procps"

_BOOT = """
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
cd "$ROOT"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -o remount,bind,ro sys
mount -t tmpfs -o mode=755 tmpfs dev
for spec in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
    set -- $spec
    mknod -m 666 dev/$1 c $2 $3
done
mkdir -p dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for n in 0 1 2; do set -- stdin stdout stderr; shift $n; ln -s /proc/self/fd/$n dev/$1; done
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
hostname slboot
ip link set lo up 2>/dev/null || true
mkdir -p .old
pivot_root . .old
cd /
umount -l /.old
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=lxc /lib/systemd/systemd --system
"""


def missing() -> str:
    """Return why a machine cannot be booted here, or an empty string."""
    if os.geteuid() != 0:
        return "only root can boot a machine in namespaces"
    for tool in ("debootstrap", "unshare", "nsenter", "ip"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    if _cgroup2() is None:
        return "there is no writable cgroup2 hierarchy"
    return ""


def _cgroup2() -> Path | None:
    for place in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        if os.access(f"{place}/cgroup.procs", os.W_OK):
            return Path(place)
    return None


def base_root(suite: str = "bookworm") -> Path:
    """Return a root file system with systemd and Python, made by debootstrap if there is none."""
    root = CACHE / f"root-{suite}"
    if (root / ".made").exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    root.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(root)],
        check=True, stdout=subprocess.DEVNULL, timeout=540,
    )  # fmt: skip
    (root / ".made").touch()
    return root


class Machine:
    """A booted system. Commands run inside by nsenter."""

    def __init__(self, place: Path, suite: str = "bookworm") -> None:
        self.root = place / "root"
        self._place = place
        lower = base_root(suite)
        for name in ("upper", "work", "root"):
            (place / name).mkdir()
        # /tmp may itself be an overlay, on which none can be stacked: a tmpfs can always carry one.
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place / "upper")], check=True)
        (place / "upper" / "u").mkdir()
        (place / "upper" / "w").mkdir()
        options = f"lowerdir={lower},upperdir={place}/upper/u,workdir={place}/upper/w"
        subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", options, str(self.root)], check=True
        )
        self._boot: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._group = _cgroup2()

    def chroot(self, *command: str) -> str:
        """Run a command in the root before it is booted."""
        done = subprocess.run(
            ["chroot", str(self.root), *command], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def install(self) -> None:
        """Install our package into /opt/supervisor-lite, without a network inside."""
        wheels = self.root / "wheels"
        wheels.mkdir()
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "--quiet", "-w", str(wheels), str(REPO)],
            check=True, timeout=300,
        )  # fmt: skip
        self.chroot("python3", "-m", "venv", "/opt/supervisor-lite")
        self.chroot(
            "/opt/supervisor-lite/bin/pip", "install", "--quiet", "--no-index",
            "--find-links=/wheels", "supervisor-lite",
        )  # fmt: skip

    def boot(self) -> None:
        """Boot and wait until systemd has started everything."""
        group = self._group
        assert group is not None
        self._slice = group / f"sl-{os.getpid()}-{os.urandom(3).hex()}"
        self._slice.mkdir()
        namespaces = ("--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup")
        script = f'echo $$ > {self._slice}/cgroup.procs; exec "$@"'
        self._boot = subprocess.Popen(
            ["bash", "-c", script, "boot", "unshare", *namespaces, "--fork",
             "--kill-child=SIGKILL", "bash", "-euc", _BOOT],
            env={**os.environ, "ROOT": str(self.root)},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.wait(self._find_init, "the machine's first process")
        self.wait(self._is_up, "systemd to be up", limit=60)

    def _find_init(self) -> bool:
        assert self._boot is not None
        path = f"/proc/{self._boot.pid}/task/{self._boot.pid}/children"
        with contextlib.suppress(OSError):
            words = Path(path).read_text().split()
            self._pid = int(words[0]) if words else 0
        if not self._pid:
            return False
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self._pid}/comm").read_text().strip() == "systemd"
        return False

    def _is_up(self) -> bool:
        done = self.run("systemctl", "is-system-running", check=False)
        return done.stdout.strip() in ("running", "degraded")

    def run(
        self, *command: str, check: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside; with `check`, its failure is the test's."""
        done = subprocess.run(
            ["nsenter", "-t", str(self._pid), "-a", "env", "-i",
             "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *command],
            capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def read(self, path: str) -> str:
        """Return what a file inside holds."""
        return self.run("cat", path).stdout

    def wait(self, condition: object, what: str, limit: float = 30) -> None:
        """Wait until a condition holds, or fail naming it."""
        assert callable(condition)
        end = time.monotonic() + limit
        while not condition():
            assert time.monotonic() < end, f"waited {limit} s in vain for {what}"
            time.sleep(0.05)

    def close(self) -> None:
        """Switch it off and leave nothing behind."""
        if self._boot is not None:
            self._boot.send_signal(signal.SIGKILL)
            self._boot.wait(30)
            for _ in range(100):
                groups = sorted(self._slice.rglob("*"), key=lambda p: -len(p.parts))
                for group in [g for g in groups if g.is_dir()] + [self._slice]:
                    with contextlib.suppress(OSError):
                        group.rmdir()
                if not self._slice.exists():
                    break
                time.sleep(0.05)  # the kernel empties the groups of what was killed
        for mount in (self.root, self._place / "upper"):
            subprocess.run(["umount", "-l", str(mount)], check=False)
