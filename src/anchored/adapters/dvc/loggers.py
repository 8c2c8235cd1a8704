"""DVC's loggers, muted while we use it: our own errors say what failed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

# They show a traceback for each object that fails (seen with dvc-data 3.18).
MUTED = ("dvc_data", "dvc_objects")


class _Mute:
    """Counts who is inside: loggers belong to the whole process, and threads come and go."""

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), 0
        self._levels: dict[str, int] = {}

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._levels = {name: logging.getLogger(name).level for name in MUTED}
                for name in MUTED:
                    logging.getLogger(name).setLevel(logging.CRITICAL)
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                for name, level in self._levels.items():
                    logging.getLogger(name).setLevel(level)


_MUTE = _Mute()


@contextmanager
def muted_loggers() -> Iterator[None]:
    """DVC logs no errors meanwhile. The last of all threads to leave restores the levels."""
    _MUTE.enter()
    try:
        yield
    finally:
        _MUTE.leave()
