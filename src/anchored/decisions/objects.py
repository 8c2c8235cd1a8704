"""The names of DVC's objects: the md5 of their bytes, with `.dir` for a folder's listing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

SHOWN = 3
_OBJECT = re.compile(r"[0-9a-f]{32}(\.dir)?")


def is_object(oid: str) -> bool:
    """Whether a string, as found in a tag or a file, can be the name of an object."""
    return _OBJECT.fullmatch(oid) is not None


def md5_of(oid: str) -> str:
    """The hash that an object's bytes must have."""
    return oid.removesuffix(".dir")


def md5_of_bytes(content: bytes) -> str:
    """The hash that bytes have."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def named(oids: Sequence[str]) -> str:
    """Objects as an error names them: the first few, and how many more."""
    more = f" and {len(oids) - SHOWN} more objects" if len(oids) > SHOWN else ""
    return ", ".join(oids[:SHOWN]) + more
