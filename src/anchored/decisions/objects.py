"""The names of DVC's objects: the md5 of their bytes, with `.dir` for a folder's listing."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 3


def md5_of(oid: str) -> str:
    """The hash that an object's bytes must have."""
    return oid.removesuffix(".dir")


def named(oids: Sequence[str]) -> str:
    """Objects as an error names them: the first few, and how many more."""
    more = f" and {len(oids) - SHOWN} more objects" if len(oids) > SHOWN else ""
    return ", ".join(oids[:SHOWN]) + more
