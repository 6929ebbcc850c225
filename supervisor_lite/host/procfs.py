"""Who is whose child, by the kernel's own lists (/proc/PID/task/TID/children, proc_pid_task(5))."""

from __future__ import annotations

import os
from collections.abc import Iterator


def children(pid: int, thread: int | str) -> list[int]:
    """Return the children that one thread of a process has made; none if it is gone."""
    try:
        with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
            return [int(word) for word in file.readall().split()]
    except OSError:
        return []


def own_children() -> list[int]:
    """Return our own children: those that we made, and the orphans that have become ours."""
    return children(os.getpid(), os.getpid())


def below(pid: int) -> Iterator[int]:
    """Yield the descendants of a process, at any depth, dead ones that nobody reaped included."""
    todo = [pid]
    while todo:
        parent = todo.pop()
        try:
            threads = os.listdir(f"/proc/{parent}/task")
        except OSError:
            continue
        for thread in threads:
            found = children(parent, thread)
            todo.extend(found)
            yield from found
