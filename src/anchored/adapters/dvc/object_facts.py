"""What objects hold and how large they are, from the cache, else from the remote."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from anchored.adapters.dvc.object_store import Databases, ObjectStore
from anchored.ports import Report
from anchored.records import Pointer
from anchored.system.files import size_of


def files_of(databases: Databases, pointer: Pointer, report: Report) -> dict[str, str]:
    """Object by path, from the repo's root, of every file of a pointer.

    A listing that the cache lacks is fetched. Raises `RemoteFailed`.
    """
    if pointer.is_folder:
        # Hashed, too: what it lists is believed.
        ObjectStore(databases).fetch_objects(pointer.hash_name, [pointer.md5], report)
    return cached_files_of(databases, pointer)


def cached_files_of(databases: Databases, pointer: Pointer) -> dict[str, str]:
    """As `files_of`, by the cache alone: a folder that it does not list has none."""
    if not pointer.is_folder:
        return {pointer.path: pointer.md5}
    listing = databases.listing(pointer.hash_name, pointer.md5) or {}
    return {posixpath.join(pointer.path, path): oid for path, oid in listing.items()}


def sizes(
    databases: Databases, hash_name: str, oids: Sequence[str], *, ask: bool
) -> dict[str, int]:
    """Sizes in bytes of those objects that the cache has or, if it may be asked, the remote.

    Raises `RemoteFailed`.
    """
    cache = databases.cache(hash_name)
    here = {oid: size_of(cache.path_of(oid)) for oid in oids}
    known = {oid: size for oid, size in here.items() if size is not None}
    unknown = [oid for oid in oids if oid not in known]
    if not unknown or not ask:
        return known
    remote = databases.remote(hash_name)
    with databases.speaking("ask"):
        there = remote.sizes(unknown)
    return known | {oid: there[oid] for oid in unknown if oid in there}
