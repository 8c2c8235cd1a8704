"""What fails for want of room on this machine's disk, as the error that says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from anchored.decisions.redaction import redact
from anchored.errors import DiskFull

# Git and SQLite tell it in words.
WORDS = ("no space left on device", "disk quota exceeded", "database or disk is full")


def disk_full(error: Exception) -> DiskFull | None:
    """The error to raise instead of one that a full disk is behind; None for any other."""
    said = " ".join(str(getattr(error, "stderr", "") or error).split())
    if DiskFull.is_meant_by(error) or any(word in said.lower() for word in WORDS):
        return DiskFull(redact(said.removeprefix("stderr:").strip(" '")))
    return None


@contextmanager
def on_disk() -> Iterator[None]:
    """Work that writes to this machine's disk: a full one is named as what is in the way."""
    try:
        yield
    except Exception as error:
        if (full := disk_full(error)) is None:
            raise
        raise full from error
