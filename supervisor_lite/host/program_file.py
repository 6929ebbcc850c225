"""What a file is that the kernel does not run, or whose interpreter is not there (execve(2))."""

from __future__ import annotations

import os
import struct
from typing import Final

from supervisor_lite.errors import SpawnError, SpawnErrorCode
from supervisor_lite.files import is_missing, open_regular

_HEAD: Final = 4096
"""Bytes of a file that are looked at."""
_BINFMT: Final = "/proc/sys/fs/binfmt_misc"
_MACHINES: Final = {
    3: "i386", 8: "mips", 20: "ppc", 21: "ppc64", 22: "s390x", 40: "arm", 62: "x86_64",
    183: "aarch64", 243: "riscv64", 258: "loongarch64",
}  # fmt: skip
"""By number in an ELF file (elf.h)."""
_ALSO: Final = {62: (3,), 183: (40,), 21: (20,)}
"""What a machine may run as well."""
_PT_INTERP: Final = 3
_MACH_O: Final = (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe")


def file_trouble(path: str, search_path: str | None = None) -> SpawnError | None:
    """Return why a file that may be executed is no program; None if it is, as far as it shows.

    `search_path`: the PATH in which `#!/usr/bin/env NAME` will look for NAME; None: not looked at.
    """
    head = read_head(path)
    if head is None:
        return None
    if head.startswith(b"#!"):
        return _script_trouble(path, head, search_path)
    if head.startswith(b"\x7fELF"):
        return _elf_trouble(path, head)
    if _takes_other_formats():
        return None
    return _no_program(path, head)


def read_head(path: str) -> bytes | None:
    """Return the beginning of a regular file; None if it cannot be read."""
    try:
        with open(open_regular(path), "rb", buffering=0) as file:
            return file.read(_HEAD)
    except OSError:
        return None


def _trouble(text: str, about: str) -> SpawnError:
    return SpawnError(text, SpawnErrorCode.NOT_A_PROGRAM, about)


def _script_trouble(path: str, head: bytes, search_path: str | None) -> SpawnError | None:
    line = head[2:].split(b"\n", 1)[0]
    words = [word.decode(errors="replace") for word in line.split()]
    if line.endswith(b"\r"):
        last = words[-1] if words else ""
        return _trouble(
            f'cannot run "{path}": its first line ends in CR LF, as on Windows, so that "{last}\\r"'
            f" is looked for; mend it with: sed -i 's/\\r$//' {path}",
            path,
        )
    if not words:
        return _trouble(f'cannot run "{path}": its #! line names no interpreter', path)
    if is_missing(words[0]):
        text = f'the interpreter "{words[0]}" of "{path}" does not exist'
        return _trouble(text, words[0])
    if os.path.basename(words[0]) != "env" or search_path is None:
        return None
    found = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    if found and not _is_in(found[0], search_path):
        text = f'the interpreter "{found[0]}" of "{path}" is not in PATH'
        return _trouble(text, found[0])
    return None


def _is_in(name: str, search_path: str) -> bool:
    places = [name] if "/" in name else [f"{each}/{name}" for each in search_path.split(":")]
    return any(os.access(place, os.X_OK) for place in places)


def _elf_trouble(path: str, head: bytes) -> SpawnError | None:
    """Return that it is for another machine, or that its dynamic linker is not there."""
    ours = read_head("/proc/self/exe")
    machine, own = _machine(head), _machine(ours) if ours else None
    if machine is None or own is None:
        return _trouble(f'cannot run "{path}": it is a program that was cut off', path)
    if machine not in (own, *_ALSO.get(own, ())):
        if _takes_other_formats():
            return None
        theirs, here = (_MACHINES.get(number, f"machine {number}") for number in (machine, own))
        text = f'cannot run "{path}": it is a program for {theirs}, and this machine is {here}'
        return _trouble(text, path)
    loader = _loader(head)
    if loader and is_missing(loader):
        why = ""
        if "musl" in loader:
            why = ": it was built for musl (Alpine)"
        return _trouble(f'the dynamic linker "{loader}" of "{path}" does not exist{why}', loader)
    return None


def _machine(head: bytes) -> int | None:
    if len(head) < 20:
        return None
    order = ">" if head[5] == 2 else "<"
    number: int = struct.unpack_from(f"{order}H", head, 18)[0]
    return number


def _loader(head: bytes) -> str:
    """Return the dynamic linker that a program names; empty if it names none, as far as it shows.

    Only what stands in the first page is read: linkers put it there.
    """
    order = ">" if head[5] == 2 else "<"
    wide = head[4] == 2
    try:
        start = struct.unpack_from(f"{order}Q" if wide else f"{order}I", head, 32 if wide else 28)[
            0
        ]
        size, count = struct.unpack_from(f"{order}HH", head, 54 if wide else 42)
        for number in range(min(count, 64)):
            at = start + number * size
            if struct.unpack_from(f"{order}I", head, at)[0] != _PT_INTERP:
                continue
            offset = struct.unpack_from(
                f"{order}Q" if wide else f"{order}I", head, at + (8 if wide else 4)
            )[0]
            return head[offset : head.index(b"\0", offset)].decode(errors="replace")
    except (struct.error, ValueError):
        return ""
    return ""


def _takes_other_formats() -> bool:
    """Does the kernel run what somebody has registered (binfmt_misc)?"""
    try:
        return not {"register", "status"}.issuperset(os.listdir(_BINFMT))
    except OSError:
        return False


def _no_program(path: str, head: bytes) -> SpawnError:
    what = "no program and no script with a #! line"
    if not head:
        what = "it is empty"
    elif head.startswith(b"\xef\xbb\xbf#!"):
        what = 'a byte order mark stands before its "#!"; save it as UTF-8 without one'
    elif head.startswith(b"MZ"):
        what = "it is a program for Windows"
    elif head.startswith(_MACH_O):
        what = "it is a program for macOS, or a class of Java"
    elif b"\0" not in head:
        what += ", such as #!/bin/sh"
    return _trouble(f'cannot run "{path}": {what}', path)
