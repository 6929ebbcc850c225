"""Boot a real systemd as PID 1 of private namespaces, and run commands in it.

Needs root, debootstrap, unshare and nsenter. The root file system is made once and kept in a cache;
each machine works on a copy of its own (overlayfs in memory). Its network is the loopback that
systemd sets up.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.support import wait_until

REPO = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "supervisor-lite"
SUITE = os.environ.get("SUPERVISOR_LITE_SUITE", "bookworm")
PACKAGES = "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,python3,python3-venv,procps"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_WAY_IN = """
echo 0 >"$GROUP/cgroup.procs"
exec unshare --cgroup sh -ec '
    mkdir "$GROUP/boot"
    echo 0 >"$GROUP/boot/cgroup.procs"
    exec "$@"' boot "$@"
"""
"""The machine's root in the hierarchy must have no process but its first: its controllers could not
be enabled. So whoever waits for that one is below."""

_BOOT = """
echo 0 >"$GROUP/cgroup.procs"
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
    for tool in (*([] if _is_made() else ["debootstrap"]), "unshare", "nsenter"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    if _cgroup2() is None:
        return "there is no writable cgroup2 hierarchy"
    trial = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--cgroup",
        "mount",
        "-t",
        "tmpfs",
        "t",
        "/tmp",
    ]
    if subprocess.run(trial, capture_output=True, timeout=30).returncode:
        return "this root may not make namespaces and mounts"
    return ""


def _cgroup2() -> Path | None:
    """Return where the machines' control groups can be made."""
    for place in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")):
        trial = place / f"sl-trial-{os.getpid()}"
        if (place / "cgroup.procs").exists():
            with contextlib.suppress(OSError):
                trial.mkdir()
                trial.rmdir()
                return place
    return None


def _root_and_made() -> tuple[Path, Path]:
    """Return the root file system, and the file that tells of what it was made."""
    return CACHE / f"root-{SUITE}", CACHE / f"root-{SUITE}.made"


def _is_made() -> bool:
    made = _root_and_made()[1]
    return made.exists() and made.read_text() == PACKAGES


def base_root() -> Path:
    """Return a root file system with systemd and Python, made by debootstrap if there is none.

    Raises subprocess.CalledProcessError where that fails, for example without a network.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    root, made = _root_and_made()
    with (CACHE / f"root-{SUITE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_made():
            made.unlink(missing_ok=True)
            shutil.rmtree(root, ignore_errors=True)
            subprocess.run(
                ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root)],
                check=True, stdout=subprocess.DEVNULL, timeout=540,
            )  # fmt: skip
            made.write_text(PACKAGES)
    return root


def prepare() -> None:
    """Make the root file system if machines can be booted here."""
    if not missing():
        base_root()


def wheels(target: Path) -> None:
    """Put our wheel and those it needs there, for the machine's Python and not for ours."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "-w", str(target), str(REPO)], check=True, timeout=300
    )
    (ours,) = target.glob("supervisor_lite-*.whl")
    fits = ["--only-binary=:all:", "--python-version=3.11", "--implementation=cp", "--abi=abi3"]
    fits += ["--abi=none", "--platform=manylinux2014_x86_64", "--platform=manylinux2014_aarch64"]
    subprocess.run([*pip, "download", *fits, "-d", str(target), str(ours)], check=True, timeout=300)


