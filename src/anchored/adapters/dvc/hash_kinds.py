"""The kind of hash that an object is kept under, where no pointer says it: DVC 2 had its own."""

from __future__ import annotations

from collections.abc import Collection

from anchored.adapters.dvc.object_store import Databases
from anchored.decisions.pointers import LEGACY_HASH

KINDS = ("md5", LEGACY_HASH)


def hash_kinds(databases: Databases, oids: Collection[str]) -> dict[str, str]:
    """By object, the kind under which the cache or, if it has none, the remote keeps it.

    It is `md5` for an object that neither has. Raises `RemoteFailed`.
    """
    kinds: dict[str, str] = {}
    if not oids:
        return kinds  # most runs: no repository of DVC's is opened for that
    for kind in KINDS:
        cache = databases.cache(kind)
        kinds |= {oid: kind for oid in oids if oid not in kinds and cache.holds_here(oid)}
    for kind in KINDS:
        if unknown := [oid for oid in oids if oid not in kinds]:
            with databases.speaking("ask"):
                kinds |= dict.fromkeys(databases.remote(kind).sizes(unknown).keys() & unknown, kind)
    return dict.fromkeys(oids, "md5") | kinds
