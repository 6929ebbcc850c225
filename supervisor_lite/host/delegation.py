"""Find the cgroup that is ours to divide among the runs (cgroups(7)).

Whoever started us has put us into a cgroup. We may divide it if it was given to us: systemd marks
that (`Delegate=yes`) by an extended attribute; without systemd it is ours if we can write to it.
The root of the hierarchy and the cgroup of a login session are never ours, unless somebody names
them. https://systemd.io/CGROUP_DELEGATION/ has the rules that we keep.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from supervisor_lite.host.kernel_files import read_value

LEAF = "supervisor"
"""The cgroup below the one that we divide in which the daemon itself may be."""

AUTO = "auto"
OFF = "off"

_SESSION = re.compile(r"/session-[^/]*\.scope(/|$)")


class NotOursError(Exception):
    """There is no cgroup to divide; the text says why, for an operator."""


class View(NamedTuple):
    """What tells where we are."""

    mountinfo: str
    """Text of /proc/self/mountinfo."""
    cgroup: str
    """Text of /proc/self/cgroup."""
    pid: int
    systemd: bool
    """systemd manages this machine's cgroups."""
    session: bool
    """We were started in somebody's login session."""


class Base(NamedTuple):
    """A cgroup that is ours to divide."""

    path: str
    own: str | None
    """The directory of the cgroup in which the daemon is, if it can be seen."""
    unlimited: str = ""
    """Why no controller may be enabled in it, in words; empty: they may."""
    leave: bool = False
    """The daemon has to move to the leaf before a controller can be enabled."""


def look() -> View:
    """Return where this process is."""
    return View(
        mountinfo=read_value("/proc/self/mountinfo"),
        cgroup=read_value("/proc/self/cgroup"),
        pid=os.getpid(),
        systemd=os.path.isdir("/run/systemd/system"),
        session="XDG_SESSION_ID" in os.environ,
    )


def find_base(setting: str, view: View) -> Base:
    """Return the cgroup to divide by the key `cgroups`: "auto", "off" or a path.

    Raises NotOursError.
    """
    if setting == OFF:
        raise NotOursError('cgroups is "off"')
    mount, own = locate(view)
    if mount is None:
        raise NotOursError("there is no cgroup2 hierarchy")
    if setting != AUTO:
        return _limits(setting.rstrip("/") or "/", own, view)
    if own is None:
        raise NotOursError("the daemon's own cgroup cannot be seen")
    return _limits(_own_or_parent(mount, own, view), own, view)


def _own_or_parent(mount: str, own: str, view: View) -> str:
    """Return what `auto` means. Raises NotOursError."""
    if os.path.basename(own) == LEAF and own != mount:
        parent = os.path.dirname(own)
        if _is_delegated(parent) or (not view.systemd and not _is_root(parent)):
            return parent
    if _is_root(own):
        raise NotOursError("the daemon is in the root cgroup")
    if _is_delegated(own):
        return own
    if own == mount:  # the root of a namespace: that of a container
        if view.pid == 1:
            return own
        raise NotOursError("the daemon is in the root cgroup of a container and is not its pid 1")
    if view.session or _SESSION.search(own):
        raise NotOursError("the daemon's cgroup is that of a login session")
    if view.systemd and not _is_given(own):
        raise NotOursError("the daemon's cgroup is not delegated to it (systemd: Delegate=yes)")
    return own


def _limits(path: str, own: str | None, view: View) -> Base:
    """Say whether controllers may be enabled in a cgroup.

    With them it cannot hold processes itself any more. Whoever starts the next daemon would put it
    there, which fails: systemd then gives up with status 219/CGROUP. So not where we were started.
    """
    if path != own or _is_root(path):  # of which this rule is not true
        return Base(path, own)
    if view.pid == 1:  # there is no next daemon without a new container
        return Base(path, own, leave=True)
    return Base(
        path,
        own,
        "the daemon was started in the very cgroup that it divides"
        f" (systemd 254 or later: DelegateSubgroup={LEAF})",
    )


def locate(view: View) -> tuple[str | None, str | None]:
    """Return where the cgroup2 hierarchy is mounted, and the directory of our own cgroup in it.

    On a hybrid host that is /sys/fs/cgroup/unified. None for what there is not, or is out of sight.
    """
    lines = [line[3:] for line in view.cgroup.splitlines() if line.startswith("0::")]
    first: str | None = None
    for line in view.mountinfo.splitlines():
        # 36 35 98:0 /root /mount/point options … - type source options
        fields, _, kind = line.partition(" - ")
        words = fields.split(" ")
        if not kind.startswith("cgroup2 ") or len(words) < 5:
            continue
        root, point = map(_unescaped, words[3:5])
        first = first or point
        inside = _below(lines[0], root) if lines else None
        if inside is not None:
            return point, (point + inside).rstrip("/") or "/"
    return first, None


def _below(path: str, root: str) -> str | None:
    """Return a path of the hierarchy as seen from the part of it that is mounted."""
    if path.startswith("/.."):  # out of our cgroup namespace
        return None
    if root == "/":
        return path
    return path[len(root) :] if path == root or path.startswith(f"{root}/") else None


def _unescaped(word: str) -> str:
    """Return a word of mountinfo, in which blanks are written in octal."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), word)


def _is_root(path: str) -> bool:
    """Only the root of the hierarchy has no events."""
    return not os.path.exists(f"{path}/cgroup.events")


def _is_delegated(path: str) -> bool:
    """Has systemd marked it as given to whoever lives there?"""
    for name in ("user.delegate", "trusted.delegate"):
        try:
            if os.getxattr(path, name) == b"1":
                return True
        except OSError:
            continue
    return False


def _is_given(path: str) -> bool:
    """Did an old systemd, whose mark only root can read, give it to our user?"""
    try:
        owner = os.stat(path).st_uid
    except OSError:
        return False
    return owner != 0 and owner == os.geteuid() and "/user@" not in path
