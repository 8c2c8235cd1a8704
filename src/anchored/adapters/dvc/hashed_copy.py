"""Files hashed, and copied while they are hashed: each byte is read once, memory stays the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Self

CHUNK = 1024 * 1024  # bytes; what is no larger is read in one go
OWN = 0o666  # before the umask: a file of the user's own, as any program makes it

# Told the number of bytes that have come through; what it raises ends the work.
Advance = Callable[[int], None]


def no_advance(_bytes: int) -> None:
    """For who does not want to know how far it is."""


def md5_of_file(file: str, advance: Advance = no_advance) -> str:
    """The md5 of a file's bytes, read now."""
    with _reading(file) as source:
        if (content := _small(source.fd)) is not None:
            return hashlib.md5(content, usedforsecurity=False).hexdigest()
        digest, buffer = hashlib.md5(usedforsecurity=False), memoryview(bytearray(CHUNK))
        while count := os.readv(source.fd, [buffer]):
            digest.update(buffer[:count])
            advance(count)
        return digest.hexdigest()


def copied(source: str, target: str, advance: Advance = no_advance) -> str:
    """Copies a file to a path where nothing is; returns the md5 of the bytes written there.

    What a failure leaves at the target is taken away.
    """
    with _reading(source) as read:
        written = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWN)
        try:
            with _Descriptor(written):
                if (content := _small(read.fd)) is None:
                    return _streamed(read.fd, written, advance)
                _write(written, memoryview(content))
                return hashlib.md5(content, usedforsecurity=False).hexdigest()
        except BaseException:
            with suppress(OSError):
                os.unlink(target)
            raise


class _Descriptor:
    """An open file of the operating system's: Python's own costs more than a small file's copy."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def _reading(file: str) -> _Descriptor:
    return _Descriptor(os.open(file, os.O_RDONLY | os.O_CLOEXEC))


def _small(fd: int) -> bytes | None:
    """All of a file that fits into one chunk; None of a larger one."""
    size = os.fstat(fd).st_size
    if size > CHUNK:
        return None
    content = os.read(fd, size + 1)
    while more := os.read(fd, CHUNK) if len(content) > size else b"":  # grows while it is read
        content += more
    return content


def _streamed(source: int, target: int, advance: Advance) -> str:
    """Copies what one descriptor gives to another; one chunk is hashed while others are moved."""
    digest = hashlib.md5(usedforsecurity=False)
    buffers = [memoryview(bytearray(CHUNK)) for _ in range(2)]
    hashing: Future[Any] | None = None
    with ThreadPoolExecutor(max_workers=1) as hasher:
        turn = 0
        while count := os.readv(source, [buffers[turn]]):
            if hashing is not None:
                hashing.result()
            part = buffers[turn][:count]
            hashing = hasher.submit(digest.update, part)
            _write(target, part)
            advance(count)
            turn = 1 - turn
    return digest.hexdigest()


def _write(fd: int, content: memoryview) -> None:
    while content:
        content = content[os.write(fd, content) :]
