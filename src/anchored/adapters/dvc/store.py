"""DVC as the data store: hashing, cache, transfer and links are DVC's, the proof is ours.

`dvc push` and `dvc status -c` trust an index kept on this machine: an object deleted from the
remote behind DVC's back stays "in sync" (seen with DVC 3.67.1). So nothing here asks the index:
what the remote holds is what the remote answers, with its size, before and after every push.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dvc_data.hashfile.checkout import checkout
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree
from dvc_objects.fs.local import localfs
from dvc_objects.fs.system import reflink
from dvc_objects.fs.utils import umask

from anchored.adapters.dvc import object_facts
from anchored.adapters.dvc.export import exported
from anchored.adapters.dvc.folder_update import is_exchanged, is_put
from anchored.adapters.dvc.hash_kinds import hash_kinds
from anchored.adapters.dvc.hashing import DvcHashing, local_errors
from anchored.adapters.dvc.linking import is_linked
from anchored.adapters.dvc.progress import Objects
from anchored.adapters.dvc.remote_hashes import RemoteHashes
from anchored.adapters.dvc.survey import RemoteSurvey
from anchored.decisions.audit_facts import Holdings, ObjectName
from anchored.decisions.lineage import UNSETTLED
from anchored.decisions.restoring import wanted_files
from anchored.errors import RemoteFailed
from anchored.ports import ExportedFile, PushOutcome, Report
from anchored.records import Pointer, Stamp
from anchored.system.files import files_under, inode_of, link_over, stamp_of

LINKS = ["reflink", "hardlink", "symlink", "copy"]


class DvcStore(DvcHashing):
    """The `DataStore` of a DVC repository."""

    # --- objects --------------------------------------------------------------------------------

    def with_hash_kind(self, pointers: Sequence[Pointer]) -> tuple[Pointer, ...]:
        """The pointers with the kind of hash that cache or remote hold them under."""
        unsettled = {p.md5 for p in pointers if p.hash_name == UNSETTLED}
        found = hash_kinds(self, unsettled)
        return tuple(replace(p, hash_name=found[p.md5]) if p.md5 in found else p for p in pointers)

    def push(self, pointers: Sequence[Pointer], report: Report) -> PushOutcome:
        """Sends what the remote lacks, then sees every object there by asking the remote."""
        return self._objects.push(pointers, report)

    def fetch(self, pointers: Sequence[Pointer], report: Report) -> int:
        """Makes the cache hold every object, whole; returns how many had to be fetched."""
        return self._objects.fetch(pointers, report)

    def survey(self, pointers: Collection[Pointer]) -> Holdings:
        """What the remote holds of all objects that the pointers need, by its own answer."""
        return RemoteSurvey(self).of(pointers)

    def find_corrupt(
        self, objects: Mapping[ObjectName, int], report: Report
    ) -> dict[ObjectName, str]:
        """Hashes objects in the remote; returns those that are not what their names say."""
        return RemoteHashes(self, report).find_corrupt(objects)

    def files_of(self, pointer: Pointer, report: Report) -> dict[str, str]:
        """Object by path, from the repo's root, of every file of a pointer."""
        return object_facts.files_of(self, pointer, report)

    def sizes(self, hash_name: str, oids: Sequence[str], *, ask: bool) -> dict[str, int]:
        """Sizes in bytes of those objects that the cache has or, if it may be asked, the remote."""
        return object_facts.sizes(self, hash_name, oids, ask=ask)

    # --- worktrees --------------------------------------------------------------------------

    def checkout(self, pointers: Sequence[Pointer], into: Path, report: Report) -> dict[str, Stamp]:
        """Links the pointers' content into a tree; returns the stamp of every file by path."""
        stamps: dict[str, Stamp] = {}
        for pointer in pointers:
            target = into / pointer.path
            files = wanted_files([(pointer, object_facts.cached_files_of(self, pointer))])
            with local_errors(pointer.path):
                if not is_linked(self, files, target, into, report):
                    with _links(self.cache(pointer.hash_name).raw):
                        self._check_out(pointer, target, report)
            for name in files_under(target):
                stamps[name[len(str(into)) + 1 :]] = stamp_of(name)
        return stamps

    def _check_out(self, pointer: Pointer, target: Path, report: Report) -> None:
        """Links a pointer's content to a path as DVC does it, or copies it."""
        cache = self.cache(pointer.hash_name).raw
        info = HashInfo(pointer.hash_name, pointer.md5)
        content = Tree.load(cache, info) if pointer.is_folder else cache.get(pointer.md5)
        checkout(
            str(target), localfs, content, cache, force=True,
            progress_callback=Objects(f"linking {pointer.path}", report),
        )  # fmt: skip

    def renew(self, pointer: Pointer, old: str, scratch: Path, report: Report) -> bool:
        """Whether a pointer's content now is in the user's folder, as `dvc checkout` leaves it."""
        place, new = self.root / pointer.path, scratch / "new"

        def is_old() -> bool:
            here = self.hashed_content(place, pointer.path, "md5")
            # A file that DVC ignores would go with the folder.
            return here.md5 == old and here.nfiles == sum(1 for _ in files_under(place))

        with local_errors(pointer.path):
            self._check_out(pointer, new, report)
            if not old:
                return is_put(new, place)
            return is_exchanged(new, place, aside=scratch / "old", is_known=is_old)

    def export(
        self, pointers: Sequence[Pointer], into: Path, report: Report
    ) -> tuple[ExportedFile, ...]:
        """The pointers' content as the user's own files below a folder, every byte hashed."""
        return exported(self, pointers, into, report)

    def reflink(self, source: str, target: str) -> None:
        """Makes a file that shares another's blocks, writable. Raises `OSError`."""
        reflink(source, target)
        os.chmod(target, 0o666 & ~umask)  # macOS clones the mode too

    def changed(
        self, pointers: Sequence[Pointer], tree: Path, stamps: Mapping[str, Stamp]
    ) -> tuple[str, ...]:
        """Files under the pointers' paths that no longer have the content they were given.

        A file whose stamp is unchanged was not written to: the kernel sets ctime, programs cannot.
        Another run's link changes ctime too, so a differing stamp is settled by the hash.
        """
        changed: list[str] = []
        for pointer in pointers:
            target = tree / pointer.path
            expected = object_facts.cached_files_of(self, pointer)
            present = {os.path.relpath(name, tree) for name in files_under(target)}
            changed += sorted(present ^ expected.keys())
            for path in sorted(present & expected.keys()):
                name = str(tree / path)
                if stamp_of(name) == stamps.get(path):
                    continue
                if self.hashed(name, pointer.hash_name) != expected[path]:
                    changed.append(path)
        return tuple(changed)

    def repair(self, pointers: Sequence[Pointer], report: Report) -> tuple[str, ...]:
        """Hashes the pointers' cache objects, drops corrupt ones and fetches them again.

        Files of the user's tree that were hardlinks to a corrupt object are linked anew.
        """
        spoilt: dict[tuple[int, int], str] = {}
        corrupt: list[str] = []
        for hash_name, sizes in self._objects.needed(pointers).items():
            cache = self.cache(hash_name)
            present = [oid for oid, size in sizes.items() if size is not None]
            inodes = {oid: inode_of(cache.path_of(oid)) for oid in present}
            broken = self._objects.drop_broken(hash_name, present)
            spoilt |= {inodes[oid]: cache.path_of(oid) for oid in broken}
            corrupt += broken
        if corrupt:
            own = [name for p in pointers for name in files_under(self.root / p.path)]
            linked = [(name, i) for name in own if (i := inode_of(name)) in spoilt]
            try:
                self.fetch(pointers, report)
            except RemoteFailed:
                for name, _ in linked:
                    path = os.path.relpath(name, self.root)
                    report.warn(f"training wrote to {path}; `dvc checkout --force` brings it back")
                raise
            for name, inode in linked:
                link_over(spoilt[inode], name)
        return tuple(corrupt)


@contextmanager
def _links(cache: Any) -> Iterator[None]:
    """Worktrees link into the cache, whatever links the user's own tree has."""
    before, cache.cache_types = cache.cache_types, LINKS
    try:
        yield
    finally:
        cache.cache_types = before
