"""Whether a file holds a pickled estimator, by its bytes: nothing is unpickled.

Only its first opcodes and its last are looked at, and so is a file that was made to do harm.
`pickletools` cannot read all of them: joblib writes the bytes of arrays between the opcodes.
"""

from __future__ import annotations

import bz2
import lzma
import mmap
import pickletools
import zlib
from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

SUFFIXES = frozenset({".joblib", ".pkl", ".pickle"})
# Modules whose classes are estimators with scikit-learn's interface.
MODULES = ("sklearn", "imblearn", "xgboost.sklearn", "lightgbm.sklearn", "catboost.core")

HEAD, CHUNK = 4_096, 1 << 20  # bytes
LONGEST = 1 << 32  # bytes that a compressed file is expanded to, for the sake of its last two
LARGEST_DICTIONARY = 1 << 28  # bytes of memory; joblib's strongest level of xz takes 64 MiB
JOBLIB = b"joblib.numpy_pickle"  # the module of its placeholder for an array
BUILT = b"b."  # BUILD and STOP: an object that got its state, and not a tuple or dict of some

OPENING = frozenset({"PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"})
STRINGS = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"})
RECONSTRUCTORS = frozenset({"copyreg", "copy_reg"})  # of protocols 0 and 1


class Pickled(StrEnum):
    """What reads the file: Python's own pickle, or joblib alone."""

    PICKLE = "pickle"
    JOBLIB = "joblib"


def estimator_in(file: Path) -> Pickled | None:
    """How an estimator is pickled in a file; None for whatever else the file is.

    Compressed as joblib does it, by zlib, gzip, bz2, lzma or xz; LZ4 is not looked into. Reads a
    few megabytes at a time at most. An estimator of the user's own class is none here: it
    loads only where that class can be imported.
    """
    if SUFFIXES.isdisjoint(suffix.lower() for suffix in file.suffixes[-2:]):
        return None
    with file.open("rb") as stream:
        decompressor = _decompressor_for(stream.read(6))
        stream.seek(0)
        if decompressor is None:
            return _plain(stream)
        try:
            return Pickled.JOBLIB if _is_estimator(_expanded(stream, decompressor)) else None
        except (zlib.error, lzma.LZMAError, OSError, EOFError, MemoryError):
            return None


def _plain(stream: BinaryIO) -> Pickled | None:
    head = stream.read(HEAD)
    if not _opens_with_estimator(head):
        return None
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[-2:] != BUILT:
            return None
        return Pickled.PICKLE if content.find(JOBLIB) < 0 else Pickled.JOBLIB


def _is_estimator(chunks: Iterator[bytes]) -> bool:
    head, tail, size = b"", b"", 0
    for chunk in chunks:
        if len(head) < HEAD:
            head += chunk[: HEAD - len(head)]
            if len(head) == HEAD and not _opens_with_estimator(head):
                return False
        tail, size = (tail + chunk)[-2:], size + len(chunk)
        if size > LONGEST:
            return True
    return tail == BUILT and _opens_with_estimator(head)


def _opens_with_estimator(head: bytes) -> bool:
    module = _first_module(head)
    return any(module == known or module.startswith(f"{known}.") for known in MODULES)


def _first_module(head: bytes) -> str:
    """The module of the class of a pickle's outermost object; empty where that is no object."""
    strings: deque[str] = deque(maxlen=2)
    is_reconstructed = False
    try:
        for opcode, argument, _ in pickletools.genops(head):
            if opcode.name in STRINGS:
                strings.append(str(argument))
            elif opcode.name in {"GLOBAL", "STACK_GLOBAL"}:
                # GLOBAL's argument is "module name"; STACK_GLOBAL takes the two last strings.
                module = str(argument or strings[-2]).partition(" ")[0]
                if module not in RECONSTRUCTORS:
                    return module
                is_reconstructed = True
                strings.clear()
            elif opcode.name not in OPENING and not (is_reconstructed and opcode.name == "MARK"):
                return ""
    except (ValueError, IndexError):  # no pickle, one that ends too soon, or a longer string
        return ""
    return ""


def _decompressor_for(magic: bytes) -> Any:
    """The decompressor for a file with these first bytes, as joblib chooses it; None for none."""
    if magic.startswith((b"\x1f\x8b", b"\x78")):
        return _Inflater()
    if magic.startswith(b"BZ"):
        return bz2.BZ2Decompressor()
    if magic.startswith((b"\xfd7zXZ", b"\x5d\x00")):
        return lzma.LZMADecompressor(memlimit=LARGEST_DICTIONARY)
    return None


class _Inflater:
    """zlib with the interface of the others: it gives at most so many bytes at a time."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(32 + zlib.MAX_WBITS)  # of zlib or gzip, by the header

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, most)


def _expanded(stream: BinaryIO, decompressor: Any) -> Iterator[bytes]:
    """The content in chunks. Raises `EOFError` for a file that ends too soon."""
    while not decompressor.eof:
        data = stream.read(CHUNK) if decompressor.needs_input else b""
        if decompressor.needs_input and not data:
            raise EOFError
        yield decompressor.decompress(data, CHUNK)
