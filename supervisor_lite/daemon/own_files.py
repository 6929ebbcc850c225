"""The files by which the daemon is found and held apart from others, made anew when they are gone.

That is its directories, the locks, the control socket, the pid file. A cleaner of temporary files,
the end of a login (which takes `$XDG_RUNTIME_DIR` away) or a hand may remove them at any time, and
a daemon without them cannot be reached. They are looked at when somebody asks for it (SIGHUP,
SIGUSR2), when a spawn needs what is not there, and when the kernel tells that one of them is gone
(inotify(7)): nothing is woken up before.

The runtime directory of a user may be one that only the next login makes anew. Until then the
socket is in the state directory, where `slctl` finds it, and so are the pipes of new runs.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator

from supervisor_lite.control.server import ControlSocket
from supervisor_lite.daemon import owner_note, prepare
from supervisor_lite.daemon.locks import LOCK, Locks
from supervisor_lite.daemon.log import Log
from supervisor_lite.errors import AlreadyRunning, StartupError
from supervisor_lite.host.directory_watch import DirectoryWatch
from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.store.journal import Journal

_SETTLE = 0.3
"""Seconds after the first removal: whoever removes a whole directory is through by then."""

_RETRIES = (1.0, 4.0, 15.0)
"""Seconds between tries to make what cannot be made yet: a login is about to mount a directory."""


def spare_dir(settings: DaemonSettings) -> str:
    """Return where socket and pipes are while the runtime directory cannot be made anew."""
    return f"{settings.state_dir}/run"


def spare_socket(settings: DaemonSettings) -> str:
    """Return where the control socket is then."""
    return f"{spare_dir(settings)}/{os.path.basename(settings.socket)}"


class OwnFiles:
    """Watches them, and makes them anew."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: DaemonSettings,
        config: str,
        locks: Locks,
        sock: ControlSocket,
        journal: Journal,
        log: Log,
        serve: Callable[[socket.socket], None],
    ) -> None:
        """`config` is the path of the configuration. `serve` gets the control socket when it is
        another one.
        """
        self._loop = loop
        self._settings = settings
        self._config = config
        self._locks = locks
        self._sock = sock
        self._journal = journal
        self._log = log
        self._serve = serve
        self._timer: asyncio.TimerHandle | None = None
        self._tries = 0
        self._troubles: frozenset[str] = frozenset()
        """What could not be made at the last try: it is told once."""
        self._watch: DirectoryWatch | None = None

    # Making anew.

    def restore(self) -> bool:
        """Make anew what is gone; return whether there was something that could be made.

        Never raises: what cannot be made is told, once.
        """
        made: list[str] = []
        troubles: set[str] = set()
        for step in (self._directories, self._lock_files, self._pid_file, self._socket,
                     self._names):  # fmt: skip
            try:
                made += step()
            except (OSError, StartupError, AlreadyRunning) as error:
                troubles.add(_words(error))
        if made:
            self._log.warning(f"gone, and made anew: {', '.join(made)}")
        for text in sorted(troubles - self._troubles):
            self._log.error(text)
        self._troubles = frozenset(troubles)
        self._watch_again()
        return bool(made)

    def _directories(self) -> Iterator[str]:
        settings = self._settings
        # That of a login last: it may be that we cannot make it.
        for path in dict.fromkeys((settings.state_dir, settings.log_dir, settings.runtime_dir)):
            if not os.path.isdir(path):
                prepare.make_directory(settings, path)
                yield path

    def _lock_files(self) -> Iterator[str]:
        yield from self._locks.restore()

    def _pid_file(self) -> Iterator[str]:
        path = self._settings.pidfile
        if not os.path.lexists(path):
            prepare.write_pidfile(path)
            yield path

    def _socket(self) -> Iterator[str]:
        usual = self._settings.socket
        possible = os.path.isdir(os.path.dirname(usual))
        if possible and not (self._sock.path == usual and self._sock.is_there()):
            yield from self._bind(usual)
        elif not self._sock.is_there():
            os.makedirs(spare_dir(self._settings), mode=0o700, exist_ok=True)
            yield from self._bind(spare_socket(self._settings))

    def _bind(self, path: str) -> Iterator[str]:
        self._sock.bind_again(path)
        self._serve(self._sock.sock)
        yield path

    def _names(self) -> Iterator[str]:
        """What later daemons know us by: only with the rest is it worth a word."""
        self._journal.write_name()
        owner_note.write(self._settings, self._sock.path, self._config)
        return iter(())

    # Noticing that they are gone.

    def begin(self) -> None:
        """Watch from now on; what is gone by now, while a daemon was upgraded, is made anew."""
        self._watch = DirectoryWatch(self._loop, self._on_gone)
        self.restore()

    def close(self) -> None:
        """Watch nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _watch_again(self) -> None:
        """Watch the directories as they are now; instead of one that is not there, one above it."""
        if self._watch is None:
            return
        settings = self._settings
        paths = (settings.runtime_dir, settings.socket, settings.pidfile)
        directories = dict.fromkeys([paths[0], *map(os.path.dirname, paths[1:])])
        names = {LOCK, *map(os.path.basename, paths[1:])}
        self._watch.watch(list(directories), names)

    def _on_gone(self) -> None:
        self._tries = 0
        self._plan(_SETTLE)

    def _plan(self, delay: float) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(delay, self._look)

    def _look(self) -> None:
        self._timer = None
        self.restore()
        if self._troubles and self._tries < len(_RETRIES):
            self._plan(_RETRIES[self._tries])
            self._tries += 1


def _words(error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error)
    where = f' "{error.filename}"' if error.filename else ""
    return f"cannot make anew{where}: {error.strerror or error}"
