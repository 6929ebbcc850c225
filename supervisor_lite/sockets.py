"""Sockets that are listened on, TCP and Unix: bound in one way for daemon, gateway and programs.

A Unix socket has its mode and its owner from the first instant, and is made in a directory that may
be somebody else's. Who is at the other end of one says the kernel.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import stat
import struct
from collections.abc import Iterator
from typing import NamedTuple

from supervisor_lite import safe_paths
from supervisor_lite.safe_paths import Place


def bind_unix(path: str, mode: int, owner: tuple[int, int], backlog: int) -> socket.socket:
    """Return a socket that listens at `path`, close-on-exec and blocking.

    It is bound under another name and renamed, over a socket that is there: nobody ever sees it
    with another owner, or not there at all. The socket's own address (getsockname(2)) stays that
    other name. `owner` is uid and gid, -1 for our own. Raises OSError, also if somebody listens
    there, and if what is there is no socket: a mistyped path costs nobody a file.
    """
    with safe_paths.at(path) as place:
        fresh = f"{place.name[:-1]}~"  # no longer than the name itself: sun_path takes 107 bytes
        _refuse_file(place, fresh)
        if _refuse_file(place, place.name) and is_served(place.by_kernel(place.name)):
            raise OSError(errno.EADDRINUSE, "somebody is listening there already", path)
        place.unlink(fresh, missing_ok=True)
        sock = _bound(place.by_kernel(fresh), mode)
        try:
            _given(place, fresh, owner)
            sock.listen(backlog)
            place.rename(fresh, place.name)
        except BaseException:
            place.unlink(fresh, missing_ok=True)
            sock.close()
            raise
    return sock


def _refuse_file(place: Place, name: str) -> bool:
    """Tell whether there is a socket; raise OSError if there is something else.

    A link is neither: whoever may write to the directory can have made it, and what it leads to
    stays when it is replaced.
    """
    status = place.status(name)
    if status is None:
        return False
    is_socket = stat.S_ISSOCK(status.st_mode)
    if not is_socket and not stat.S_ISLNK(status.st_mode) and status.st_nlink == 1:
        raise OSError(errno.EEXIST, "there is something else than a socket", place.path)
    return is_socket


def is_served(path: str) -> bool:
    """Does somebody listen on the Unix socket at `path`? Raises OSError if we may not ask."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except BlockingIOError:
            pass  # its queue is full (connect(2)): whoever has it open is busy
    return True


def bound_unix(
    path: str, mode: int, owner: tuple[int, int]
) -> tuple[socket.socket, os.stat_result]:
    """Return a socket bound to `path`, which does not listen yet, and the status of its file.

    The path is its address, too (getsockname(2)). Raises OSError.
    """
    with safe_paths.at(path) as place:
        with _with_the_rights_of_its_owner(place):
            sock = _bound(path, mode)
        try:
            return sock, _given(place, place.name, owner)
        except BaseException:
            sock.close()
            raise


@contextlib.contextmanager
def _with_the_rights_of_its_owner(place: Place) -> Iterator[None]:
    """Be the owner of a directory for a moment, if it is another user's and we are root.

    bind(2) takes no descriptor. So where that user leads us meanwhile, only they could go.
    """
    uid, gid = place.directory_owner
    groups, own_gid = os.getgroups(), os.getegid()
    if place.private or uid == 0 or os.geteuid() != 0:
        yield
        return
    try:
        with contextlib.suppress(PermissionError):  # in some user namespaces (setgroups(2))
            os.setgroups([gid])
        os.setegid(gid)
        os.seteuid(uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(own_gid)
        with contextlib.suppress(PermissionError):
            os.setgroups(groups)


def _bound(address: str, mode: int) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        os.fchmod(sock.fileno(), mode)  # bind(2) makes the file with it
        before = os.umask(0)
        try:
            sock.bind(address)
        finally:
            os.umask(before)
    except BaseException:
        sock.close()
        raise
    return sock


def _given(place: Place, name: str, owner: tuple[int, int]) -> os.stat_result:
    """Give the file that we have just made to its owner; return its status.

    Whoever may write to the directory can exchange it at any moment: it is never changed by name.
    """
    made = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.fd)
    try:
        status = os.fstat(made)
        makers = (os.geteuid(), place.directory_owner[0])
        if not stat.S_ISSOCK(status.st_mode) or status.st_uid not in makers:
            raise OSError(errno.EPERM, "somebody has put something else in its place")
        if owner not in ((-1, -1), (status.st_uid, status.st_gid)):
            os.chown(f"/proc/self/fd/{made}", *owner)
        return status
    finally:
        os.close(made)


def inode_of(path: str) -> tuple[int, int] | None:
    """Return device and inode of the file that is there, no link followed; None if none is."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def unlink_same(path: str, inode: tuple[int, int]) -> None:
    """Remove a file if it is still that one and we may."""
    if inode_of(path) == inode:
        with contextlib.suppress(OSError), safe_paths.at(path) as place:
            status = place.status()
            if status is not None and (status.st_dev, status.st_ino) == inode:
                place.unlink()


# TCP.

NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""What binding an IPv6 address fails with on a machine without IPv6."""


def listen_everywhere(port: int, backlog: int) -> socket.socket:
    """Return a TCP socket that listens on every address of the machine, of both families.

    Raises OSError.
    """
    try:
        return listen_tcp(socket.AF_INET6, ("::", port), backlog)
    except OSError as error:
        if error.errno not in NO_IPV6:
            raise
    return listen_tcp(socket.AF_INET, ("0.0.0.0", port), backlog)


def listen_tcp(
    family: int, address: tuple[object, ...], backlog: int, *, only_ipv6: bool = False
) -> socket.socket:
    """Return a TCP socket that listens, close-on-exec and blocking (ip(7), ipv6(7)).

    Raises OSError.
    """
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_ipv6)
        sock.bind(address)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


# Who is there.


class Peer(NamedTuple):
    """The process at the other end of a Unix socket, when it connected (unix(7), SO_PEERCRED)."""

    pid: int
    """0: it is outside of our pid namespace, which has no number for it (pid_namespaces(7))."""
    uid: int
    gid: int


_UCRED = struct.Struct("iII")


def peer_of(sock: socket.socket) -> Peer:
    """Return who is at the other end of a Unix socket."""
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return Peer(*_UCRED.unpack(data))


def has_hung_up(fd: int) -> bool:
    """Is nobody there any more who could read (POLLHUP, poll(2))? TCP does not tell."""
    poll = select.poll()
    poll.register(fd, 0)
    return bool(poll.poll(0))
