"""Objects by hash, in the cache of this machine and in a remote: sent, fetched, and verified.

What either holds is known by its bytes, or by the remote's own answer; never by an index of DVC's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import chain
from typing import Protocol

from anchored.adapters.dvc.object_database import ObjectDatabase
from anchored.adapters.dvc.progress import Objects
from anchored.decisions.objects import md5_of, named
from anchored.errors import ObjectLost, RemoteFailed
from anchored.ports import PushOutcome, Report
from anchored.records import Pointer
from anchored.system.files import drop, size_of

BATCH = 16


class Databases(Protocol):
    """Where objects are, by the name of their hash, and how they are hashed."""

    def cache(self, hash_name: str) -> ObjectDatabase:
        """The cache of this machine."""

    def remote(self, hash_name: str) -> ObjectDatabase:
        """The repo's default remote."""

    def hashed(self, file: str, hash_name: str) -> str:
        """The hash of a file's bytes, read now."""

    def listing(self, hash_name: str, oid: str) -> dict[str, str] | None:
        """Object by path of a folder that the cache lists; None if it does not, or is corrupt."""

    def speaking(self, verb: str) -> AbstractContextManager[None]:
        """Turns whatever a remote's client raises meanwhile into one of our errors."""


class ObjectStore:
    """The objects that pointers need, as cache and remote hold them."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    def needed(self, pointers: Sequence[Pointer]) -> dict[str, dict[str, int | None]]:
        """By hash name, the size in bytes of every object that the pointers need, from the cache.

        The size is None for an object that the cache lacks.
        """
        needed: dict[str, dict[str, int | None]] = {}
        for pointer in pointers:
            sizes = needed.setdefault(pointer.hash_name, {})
            cache = self._databases.cache(pointer.hash_name)
            oids = [pointer.md5]
            if pointer.is_folder:
                listing = self._databases.listing(pointer.hash_name, pointer.md5)
                oids += (listing or {}).values()
            for oid in oids:
                if oid not in sizes:
                    sizes[oid] = size_of(cache.path_of(oid))
        return needed

    # --- to the remote --------------------------------------------------------------------------

    def push(self, pointers: Sequence[Pointer], report: Report) -> PushOutcome:
        """Sends what the remote lacks, then sees every object there by asking the remote.

        An object is hashed before it is sent; one that the cache holds corrupt is dropped from it.
        Raises `RemoteFailed`, transient where another try can help; what had arrived stays.
        """
        objects = sent = 0
        for folder in filter(lambda pointer: pointer.is_folder, pointers):
            # Without its listing nobody knows what else the remote must hold.
            self.fetch_objects(folder.hash_name, [folder.md5], report)
        for hash_name, sizes in self.needed(pointers).items():
            lacking = self._unseen(hash_name, sizes, report)
            if broken := self.drop_broken(hash_name, lacking):
                # Only the cache may be wrong, and the remote hold it in its true size.
                true = {p.md5: p.size or None for p in pointers if not p.is_folder}
                sizes |= {oid: true.get(oid) for oid in broken}
                lacking = self._unseen(hash_name, sizes, report)
                if lost := [oid for oid in broken if oid in lacking]:
                    raise ObjectLost(
                        f"neither the remote nor the cache holds, intact, {named(lost)}",
                        hint="bring the data back into place and run again",
                    )
            self._send(hash_name, lacking, report)
            if lacking and (still := self._unseen(hash_name, sizes, report)):
                raise RemoteFailed(
                    f"the remote does not hold {named(still)} although the push ended well",
                )
            objects, sent = objects + len(sizes), sent + len(lacking)
        return PushOutcome(objects=objects, sent=sent)

    def _unseen(self, hash_name: str, sizes: Mapping[str, int | None], report: Report) -> list[str]:
        """Objects that the remote lacks, or holds in another size than the cache."""
        remote = self._databases.remote(hash_name)
        report.progress("asking the remote", 0, len(sizes))
        with self._databases.speaking("ask"):
            seen = remote.sizes(list(sizes))
        return [
            oid for oid, size in sizes.items()
            if oid not in seen or (size is not None and seen[oid] != size)
        ]  # fmt: skip

    def _send(self, hash_name: str, oids: Sequence[str], report: Report) -> None:
        """Uploads objects, the listing of a folder after its files: a listing promises them."""
        cache, remote = self._databases.cache(hash_name), self._databases.remote(hash_name)
        files = [oid for oid in oids if not oid.endswith(".dir")]
        listings = [oid for oid in oids if oid.endswith(".dir")]
        for batch in (files, listings):
            if batch:
                with self._databases.speaking("push to"):
                    remote.copy_from(cache, batch, Objects("pushing", report), jobs=remote.jobs)

    # --- to the cache ---------------------------------------------------------------------------

    def fetch(self, pointers: Sequence[Pointer], report: Report) -> int:
        """Makes the cache hold every object, verified; returns how many had to be fetched."""
        fetched = 0
        for pointer in pointers:
            fetched += self.fetch_objects(pointer.hash_name, [pointer.md5], report)
            if pointer.is_folder:
                listing = self._databases.listing(pointer.hash_name, pointer.md5) or {}
                children = list(dict.fromkeys(listing.values()))
                fetched += self.fetch_objects(pointer.hash_name, children, report)
        return fetched

    def fetch_objects(self, hash_name: str, oids: Sequence[str], report: Report) -> int:
        """As `fetch`, for objects by name. Raises `RemoteFailed` naming one that is lost."""
        lacking = self.drop_broken(hash_name, oids)
        if not lacking:
            return 0
        cache, remote = self._databases.cache(hash_name), self._databases.remote(hash_name)
        failures: dict[str, BaseException] = {}
        with self._databases.speaking("fetch from"):
            cache.copy_from(
                remote, lacking, Objects("fetching", report),
                jobs=remote.jobs, on_error=failures.__setitem__,
            )  # fmt: skip
            for error in failures.values():
                if not isinstance(error, FileNotFoundError):
                    raise error
        for oid in self.find_broken(hash_name, lacking):
            drop(cache.path_of(oid))
            state = "lacks" if oid in failures else "holds, corrupt,"
            raise ObjectLost(f"the remote {state} object {oid}")
        return len(lacking)

    # --- what the cache holds -------------------------------------------------------------------

    def find_broken(self, hash_name: str, oids: Sequence[str]) -> list[str]:
        """The objects that the cache lacks, or holds with other bytes than their name says.

        Never taken from DVC's state: a checkout writes there that a file has the hash that its
        pointer names, without looking (seen with DVC 3.67.1), so a corrupt pull looks intact.
        """
        cache = self._databases.cache(hash_name)

        def actual(oid: str) -> str | None:
            try:
                return self._databases.hashed(cache.path_of(oid), hash_name)
            except FileNotFoundError:
                return None

        # A batch at a time: handing a thread one small file costs more than hashing it.
        batches = [oids[n : n + BATCH] for n in range(0, len(oids), BATCH)]
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
            hashed = threads.map(lambda batch: [actual(oid) for oid in batch], batches)
            hashes = chain.from_iterable(hashed)
            return [oid for oid, md5 in zip(oids, hashes, strict=True) if md5 != md5_of(oid)]

    def drop_broken(self, hash_name: str, oids: Sequence[str]) -> list[str]:
        """Takes corrupt objects out of the cache; returns all that it does not hold."""
        broken = self.find_broken(hash_name, oids)
        for oid in broken:
            drop(self._databases.cache(hash_name).path_of(oid))
        return broken
