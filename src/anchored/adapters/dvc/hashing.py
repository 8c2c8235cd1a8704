"""Content hashed into the cache, or only hashed: by DVC, whose state remembers it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc_data.hashfile.build import build
from dvc_data.hashfile.hash import file_md5, fobj_md5, hash_file
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.transfer import transfer
from dvc_data.hashfile.tree import Tree
from dvc_objects.fs.local import localfs

from anchored.adapters.dvc.hashed_copy import md5_of_file
from anchored.adapters.dvc.ignores import RulesElsewhere
from anchored.adapters.dvc.loggers import muted_loggers
from anchored.adapters.dvc.object_store import ObjectStore
from anchored.adapters.dvc.path_checks import checked_content
from anchored.adapters.dvc.pointers import rendered_pointer
from anchored.adapters.dvc.progress import Bytes, Objects, is_large
from anchored.adapters.dvc.repository import DvcRepository
from anchored.decisions.decoding import Unreadable
from anchored.decisions.listings import parse_listing
from anchored.decisions.objects import md5_of
from anchored.decisions.redaction import redact
from anchored.errors import BadInput
from anchored.ports import SILENT, Report
from anchored.records import Pointer
from anchored.system.disk_room import on_disk


class DvcHashing(DvcRepository):
    """Hashes files and folders as DVC does."""

    @property
    def _objects(self) -> ObjectStore:
        return ObjectStore(self)

    def add(self, file: Path, path: str, report: Report, *, move: bool = False) -> Pointer:
        """Hashes a file or folder into the cache, as the content of repo path `path`.

        Raises `BadInput` for content that changes while it is read, for an empty folder, and for
        links that leave the repository; and `DiskFull`.
        """
        before = checked_content(file, path, self._homes)
        cache = self.cache("md5")
        place, ignore = self.root / path, self._repo.dvcignore
        if file != place:
            ignore = RulesElsewhere(ignore, here=str(file), there=str(place))
        with local_errors(path):
            self._hash_large(file, f"hashing {path}", report)
            staging, meta, tree = build(
                cache.raw, str(file), localfs, "md5",
                ignore=ignore, callback=Objects(f"hashing {path}", report),
            )  # fmt: skip
            if isinstance(tree, Tree) and not len(tree):
                raise BadInput(path, "holds nothing but what .dvcignore excludes")
            wanted = {tree.hash_info}
            done = transfer(staging, cache.raw, wanted, shallow=False, hardlink=move,
                            callback=Objects(f"caching {path}", report))  # fmt: skip
            # What failed stands in a log only (dvc_data 3.18); done again without it, it raises.
            for info in sorted(done.failed, key=lambda info: info.isdir):
                one = staging.get(info.value)
                cache.raw.add(one.path, one.fs, one.oid, hardlink=move)
        pointer = Pointer(path=path, md5=tree.oid, size=meta.size or 0, nfiles=meta.nfiles or 1)
        if not move and checked_content(file, path, self._homes) != before:
            # What was cached may be another state than the one that was hashed.
            for hash_name, sizes in self._objects.needed((pointer,)).items():
                self._objects.drop_broken(hash_name, list(sizes))
            raise BadInput(path, "changed while it was being read", hint="run again when it rests")
        return pointer

    def hashed_content(
        self, file: Path, path: str, hash_name: str, report: Report = SILENT
    ) -> Pointer:
        """The pointer that a file or folder has as the content of a path; caches nothing."""
        checked_content(file, path, self._homes)
        ignore = RulesElsewhere(self._repo.dvcignore, here=str(file), there=str(self.root / path))
        with local_errors(path):
            if hash_name == "md5":
                self._hash_large(file, f"hashing {path}", report)
            _, meta, tree = build(
                self.cache(hash_name).raw, str(file), localfs, hash_name,
                ignore=ignore, callback=Objects(f"hashing {path}", report), dry_run=True,
            )  # fmt: skip
        return Pointer(
            path=path, md5=tree.oid, size=meta.size or 0, nfiles=meta.nfiles or 1,
            hash_name=hash_name,
        )  # fmt: skip

    def hash_of(self, stream: Any, hash_name: str) -> str:
        """The hash of what is left of a binary stream."""
        return str(fobj_md5(stream, name=hash_name))

    def hashed(self, file: str, hash_name: str) -> str:
        """The hash of a file's bytes, read now."""
        if hash_name == "md5":
            return md5_of_file(file)
        _, info = hash_file(file, localfs, hash_name, None)
        return str(info.value)

    def listing(self, hash_name: str, oid: str) -> dict[str, str] | None:
        """Object by path of a folder that the cache lists; None where it does not, or not whole.

        Raises `BadInput` for what is no listing, though its hash is right.
        """
        file = self.cache(hash_name).path_of(oid)
        try:
            return parse_listing(Path(file).read_bytes())
        except FileNotFoundError:
            return None
        except Unreadable as error:
            if self.hashed(file, hash_name) != md5_of(oid):
                return None
            raise BadInput(oid, f"is no listing of a folder: {error.why}") from error

    def _hash_large(self, file: Path, what: str, report: Report) -> None:
        """Hashes one large file ahead of `build`, which has no way to tell how far it is.

        What is hashed here is found in DVC's state there.
        """
        state, name = self._repo.state, str(file)
        if is_large(file) and state.get(name, localfs)[1] is None:
            md5 = file_md5(name, localfs, callback=Bytes(what, report))
            state.save(name, localfs, HashInfo("md5", md5))

    def render_pointer(self, previous: bytes | None, pointer: Pointer) -> bytes:
        """The `.dvc` file for a pointer, as DVC writes it; comments and other fields are kept."""
        return rendered_pointer(previous, pointer)


@contextmanager
def local_errors(path: str) -> Iterator[None]:
    """What goes wrong on this machine, with the content of a path, as one of our errors."""
    try:
        with muted_loggers(), on_disk():
            yield
    except OSError as error:
        raise BadInput(path, f"cannot be read or cached: {error}") from error
    except DvcException as error:
        raise BadInput(path, redact(str(error))) from error
