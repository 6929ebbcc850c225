"""Names that Supervisor takes and that cannot be addressed here, or make no file names."""

from __future__ import annotations

import re

from supervisor_lite.config.types.text import RESERVED


def usable_name(name: str) -> str:
    """Return what a program or group of this name is called here: mostly the same.

    What Supervisor itself refuses, such as a name with a slash, is not mended, nor is one that is
    too long: a shorter one would have to be invented.
    """
    if name in RESERVED:
        return name.replace(".", "_") if "." in name else f"{name}_"
    return re.sub(r"[*?\[\]]|^-", "_", name)
