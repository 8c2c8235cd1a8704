"""What is in the user's folder, exchanged for something newer without losing work of theirs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from anchored.system.files import files_under


def is_put(new: Path, place: Path) -> bool:
    """Moves a file or folder to where nothing is; False where something is."""
    if os.path.lexists(place):
        return False
    place.parent.mkdir(parents=True, exist_ok=True)
    os.rename(new, place)
    return True


def is_exchanged(new: Path, place: Path, *, aside: Path, is_known: Callable[[], bool]) -> bool:
    """Moves `new` to `place`, and what was there aside, if that is known to be kept elsewhere.

    False, with all as it was, where it is not known, or changed while it was looked at. All three
    are on one file system. Killed half-way through a folder, it leaves nothing at `place`.
    """
    before = _stamps(place)
    if not is_known():
        return False
    if place.is_dir() or new.is_dir():
        os.rename(place, aside)
        try:
            if _stamps(aside) == before:
                os.rename(new, place)
        finally:
            if not os.path.lexists(place):
                os.rename(aside, place)
        return os.path.lexists(aside)
    os.link(place, aside, follow_symlinks=False)
    os.replace(new, place)
    if _stamps(aside) != before:
        os.replace(aside, place)
        return False
    return True


def _stamps(place: Path) -> list[tuple[int, int, int]]:
    """Inode, size and mtime of every file; the time of a renaming is no change."""
    infos = map(os.stat, files_under(place))
    return sorted((info.st_ino, info.st_size, info.st_mtime_ns) for info in infos)
