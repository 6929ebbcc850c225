"""Secrets that are handed to a program as files: copied at its spawn, gone with its run.

`runtime_dir/credentials/RUN/` belongs to the program's user, who alone can enter it; the names in
it are the operator's. The program finds it by CREDENTIALS_DIRECTORY, as under systemd
(systemd.exec(5)). The directory around it is ours and nobody can list it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Collection, Iterable
from itertools import islice

from supervisor_lite import safe_paths
from supervisor_lite.errors import SpawnError, SpawnErrorCode
from supervisor_lite.host.secrets.read import read_secret
from supervisor_lite.model.secrets import Credential

VARIABLE = "CREDENTIALS_DIRECTORY"

_DIRECTORY = "credentials"
_MAX_DEPTH = 8
"""Directories in directories that a program may have made there and that are removed with it."""
_AT_ONCE = 256
"""Files that are removed in one call: a program may have made a million."""

_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Credentials:
    """The secrets of all runs of one daemon."""

    def __init__(self, runtime_dir: str) -> None:
        self._base = f"{runtime_dir}/{_DIRECTORY}"
        self.unfinished: set[int] = set()
        """Runs of which there is more to be removed: `remove` is to be called again."""

    def provide(self, run: int, credentials: Iterable[Credential], uid: int, gid: int) -> str:
        """Copy secrets for a run of this user; return their directory.

        Raises SpawnError, which names the file and never what is in it.
        """
        path = f"{self._base}/{run}"
        try:
            self.remove(run)  # of the same number: a state directory that was lost
            directory = self._make(str(run))
        except OSError as error:
            raise _failure(
                f'cannot make the directory of credentials "{path}": {error.strerror}', path
            ) from None
        try:
            for credential in credentials:
                _copy(credential, directory, uid, gid)
            os.fchmod(directory, 0o700)  # whatever the umask is
            os.fchown(directory, uid, gid)
        except OSError as error:
            self.remove(run)
            given = f'cannot give the directory of credentials "{path}" to uid {uid}'
            raise _failure(f"{given}: {error.strerror}", path) from None
        except SpawnError:
            self.remove(run)
            raise
        finally:
            os.close(directory)
        return path

    def _make(self, name: str) -> int:
        """Make the directory of a run, and the one around it; return a descriptor of the former."""
        with safe_paths.at(self._base) as place, contextlib.suppress(FileExistsError):
            os.mkdir(place.name, 0o711, dir_fd=place.fd)
        base = self._enter_base()
        try:
            if stat.S_IMODE(os.fstat(base).st_mode) != 0o711:  # the umask; or we died meanwhile
                os.fchmod(base, 0o711)
            os.mkdir(name, 0o700, dir_fd=base)
            return os.open(name, _ENTER, dir_fd=base)
        finally:
            os.close(base)

    def _enter_base(self) -> int:
        """Return a descriptor of the directory around all; it is ours alone. Raises OSError."""
        with safe_paths.at(self._base) as place:
            try:
                base = os.open(place.name, _ENTER, dir_fd=place.fd)
            except NotADirectoryError:
                raise OSError(errno.EPERM, f"{self._base} is not ours alone") from None
        status = os.fstat(base)
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            os.close(base)
            raise OSError(errno.EPERM, f"{self._base} is not ours alone")
        return base

    def remove(self, run: int) -> str:
        """Remove what a run was given, if anything; return what went wrong, or "".

        Where its program has put too much there, a part of it (`unfinished`).
        """
        self.unfinished.discard(run)
        try:
            base = self._enter_base()
            try:
                if not self._remove_from(base, str(run)):
                    self.unfinished.add(run)
            finally:
                os.close(base)
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f'cannot remove the credentials "{self._base}/{run}": {error.strerror}'
        return ""

    def _remove_from(self, base: int, name: str) -> bool:
        """Remove the directory of a run; False if that takes more than one call."""
        directory = os.open(name, _ENTER, dir_fd=base)
        try:
            with contextlib.suppress(OSError):  # nobody puts anything there any more
                os.fchown(directory, os.geteuid(), -1)
            if not _empty(directory, _MAX_DEPTH, _AT_ONCE):
                return False
        finally:
            os.close(directory)
        os.rmdir(name, dir_fd=base)
        return True

    def tidy(self, live: Collection[int]) -> list[str]:
        """Remove what an earlier daemon has given to runs that are over, or leave it `unfinished`.

        Return what went wrong.
        """
        try:
            base = self._enter_base()
        except OSError:
            return []
        try:
            names = os.listdir(base)
        finally:
            os.close(base)
        over = [int(name) for name in names if name.isdecimal() and int(name) not in live]
        self.unfinished.update(over[_AT_ONCE:])
        return [error for run in over[:_AT_ONCE] if (error := self.remove(run))]


def _failure(text: str, name: str) -> SpawnError:
    return SpawnError(text, SpawnErrorCode.SECRET, name)


def no_credential(credential: Credential, error: OSError) -> SpawnError:
    """Return that a secret cannot be handed over, and why."""
    copied = f'cannot hand over the credential {credential.name} from "{credential.path}"'
    return _failure(f"{copied}: {error.strerror}", credential.path)


def _copy(credential: Credential, directory: int, uid: int, gid: int) -> None:
    try:
        data = read_secret(credential.path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        copy = os.open(credential.name, flags, 0o400, dir_fd=directory)
        try:
            written = os.write(copy, data)
            if written < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fchmod(copy, 0o400)
            os.fchown(copy, uid, gid)
        finally:
            os.close(copy)
    except OSError as error:
        raise no_credential(credential, error) from None


def _empty(directory: int, depth: int, most: int) -> int:
    """Remove what is in a directory that its owner may have filled; no link is followed.

    `most` is how many files. Return how many more it might have been: 0, there may be more left.
    """
    with os.scandir(directory) as entries:
        found = [(e.name, e.is_dir(follow_symlinks=False)) for e in islice(entries, most)]
    for name, is_directory in found:
        if most <= 0:
            return 0
        if not is_directory:
            os.unlink(name, dir_fd=directory)
        else:
            if depth:
                below = os.open(name, _ENTER, dir_fd=directory)
                try:
                    most = _empty(below, depth - 1, most)
                finally:
                    os.close(below)
            if most <= 0:
                return 0
            os.rmdir(name, dir_fd=directory)
        most -= 1
    return most
