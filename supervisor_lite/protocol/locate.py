"""Find the configuration file and the control socket; shared by daemon and client.

On the hot path of `slctl`: a TOML parser is loaded only if the file really sets a path.
"""

from __future__ import annotations

import errno
import os
import stat

from supervisor_lite.protocol import directories
from supervisor_lite.protocol.home import NoHomeError, expand_home, own_directory

NAME = "supervisor-lite"

_SYSTEM_RUNTIME_DIR = f"/run/{NAME}"


def default_runtime_dir() -> str:
    """Return where sockets and FIFOs live unless configured: /run for root, else per user."""
    if os.geteuid() == 0:
        return _SYSTEM_RUNTIME_DIR
    return os.path.join(_runtime_home() or own_tmp_dir(), NAME)


def _runtime_home() -> str:
    """Return what XDG_RUNTIME_DIR says; a relative path does not count."""
    found = os.environ.get("XDG_RUNTIME_DIR", "")
    return found if os.path.isabs(found) else ""


def own_tmp_dir() -> str:
    """Return the directory of a user who has no XDG_RUNTIME_DIR."""
    return f"/tmp/{NAME}-{os.geteuid()}"


def default_state_dir() -> str:
    """Return where the journal lives unless configured. Raises NoHomeError."""
    if os.geteuid() == 0:
        return f"/var/lib/{NAME}"
    return os.path.join(own_directory("XDG_STATE_HOME", "~/.local/state"), NAME)


def default_log_dir() -> str:
    """Return where logs live unless configured. Raises NoHomeError."""
    if os.geteuid() == 0:
        return f"/var/log/{NAME}"
    return os.path.join(default_state_dir(), "log")


def usual_configs() -> list[str]:
    """Return the configuration files that are found from everywhere, in order."""
    places = [f"/etc/{NAME}/supervisor.toml"]
    try:
        home = own_directory("XDG_CONFIG_HOME", "~/.config")
    except NoHomeError:
        return places
    return [os.path.join(home, NAME, "supervisor.toml"), *places]


def candidates() -> list[str]:
    """Return the configuration files that are tried without -c, in order."""
    places = usual_configs()
    try:
        return [os.path.abspath("supervisor.toml"), *places]
    except OSError:
        return places  # the current directory was deleted


class ForeignPathError(ValueError):
    """Others could have put there what is found where nobody named it; the text says who."""

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(cause)
        self.path = path


def find_config() -> str | None:
    """Return the first configuration file that exists, or None.

    Root takes nothing from the current directory that others could have put there: it would run
    their commands, or obey to be shown what they like. Raises ForeignPathError.
    """
    path = next((path for path in candidates() if os.path.isfile(path)), None)
    if path is None or os.geteuid() != 0 or path in usual_configs():
        return path
    if cause := _not_roots(path):
        cause = f"root does not use it unless it is named with -c: {cause}"
        raise ForeignPathError(path, cause)
    return path


def _not_roots(path: str) -> str:
    """Return why others than root may have put a file there; empty if they cannot have."""
    root = (0, os.stat("/").st_uid)  # that of a user namespace may have no root
    place, below = path, ""
    while place != below:
        for status in (os.lstat(place), os.stat(place)):
            if status.st_uid not in root:
                return f'"{place}" belongs to uid {status.st_uid}'
            sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
            if status.st_mode & stat.S_IWOTH and not (sticky or stat.S_ISLNK(status.st_mode)):
                return f'everybody may write to "{place}"'
        place, below = os.path.dirname(place), place
    return ""


def absolute_config(config: str | None) -> str | None:
    """Return the absolute path of a configuration, or of the one that is found without -c.

    Of a directory with a main file that file.
    """
    path = config or find_config()
    return None if path is None else directories.main_file(directories.absolute(path))


def mark_of(directory: str, config: str | None) -> str:
    """Return what a default directory's name ends with for a configuration, by absolute path."""
    return directories.suffix(directory, config, usual_configs())


def toml_files(directory: str) -> list[str]:
    """Return the `*.toml` files of a directory in the order in which they are read."""
    names = sorted(n for n in os.listdir(directory) if n.endswith(".toml") and n[0] != ".")
    return [os.path.join(directory, name) for name in names]


