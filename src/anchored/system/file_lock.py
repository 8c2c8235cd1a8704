"""A lock on a file, for one process at a time: the kernel drops it when its holder ends, anyhow."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(file: Path, *, on_wait: Callable[[], None] | None = None) -> Iterator[bool]:
    """Holds the lock of a file, made if need be with its folder; whether it had to be waited for.

    `on_wait` is called before the waiting. Not to be entered twice by one process.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as stream:
        waits = False
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waits = True
        if waits:
            if on_wait is not None:
                on_wait()
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield waits
