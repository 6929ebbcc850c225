"""What has to be so before the daemon runs: directories, locks, pid file, privileges.

Nothing that is found is trusted because of its name: others may be able to write to the directory.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import NamedTuple

from supervisor_lite import users
from supervisor_lite.errors import StartupError
from supervisor_lite.files import write_whole
from supervisor_lite.host import syscalls
from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.protocol import locate
from supervisor_lite.protocol.locate import read_regular

_MAX_PID_LENGTH = 20
"""Characters: more is no pid."""


class Owner(NamedTuple):
    """Who the daemon becomes, and so who owns what it makes; -1 leaves it."""

    uid: int = -1
    gid: int = -1
    user: users.User | None = None


def owner_of(settings: DaemonSettings) -> Owner:
    """Return who the daemon is to become. Raises StartupError if it cannot."""
    if settings.user is None:
        return Owner()
    try:
        user = users.find_user(settings.user)
    except KeyError:
        raise StartupError(f'cannot become "{settings.user}": no such user') from None
    if user.uid == os.geteuid():
        return Owner()
    if os.geteuid() != 0:
        raise StartupError(f'cannot become "{settings.user}": only root can change its user')
    return Owner(user.uid, user.gid, user)


def make_directories(settings: DaemonSettings, owner: Owner) -> None:
    """Make the directories that the daemon works in. Raises StartupError."""
    for path in (settings.runtime_dir, settings.state_dir, settings.log_dir):
        make_directory(settings, path, owner)


def make_directory(settings: DaemonSettings, path: str, owner: Owner = Owner()) -> None:  # noqa: B008
    """Make one of them, or look whether it can be used. Raises StartupError."""
    above = os.path.dirname(path)
    if path == settings.runtime_dir and above == locate.own_tmp_dir():
        # Anybody could have made it before us, to own what is in it.
        _make(above, 0o755, owner, private=True)
    mode = 0o700 if path == settings.state_dir else 0o755
    _make(path, mode, owner, private=path != settings.log_dir)


def _set_owner_and_mode(path: str, mode: int, owner: Owner) -> None:
    """Give a new directory its mode and owner; by descriptor, for others may exchange it."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(fd, mode)  # whatever the umask is
        if owner.uid != -1:
            os.fchown(fd, owner.uid, owner.gid)
    finally:
        os.close(fd)


def _make(path: str, mode: int, owner: Owner, *, private: bool) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            os.mkdir(path, mode)
            _set_owner_and_mode(path, mode, owner)
        except FileExistsError:
            if not os.path.isdir(path):
                raise StartupError(f'cannot use "{path}": it is not a directory') from None
    except OSError as error:
        raise StartupError(f'cannot make the directory "{path}": {error.strerror}') from error
    status = os.stat(path)
    allowed = {0, os.geteuid(), owner.uid}
    if private and status.st_uid not in allowed:
        raise StartupError(f'cannot use "{path}": it belongs to uid {status.st_uid}')
    if private and status.st_mode & stat.S_IWOTH:
        raise StartupError(f'cannot use "{path}": everybody may write to it')
    if not private and os.statvfs(path).f_flag & os.ST_RDONLY:
        return  # of logs: what cannot be written is told there, and what runs goes on
    if not os.access(path, os.W_OK | os.X_OK):
        raise StartupError(f'cannot use "{path}": it is not writable')


def socket_owner(settings: DaemonSettings, owner: Owner) -> tuple[int, int]:
    """Return uid and gid for the control socket, -1 to leave either. Raises StartupError."""
    try:
        return users.owner_ids(settings.socket_owner, settings.socket_group, (owner.uid, owner.gid))
    except KeyError as error:
        raise StartupError(f"cannot give the socket away: {error.args[0]}") from None


def enter(directory: str | None) -> None:
    """Change to the directory of the daemon, if one is set. Raises StartupError."""
    if directory is None:
        return
    try:
        os.chdir(directory)
    except OSError as error:
        raise StartupError(f'cannot enter "{directory}": {error.strerror}') from error


def become(owner: Owner) -> None:
    """Drop root's privileges for good. Raises StartupError."""
    if owner.user is None:
        return
    syscalls.load()  # the user may not be able to read the files of this Python
    try:
        users.become(owner.user)
    except OSError as error:
        raise StartupError(f'cannot become "{owner.user.name}": {error.strerror}') from error


def write_pidfile(path: str) -> None:
    """Write our pid, whole or not at all; to a device such as /dev/null, nothing.

    Raises StartupError, also if what is there is no pid file.
    """
    content = _pid_in(path)
    if content is None:
        return
    if content and not content.isdigit():
        raise StartupError(f'cannot write the pid file "{path}": there is something else')
    try:
        write_whole(path, f"{os.getpid()}\n", 0o644)
    except OSError as error:
        raise StartupError(f'cannot write the pid file "{path}": {error.strerror}') from error


def remove_pidfile(path: str) -> None:
    """Remove the file that we wrote; one with another pid is somebody else's."""
    with contextlib.suppress(OSError, StartupError):
        if _pid_in(path) == str(os.getpid()):
            os.unlink(path)


def _pid_in(path: str) -> str | None:
    """Return what a pid file holds, None for a device, "" for no file or one with another name.

    Whoever may write to the directory can have made a link; what it leads to is not read, and
    stays when the link is replaced. Raises StartupError.
    """
    try:
        status = os.lstat(path)
        if os.path.exists(path) and stat.S_ISCHR(os.stat(path).st_mode):
            return None
        if stat.S_ISLNK(status.st_mode) or status.st_nlink > 1:
            return ""
        return read_regular(path)[:_MAX_PID_LENGTH].decode("ascii", "replace").strip("\0 \n")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise StartupError(f'cannot write the pid file "{path}": {error.strerror}') from error
