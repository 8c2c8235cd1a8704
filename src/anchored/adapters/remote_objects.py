"""What an object store holds, by asking it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

# From this number of objects on, one listing of the remote is asked instead of each object.
LISTED_FROM = 2_000


def sizes_there(odb: Any, oids: Sequence[str]) -> dict[str, int]:
    """Sizes in bytes of those objects that the remote has now; no answer comes from a cache."""
    odb.fs.fs.invalidate_cache()
    # A local disk answers each question as fast, and what speaks HTTP lists nothing.
    lists = odb.fs.protocol != "local" and odb.fs.CAN_TRAVERSE
    return listed(odb) if lists and len(oids) >= LISTED_FROM else asked(odb, oids)


def asked(odb: Any, oids: Sequence[str]) -> dict[str, int]:
    """Sizes in bytes of those objects that the remote has, each asked for by itself."""
    paths = [odb.oid_to_path(oid) for oid in oids]
    answers = odb.fs.info(paths, return_exceptions=True) if paths else []
    seen = {}
    for oid, answer in zip(oids, answers, strict=True):
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
