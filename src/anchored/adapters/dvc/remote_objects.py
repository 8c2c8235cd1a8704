"""What an object store holds, by asking it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

# From this number of objects on, one listing of the remote is asked instead of each object.
LISTED_FROM = 2_000
AT_A_TIME = 2_000  # of those that are asked for: each answer is a whole `stat`


def sizes_there(odb: Any, oids: Sequence[str]) -> dict[str, int]:
    """Sizes in bytes of those objects that the remote has now; no answer comes from a cache."""
    odb.fs.fs.invalidate_cache()
    # A local disk answers each question as fast, and what speaks HTTP lists nothing.
    lists = odb.fs.protocol != "local" and odb.fs.CAN_TRAVERSE
    return listed(odb) if lists and len(oids) >= LISTED_FROM else asked(odb, oids)


def asked(odb: Any, oids: Sequence[str]) -> dict[str, int]:
    """Sizes in bytes of those objects that the remote has, each asked for by itself."""
    seen = {}
    for start in range(0, len(oids), AT_A_TIME):
        batch = oids[start : start + AT_A_TIME]
        paths = [odb.oid_to_path(oid) for oid in batch]
        for oid, answer in zip(batch, odb.fs.info(paths, return_exceptions=True), strict=True):
            if isinstance(answer, FileNotFoundError):
                continue
            if isinstance(answer, BaseException):
                raise answer
            if answer.get("type") == "file":
                seen[oid] = int(answer["size"])
    return seen


def listed(odb: Any) -> dict[str, int]:
    """Sizes of all objects that the remote lists."""
    seen = {}
    with suppress(FileNotFoundError):
        for path, info in odb.fs.fs.find(odb.path, detail=True).items():
            with suppress(ValueError):
                seen[odb.path_to_oid(path)] = int(info["size"])
    return seen