class Machine:
    """A booted system. Commands run inside by nsenter."""

    def __init__(self) -> None:
        lower = base_root()
        self._place = Path(tempfile.mkdtemp(prefix="sl-machine-"))
        self.root = self._place / "root"
        memory = self._place / "memory"
        memory.mkdir()
        self.root.mkdir()
        # /tmp may itself be an overlay, on which none can be stacked: a tmpfs can always carry one.
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(memory)], check=True)
        (memory / "upper").mkdir()
        (memory / "work").mkdir()
        options = f"lowerdir={lower},upperdir={memory}/upper,workdir={memory}/work"
        subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", options, str(self.root)], check=True
        )
        self._mounts = (self.root, memory)
        self._boot: subprocess.Popen[bytes] | None = None
        self._init = 0
        group = _cgroup2()
        assert group is not None
        self._group = group / f"sl-{os.getpid()}-{os.urandom(3).hex()}"

    def chroot(self, *command: str) -> str:
        """Run a command in the root before it is booted."""
        done = subprocess.run(
            ["chroot", str(self.root), *command], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def boot(self) -> None:
        """Boot and wait until systemd has started everything."""
        self._group.mkdir()
        namespaces = ("--mount", "--pid", "--uts", "--ipc", "--net")
        self._boot = subprocess.Popen(
            ["sh", "-ec", _WAY_IN, "boot", "unshare", *namespaces, "--fork",
             "--kill-child=SIGKILL", "bash", "-euc", _BOOT],
            env={**os.environ, "ROOT": str(self.root), "GROUP": str(self._group)},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self._find_init, 30, "the machine's first process")
        wait_until(self._is_up, 60, "systemd is up")

    def _find_init(self) -> bool:
        assert self._boot is not None
        assert self._boot.poll() is None, "the machine does not boot"
        with contextlib.suppress(OSError):
            path = f"/proc/{self._boot.pid}/task/{self._boot.pid}/children"
            words = Path(path).read_text().split()
            self._init = int(words[0]) if words else 0
            return Path(f"/proc/{self._init}/comm").read_text().strip() == "systemd"
        return False

    def _is_up(self) -> bool:
        done = self.run("systemctl", "is-system-running", check=False)
        return done.stdout.strip() in ("running", "degraded")

    def run(
        self,
        *command: str,
        check: bool = True,
        timeout: float = 60,
        stdin: str | None = None,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside; with `check`, its failure is the test's."""
        variables = [f"{key}={value}" for key, value in environment.items()]
        done = subprocess.run(
            ["nsenter", "-t", str(self._init), "-a", "env", "-i", f"PATH={PATH}", "HOME=/root",
             "LC_ALL=C.UTF-8", *variables, *command],
            capture_output=True, text=True, timeout=timeout,
            **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}),
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def shell(self, script: str, **options: Any) -> str:
        """Run a script inside and return what it prints."""
        return self.run("sh", "-euc", script, **options).stdout

    def systemd(self) -> int:
        """Return the version of its systemd."""
        return int(self.run("systemctl", "--version").stdout.split()[1])

    def put(self, path: str, text: str) -> None:
        """Write a file inside, before or after the boot."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def read(self, path: str) -> str:
        """Return what a file inside holds."""
        return self.run("cat", path).stdout

    def exists(self, path: str) -> bool:
        """Tell whether there is such a file inside."""
        return self.run("test", "-e", path, check=False).returncode == 0

    def close(self) -> None:
        """Switch it off and leave nothing behind."""
        try:
            if self._boot is not None:
                self._boot.send_signal(signal.SIGKILL)
                self._boot.wait(30)
                wait_until(self._no_group, 30, "the machine's control groups are gone")
        finally:
            for mount in self._mounts:
                subprocess.run(["umount", "-l", str(mount)], check=False)
            shutil.rmtree(self._place, ignore_errors=True)

    def _no_group(self) -> bool:
        """Remove the control groups; the kernel empties them in its own time."""
        groups = [p for p in self._group.rglob("*") if p.is_dir()]
        for group in [*sorted(groups, key=lambda p: -len(p.parts)), self._group]:
            with contextlib.suppress(OSError):
                group.rmdir()
        return not self._group.exists()


class Service:
    """supervisor-lite as a service of a machine."""

    NAME = "supervisor-lite.service"
    CONFIG = "/etc/supervisor-lite"

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def begin(self, programs: str, *dropins: str) -> None:
        """Start with these programs and drop-ins, and nothing that was there before."""
        machine = self.machine
        machine.run("rm", "-rf", f"/etc/systemd/system/{self.NAME}.d")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "stop", self.NAME, check=False)
        machine.run("systemctl", "kill", "--kill-who=all", "--signal=KILL", self.NAME, check=False)
        machine.shell(
            "rm -rf /run/supervisor-lite/* /var/lib/supervisor-lite/* /var/log/supervisor-lite/* "
            "/srv/*; journalctl --rotate -q; journalctl --vacuum-time=1s -q"
        )
        self.configure(programs)
        self.drop_in(*dropins)
        machine.run("systemctl", "reset-failed", self.NAME, check=False)

    def configure(self, programs: str) -> None:
        """Write the programs, without telling the daemon."""
        self.machine.put(f"{self.CONFIG}/conf.d/test.toml", programs)

    def drop_in(self, *texts: str) -> None:
        """Put drop-ins beside the unit and let systemd read them."""
        for number, text in enumerate(texts):
            path = f"/etc/systemd/system/{self.NAME}.d/{number}.conf"
            self.machine.put(path, text)
        self.machine.run("systemctl", "daemon-reload")

    def systemctl(self, verb: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `systemctl VERB` for it."""
        return self.machine.run("systemctl", verb, self.NAME, **options)

    def show(self, name: str) -> str:
        """Return a property of the unit."""
        done = self.machine.run("systemctl", "show", "--value", "-p", name, self.NAME)
        return done.stdout.strip()

    @property
    def pid(self) -> int:
        """The pid of the daemon, inside; 0 if there is none."""
        return int(self.show("MainPID"))

    def ctl(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run slctl."""
        return self.machine.run(
            "slctl", "-c", f"{self.CONFIG}/supervisor.toml", *words, check=check
        )

    def processes(self) -> dict[str, dict[str, Any]]:
        """Return what the daemon says about each process."""
        done = self.ctl("status", "--json", check=False)
        assert done.returncode in (0, 3), done.stderr
        return {p["fullname"]: p for p in json.loads(done.stdout)["processes"]}

    def pids(self) -> dict[str, int]:
        """Return the pid of each process that has one."""
        return {name: p["pid"] for name, p in self.processes().items() if p["pid"]}

    def wait_state(self, name: str, *states: str) -> dict[str, Any]:
        """Wait until a process is in one of these states."""
        found: dict[str, Any] = {}

        def there() -> bool:
            found.update(self.processes()[name])
            return found["state"] in states

        wait_until(there, 20, f"{name} is {states}")
        return found

    def run_of(self, name: str, pid: int) -> dict[str, Any]:
        """Return the run of a process that had this pid."""
        rows = json.loads(self.ctl("runs", name, "--json").stdout)["runs"]
        (row,) = [row for row in rows if row["pid"] == pid]
        found: dict[str, Any] = row
        return found

    def kill(self, number: signal.Signals, pid: int) -> None:
        """Send a signal to a process inside."""
        self.machine.run("kill", f"-{number.name[3:]}", str(pid))

    def is_alive(self, pid: int) -> bool:
        """Tell whether this process exists inside and is more than a zombie."""
        done = self.machine.run("cat", f"/proc/{pid}/stat", check=False)
        return done.returncode == 0 and done.stdout.rpartition(")")[2].split()[0] != "Z"

    def is_gone(self, pid: int) -> bool:
        """Tell whether this process is dead."""
        return not self.is_alive(pid)

    def journal(self, *options: str) -> str:
        """Return what systemd's journal has of it."""
        self.machine.run("journalctl", "--sync")
        return self.machine.run("journalctl", "--no-pager", "-u", self.NAME, *options).stdout


if __name__ == "__main__":
    prepare()