def read_regular(path: str) -> bytes:
    """Return what a file holds. /dev/null is an empty one.

    Raises OSError, also for what is no file: a FIFO would keep its reader waiting for ever, a
    device might never end, and at a second reading both would hold something else.
    """
    with open(path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as file:
        status = os.fstat(file.fileno())
        null = stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(1, 3)
        if not stat.S_ISREG(status.st_mode) and not null:
            raise OSError(errno.EINVAL, "it is no regular file")
        return file.read()


def _expand(value: str, here: str) -> str:
    """Expand %(here)s and friends as config/expand.py does, without loading it."""
    names = {f"ENV_{name}": text for name, text in os.environ.items()}
    try:
        return value % {**names, "here": here, "host_node_name": os.uname().nodename}
    except KeyError as error:
        raise ValueError(f"unknown expansion %({error.args[0]})s in {value}") from None
    except TypeError as error:
        raise ValueError(f"{error} in {value}") from None


def _daemon_table(text: str) -> object:
    """Return the `[daemon]` table. From a file with a mistake: the lines that set a path.

    A mistake in the file must not keep an operator from a daemon that runs.
    """
    import tomli

    try:
        return tomli.loads(text).get("daemon")
    except tomli.TOMLDecodeError:
        import re

        found = re.findall(
            r"""^\s*(socket|runtime_dir|state_dir)\s*=\s*["']([^"'\n]*)["']""", text, re.M
        )
        if not found:
            raise
        return dict(found)


def _configured(path: str | None, keys: dict[str, str]) -> str:
    """Return what a configuration sets for the first of these keys, with the name that follows.

    Empty if it sets none. Raises OSError or ValueError (tomli's) if it cannot be read.
    """
    files = [] if path is None else toml_files(path) if os.path.isdir(path) else [path]
    for file in files:
        data = read_regular(file)
        if any(key.encode() in data for key in keys):
            table = _daemon_table(data.decode("utf-8-sig", errors="replace"))
            here = os.path.dirname(os.path.abspath(file))
            for key, name in keys.items():
                value = table.get(key) if isinstance(table, dict) else None
                if isinstance(value, str) and value:
                    path = os.path.join(here, expand_home(_expand(value, here)))
                    return os.path.normpath(os.path.join(path, name))
    return ""


def find_state_dir(config: str) -> str:
    """Return the state directory of a configuration, by absolute path; raises as find_socket."""
    if found := _configured(config, {"state_dir": ""}):
        return found
    directory = default_state_dir()
    return directory + mark_of(directory, config)


def _refuse_foreign(directory: str) -> None:
    """Raise ForeignPathError if another user has made what is to be ours: whoever listens there.

    In /tmp anybody can. Root's are in /run, and may belong to the daemon's user.
    """
    me = os.geteuid()
    if me == 0:
        return
    try:
        uid = os.lstat(directory).st_uid
    except OSError:
        return
    if uid not in (0, me):
        raise ForeignPathError(directory, f"it belongs to uid {uid}")


def find_socket(config: str | None) -> str:
    """Return the control socket of the daemon that runs with `config` (a file, a directory, None).

    Raises OSError or ValueError (tomli's) if the configuration cannot be read, ForeignPathError.
    """
    path = config or find_config()
    path = None if path is None else directories.main_file(path)
    if found := _configured(path, {"socket": "", "runtime_dir": "supervisor.sock"}):
        return found
    directory = default_runtime_dir()
    if os.path.dirname(directory) == own_tmp_dir():
        _refuse_foreign(own_tmp_dir())
    mark = "" if path is None else mark_of(directory, directories.absolute(path))
    _refuse_foreign(directory + mark)
    socket = os.path.join(directory + mark, "supervisor.sock")
    if config is None and path in (None, candidates()[-1]) and not os.path.exists(socket):
        # A user without a daemon of their own means the system's, which may let them in.
        system = os.path.join(_SYSTEM_RUNTIME_DIR, "supervisor.sock")
        return system if os.path.exists(system) else socket
    return socket
