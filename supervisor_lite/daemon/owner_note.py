"""The note that says whose a directory is: which daemon, with which configuration, and where.

`slctl` and a second daemon read it (protocol/directories.py), when the control socket is not where
they look for it, and to find out which directories belong to a configuration.
"""

from __future__ import annotations

import json
import os

from supervisor_lite.files import write_whole
from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.protocol.directories import NOTE, read_owner


def write(settings: DaemonSettings, socket: str, config: str) -> None:
    """Have runtime and state directory say that they are ours. Raises OSError."""
    owner = {"configuration": config, "pid": os.getpid(), "socket": socket}
    for directory in dict.fromkeys((settings.state_dir, settings.runtime_dir)):
        if os.path.isdir(directory) and read_owner(directory) != owner:
            write_whole(f"{directory}/{NOTE}", json.dumps(owner) + "\n", 0o644)
