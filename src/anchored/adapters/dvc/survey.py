"""What a remote holds of the objects that pointers need; each distinct one is looked at once.

A size that is not the one known of an object does not condemn it, for what is known may be wrong: a
`.dvc` file edited by hand keeps its old size, a cache may be corrupt. It makes the object suspect.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Protocol

from anchored.adapters.dvc.hash_kinds import KINDS, hash_kinds
from anchored.adapters.dvc.object_store import Databases
from anchored.decisions.audit_facts import Holdings, ObjectName
from anchored.decisions.decoding import Unreadable
from anchored.decisions.lineage import UNSETTLED
from anchored.decisions.listings import parse_listing
from anchored.decisions.objects import is_object, md5_of
from anchored.errors import RemoteFailed
from anchored.records import Pointer
from anchored.system.files import size_of
from anchored.system.parallel import Stop, in_parallel

AT_ONCE = 16


class Readable(Databases, Protocol):
    """Databases whose objects can be hashed wherever they are."""

    def hash_of(self, stream: Any, hash_name: str) -> str:
        """The hash of what is left of a binary stream."""


class RemoteSurvey:
    """One look at a remote: asks it, reads folder listings that the cache lacks."""

    def __init__(self, databases: Readable) -> None:
        self._databases = databases
        self._corrupt: dict[ObjectName, str] = {}
        self._unreadable: dict[ObjectName, str] = {}
        self._sizes: dict[ObjectName, int] = {}  # as known here
        self._doubtful: set[ObjectName] = set()  # of which several sizes are known

    def of(self, pointers: Collection[Pointer]) -> Holdings:
        """The remote's holdings of all that the pointers need."""
        named = [p for p in pointers if is_object(p.md5)]
        hash_names = hash_kinds(self._databases, {p.md5 for p in named if p.hash_name == UNSETTLED})
        held = Holdings(hash_names=hash_names)
        names = {held.name_of(p) for p in named}
        folders = self._folders({name for name in names if name.oid.endswith(".dir")})
        for hash_name in KINDS:
            inside = {
                oid for f, files in folders.items() if f[0] == hash_name for oid in files.values()
            }
            names |= {ObjectName(hash_name, oid) for oid in inside}
        sizes = self._there(name for name in names if is_object(name.oid))
        if names and not sizes:
            self._check_base()
        self._know(pointers, sizes, held)
        return Holdings(
            sizes=sizes,
            # What is no hash at all is nowhere; it is named without the remote being asked for it.
            missing=(names - sizes.keys())
            | {held.name_of(p) for p in pointers if not is_object(p.md5)},
            corrupt=self._corrupt,
            unreadable=self._unreadable,
            folders=folders,
            suspects=tuple(sorted(self._suspects(pointers, sizes, folders, held))),
            hash_names=hash_names,
        )

    # --- asking the remote ----------------------------------------------------------------------

    def _there(self, names: Iterable[ObjectName]) -> dict[ObjectName, int]:
        """Sizes of those objects that the remote has."""
        oids: dict[str, list[str]] = {}
        for hash_name, oid in names:
            oids.setdefault(hash_name, []).append(oid)
        found: dict[ObjectName, int] = {}
        for hash_name, wanted in oids.items():
            with self._databases.speaking("ask"):
                sizes = self._databases.remote(hash_name).sizes(wanted)
            found |= {ObjectName(hash_name, o): sizes[o] for o in wanted if o in sizes}
        return found

    def _check_base(self) -> None:
        """A remote that holds nothing at all is more likely not the one that is meant."""
        with self._databases.speaking("ask"):
            if base := self._databases.remote(KINDS[1]).missing_base():
                raise RemoteFailed(
                    f"the DVC remote does not exist: {base}",
                    transient=False,
                    hint="mount it, or name the right one: `dvc remote list`",
                )

    # --- folders --------------------------------------------------------------------------------

    def _folders(self, names: Collection[ObjectName]) -> dict[ObjectName, dict[str, str]]:
        """Object by path of every folder that can be read; from the cache where that is whole."""
        folders = {
            name: self._listing(name, text)
            for name in names
            if (text := self._in_cache(name)) is not None
        }
        absent = [name for name in names if name not in folders]
        remotes = {name.hash_name: self._databases.remote(name.hash_name) for name in absent}

        def read(name: ObjectName, _: Stop) -> bytes | None:
            remote = remotes[name.hash_name]
            try:
                return remote.read(name.oid)
            except FileNotFoundError:
                return None

        with self._databases.speaking("read"):
            for name, text in in_parallel(read, absent, AT_ONCE):
                if text is not None and (files := self._checked(name, text)) is not None:
                    folders[name] = files
        return folders

    def _in_cache(self, name: ObjectName) -> bytes | None:
        cache = self._databases.cache(name.hash_name)
        with suppress(OSError), open(cache.path_of(name.oid), "rb") as stream:
            text = stream.read()
            if hash_of(text, self._databases, name.hash_name) == md5_of(name.oid):
                self._know_size(name, len(text))
                return text
        return None

    def _checked(self, name: ObjectName, text: bytes) -> dict[str, str] | None:
        """The listing that the remote holds, or None where that is corrupt."""
        md5 = hash_of(text, self._databases, name.hash_name)
        if md5 == md5_of(name.oid):
            return self._listing(name, text)
        self._corrupt[name] = md5
        return None

    def _listing(self, name: ObjectName, text: bytes) -> dict[str, str]:
        """Object by path, of a folder whose hash is right; none, with a note, for what is none."""
        try:
            return parse_listing(text)
        except Unreadable as error:
            self._unreadable[name] = error.why
            return {}

    # --- sizes ----------------------------------------------------------------------------------

    def _know(
        self, pointers: Iterable[Pointer], there: Iterable[ObjectName], held: Holdings
    ) -> None:
        """Takes down the sizes that pointers and cache tell of objects that are there."""
        for pointer in pointers:
            if pointer.size and not pointer.is_folder:
                self._know_size(held.name_of(pointer), pointer.size)
        for name in there:
            path = self._databases.cache(name.hash_name).path_of(name.oid)
            if not name.oid.endswith(".dir") and (size := size_of(path)) is not None:
                self._know_size(name, size)

    def _know_size(self, name: ObjectName, size: int) -> None:
        if self._sizes.setdefault(name, size) != size:
            self._doubtful.add(name)

    def _suspects(
        self,
        pointers: Collection[Pointer],
        sizes: Mapping[ObjectName, int],
        folders: Mapping[ObjectName, Mapping[str, str]],
        held: Holdings,
    ) -> Iterator[ObjectName]:
        """Objects that have another size than they should; all of a folder whose sum is off."""
        suspects = {n for n, size in sizes.items() if self._sizes.get(n, size) != size}
        suspects |= self._doubtful & sizes.keys()
        for name, size in {(held.name_of(p), p.size) for p in pointers if p.is_folder and p.size}:
            inside = [ObjectName(name.hash_name, oid) for oid in folders.get(name, {}).values()]
            whole = inside and all(child in sizes for child in inside)
            if whole and suspects.isdisjoint(inside) and sum(sizes[c] for c in inside) != size:
                suspects.update(inside)
        yield from suspects - self._corrupt.keys()


def hash_of(content: bytes, databases: Readable, hash_name: str) -> str:
    """The hash of bytes that are here."""
    return databases.hash_of(io.BytesIO(content), hash_name)
