"""Files of this machine, as the adapters look at them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from anchored.records import Stamp


def files_under(place: Path) -> Iterator[str]:
    """Every file at or below a path, links followed. A path that is not there has none."""
    if not place.is_dir():
        if os.path.lexists(place):
            yield str(place)
        return
    for folder, _, names in os.walk(place, followlinks=True):
        for name in names:
            yield os.path.join(folder, name)


def stamp_of(name: str) -> Stamp:
    """Inode, size and times of a file, links followed."""
    info = os.stat(name)
    return Stamp(info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


def size_of(path: str) -> int | None:
    """A file's size in bytes; None where there is none."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return None


def drop(path: str) -> None:
    """Removes a file, if it is there."""
    with suppress(FileNotFoundError):
        os.unlink(path)


def inode_of(name: str) -> tuple[int, int]:
    """What two hardlinks have in common; a symbolic link is a file of its own."""
    info = os.lstat(name)
    return info.st_dev, info.st_ino


def link_over(source: str, name: str) -> None:
    """Makes `name` a hardlink to `source`, without a moment in which it is not there."""
    new = f"{name}.anchored"
    drop(new)
    os.link(source, new)
    os.replace(new, name)


def link_or_copy(file: Path, target: Path) -> None:
    """Puts a file at a path where none is; as a hardlink where the file system allows it."""
    with suppress(OSError):
        os.link(file, target)
        return
    shutil.copyfile(file, target)
