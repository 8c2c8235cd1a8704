"""What a file or folder holds, and whether it can be versioned: regular files inside the repo."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from anchored.errors import BadInput
from anchored.system.files import files_under


def checked_content(file: Path, path: str, homes: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """Inode, size and mtime of every file at or below `file`, the content of repo path `path`.

    Raises `BadInput` for an empty folder, for what is no regular file or cannot be read, for names
    that are not UTF-8, which neither DVC nor a tag can carry, and for links that leave `homes`, the
    real paths of the folders that they may lead into.
    """
    stamps = {}
    inside: set[str] = set()
    for name in files_under(file):
        _refuse_unprintable(name[len(str(file)) + 1 :], path)
        folder = os.path.dirname(name)
        # A link is looked at by itself, all else once a folder: real paths are slow to find.
        for place in {folder} - inside if name != str(file) else ():
            refuse_leaving_link(place, path, homes)
        inside.add(folder)
        if os.path.islink(name):
            refuse_leaving_link(name, path, homes)
        try:
            info = os.stat(name)
        except OSError as error:
            raise BadInput(path, f"holds {os.path.basename(name)!r}: {error.strerror}") from error
        if not stat.S_ISREG(info.st_mode):
            raise BadInput(path, f"holds {os.path.basename(name)!r}, which is no regular file")
        stamps[name] = (info.st_ino, info.st_size, info.st_mtime_ns)
    if not stamps:
        raise BadInput(path, "is an empty folder, DVC has nothing to version in it")
    return stamps


def _refuse_unprintable(name: str, path: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise BadInput(
            path, f"holds {os.fsencode(name)!r}, a name that is not UTF-8", hint="rename it"
        ) from None


def refuse_leaving_link(name: str, path: str, homes: Sequence[str]) -> None:
    """Raises `BadInput` where a path, its links followed, is not below any of `homes`."""
    real = os.path.realpath(name)
    if not any(real.startswith(home + os.sep) for home in homes):
        raise BadInput(path, f"is or holds a link that leaves the repository: {real}")
