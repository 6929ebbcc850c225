"""What has to be so before the daemon runs: directories, locks, pid file, privileges.

Nothing that is found is trusted because of its name: others may be able to write to the directory.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import NamedTuple

from supervisor_lite import safe_paths, users
from supervisor_lite.errors import StartupError
from supervisor_lite.files import write_whole
from supervisor_lite.host import syscalls
from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.protocol import locate

_MAX_PID_LENGTH = 20
"""Characters: more is no pid."""


LOG_DIR_MODE = 0o750
"""Of a log_dir that we make: what programs write is for root and the daemon's group."""


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
    safe_paths.count_as_ours(owner.uid)
    for path in (settings.runtime_dir, settings.state_dir, settings.log_dir):
        make_directory(settings, path, owner)


def make_directory(settings: DaemonSettings, path: str, owner: Owner = Owner()) -> None:  # noqa: B008
    """Make one of them, or look whether it can be used. Raises StartupError."""
    above = os.path.dirname(path)
    if path == settings.runtime_dir and above == locate.own_tmp_dir():
        # Anybody could have made it before us, to own what is in it.
        _make(above, 0o755, owner, private=True)
    modes = {settings.runtime_dir: 0o755, settings.state_dir: 0o700}
    _make(path, modes.get(path, LOG_DIR_MODE), owner, private=path != settings.log_dir)


def _make(path: str, mode: int, owner: Owner, *, private: bool) -> None:
    try:
        fd, made = safe_paths.open_directory(path, make=mode)
    except NotADirectoryError:
        raise StartupError(f'cannot use "{path}": it is not a directory') from None
    except OSError as error:
        raise StartupError(f'cannot make the directory "{path}": {error.strerror}') from error
    try:
        if made:
            os.fchmod(fd, mode)  # whatever the umask is
            if owner.uid != -1:
                os.fchown(fd, owner.uid, owner.gid)
        status = os.fstat(fd)
        writable = os.access(f"/proc/self/fd/{fd}", os.W_OK | os.X_OK)
    except OSError as error:
        raise StartupError(f'cannot make the directory "{path}": {error.strerror}') from error
    finally:
        os.close(fd)
    allowed = {0, os.geteuid(), owner.uid}
    if private and status.st_uid not in allowed:
        raise StartupError(f'cannot use "{path}": it belongs to uid {status.st_uid}')
    if private and status.st_mode & stat.S_IWOTH:
        raise StartupError(f'cannot use "{path}": everybody may write to it')
    if not private and os.statvfs(path).f_flag & os.ST_RDONLY:
        return  # of logs: what cannot be written is told there, and what runs goes on
    if not writable:
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
            with safe_paths.at(path) as place:
                place.unlink()


def _pid_in(path: str) -> str | None:
    """Return what a pid file holds, None for a device, "" for no file or one with another name.

    Whoever may write to the directory can have made a link; what it leads to is not read, and
    stays when the link is replaced. Raises StartupError.
    """
    try:
        with safe_paths.at(path) as place:
            status = place.status()
            if status is None:
                return ""
            if stat.S_ISLNK(status.st_mode):
                return None if _leads_to_device(path) else ""
            if stat.S_ISCHR(status.st_mode):
                return None
            if status.st_nlink > 1:
                return ""
            return _start_of(place)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise StartupError(f'cannot write the pid file "{path}": {error.strerror}') from error


def _leads_to_device(path: str) -> bool:
    """Tell whether a link that we may follow is one to a device."""
    with contextlib.suppress(OSError):
        status = safe_paths.file_status(path)
        return status is not None and stat.S_ISCHR(status.st_mode)
    return False


def _start_of(place: safe_paths.Place) -> str:
    """Return how a file begins; raises OSError, also for what is none."""
    with os.fdopen(place.open(os.O_RDONLY), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        return file.read(_MAX_PID_LENGTH).decode("ascii", "replace").strip("\0 \n")
