"""fsspec's progress, passed on to a `Report`: objects of a transfer, bytes of a large one."""

from __future__ import annotations

import os
from typing import Any

from fsspec.callbacks import Callback

from anchored.ports import Report

LARGE = 64 * 1024 * 1024  # bytes from which on one file is worth a progress of its own


class Objects(Callback):
    """Counts files of a piece of work; a large file counts its own bytes meanwhile."""

    def __init__(self, what: str, report: Report) -> None:
        super().__init__()
        self._what, self._report = what, report

    def call(self, *_: Any, **__: Any) -> None:
        self._report.progress(self._what, self.value, self.size or 0)

    def branched(self, path_1: str, path_2: str, **_: Any) -> Callback:  # noqa: ARG002
        return Bytes(self._what, self._report)


class Bytes(Callback):
    """Counts the bytes of one file, said only of large ones."""

    def __init__(self, what: str, report: Report) -> None:
        super().__init__()
        self._what, self._report = what, report

    def call(self, *_: Any, **__: Any) -> None:
        if self.size and self.size >= LARGE:
            self._report.progress(self._what, self.value, self.size, unit="B")


def is_large(file: str | os.PathLike[str]) -> bool:
    """Whether a path is one file that takes long enough to hash to show how far it is."""
    return os.path.isfile(file) and os.path.getsize(file) >= LARGE
