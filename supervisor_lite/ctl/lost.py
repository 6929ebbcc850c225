"""What to do when nobody answers at the control socket: where the daemon is, and the way out.

Loaded only then. The state directory knows where the daemon of a configuration is, also if it was
started with another environment (cron has no XDG_RUNTIME_DIR) or its socket was deleted.
"""

from __future__ import annotations

import fcntl
import os

from supervisor_lite.protocol import directories, locate

# As typing.TYPE_CHECKING, without the cost of importing typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def real_socket(config: str, tried: str) -> str:
    """Return where the daemon of this configuration has its socket; "" if that is no news."""
    owner = _owner(config)
    socket = str(owner.get("socket") or "")
    return socket if socket != tried and os.path.exists(socket) else ""


def way_out(config: str, tried: str) -> str:
    """Say how a daemon is reached again whose control socket is gone; "" if there is none."""
    owner = _owner(config)
    if not owner or os.path.exists(tried):
        return ""
    pid, gone = owner.get("pid"), f'its control socket "{owner.get("socket")}" is gone'
    return f"it runs as pid {pid}, and {gone}: kill -HUP {pid} makes it anew"


def other_configuration(config: str) -> str:
    """Return the configuration of the daemon that runs in the plain directories, if another's."""
    owner = directories.read_owner(locate.default_runtime_dir())
    other, socket = str(owner.get("configuration") or ""), str(owner.get("socket") or "")
    there = bool(other) and os.path.exists(socket)
    return other if there and not directories.same(other, config) else ""


def _owner(config: str) -> dict[str, Any]:
    """Return what the state directory of a configuration knows of a daemon that lives."""
    try:
        directory = locate.find_state_dir(config)
        owner = directories.read_owner(directory)
        if not directories.same(str(owner.get("configuration") or ""), config):
            return {}
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return {}
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return owner  # it holds the directory
    except OSError:
        return {}
    finally:
        os.close(fd)
    return {}
