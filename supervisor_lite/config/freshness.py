"""Has the configuration on disk changed since it was read? A look at the files, not into them."""

from __future__ import annotations

import os

from supervisor_lite.model.sources import Sources, Stamp


def stamp(path: str) -> Stamp | None:
    """Return what a write changes; None if the file cannot be looked at."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return Stamp(status.st_mtime_ns, status.st_size, status.st_ino)


def matching(directory: str, pattern: str) -> list[str]:
    """Return what a pattern matches, as it has it, in order."""
    import glob

    return sorted(glob.glob(pattern, root_dir=directory or None, recursive=True))


def newer_files(sources: Sources) -> list[str]:
    """Return the files that were written, made or removed since that reading."""
    found = [path for path, before in sources.stamps.items() if stamp(path) != before]
    for include in sources.includes:
        new = set(matching(include.directory, include.pattern)).difference(include.files)
        found += sorted(os.path.join(include.directory, name) for name in new)
    return found


def looked_at_again(sources: Sources) -> Sources:
    """Return the same files and patterns as they are now, after a reading that has failed."""
    includes = tuple(
        each._replace(files=tuple(matching(each.directory, each.pattern)))
        for each in sources.includes
    )
    included = (os.path.join(each.directory, name) for each in includes for name in each.files)
    paths = dict.fromkeys((*sources.stamps, *included))
    return sources._replace(stamps={path: stamp(path) for path in paths}, includes=includes)
