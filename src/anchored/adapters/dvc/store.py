"""DVC as the data store: hashing, cache, transfer and links are DVC's, the proof is ours.

`dvc push` and `dvc status -c` trust an index kept on this machine: an object deleted from the
remote behind DVC's back stays "in sync" (seen with DVC 3.67.1). So nothing here asks the index:
what the remote holds is what the remote answers, with its size, before and after every push.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from dvc.config import ConfigError as DvcConfigError
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.hashfile.build import build
from dvc_data.hashfile.checkout import checkout
from dvc_data.hashfile.hash import file_md5, fobj_md5, hash_file
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.transfer import transfer
from dvc_data.hashfile.tree import Tree
from dvc_data.index import DataIndex
from dvc_objects.fs.local import localfs
from dvc_objects.fs.system import reflink
from dvc_objects.fs.utils import umask

from anchored.adapters.dvc import object_facts
from anchored.adapters.dvc.export import handed_out
from anchored.adapters.dvc.failure import remote_failure
from anchored.adapters.dvc.folder_update import is_exchanged, is_put
from anchored.adapters.dvc.hashed_copy import md5_of_file
from anchored.adapters.dvc.ignores import RulesElsewhere
from anchored.adapters.dvc.linking import is_linked
from anchored.adapters.dvc.loggers import muted_loggers
from anchored.adapters.dvc.object_store import ObjectStore
from anchored.adapters.dvc.path_checks import checked_content, refuse_leaving_link
from anchored.adapters.dvc.pointers import rendered_pointer
from anchored.adapters.dvc.progress import Bytes, Objects, is_large
from anchored.adapters.dvc.remote_hashes import RemoteHashes
from anchored.adapters.dvc.remote_settings import refuse_relative_remote, remote_settings, repo_with
from anchored.adapters.dvc.setup import set_default_remote, set_up_dvc
from anchored.adapters.dvc.survey import RemoteSurvey
from anchored.adapters.dvc.timeouts import limit_client, limit_options
from anchored.decisions.audit_facts import Holdings, ObjectName
from anchored.decisions.decoding import Unreadable
from anchored.decisions.lineage import UNSETTLED
from anchored.decisions.listings import parse_listing
from anchored.decisions.objects import md5_of
from anchored.decisions.pointers import LEGACY_HASH, owned_elsewhere, pointer_path
from anchored.decisions.redaction import redact
from anchored.decisions.restoring import wanted_files
from anchored.errors import AnchoredError, BadInput, NotReady, RemoteFailed
from anchored.ports import SILENT, ExportedFile, PushOutcome, Report
from anchored.records import Pointer, Stamp
from anchored.system.disk_room import on_disk
from anchored.system.files import files_under, inode_of, link_over, stamp_of

LINKS = ["reflink", "hardlink", "symlink", "copy"]


class DvcStore:
    """The DVC repository at `root`, which is also the root of the Git repository.

    `managed` is a clone that Anchored keeps: a path that starts from it leads nowhere. `remote` is
    what `remote_settings` said of a remote to use in place of the configured one.
    """

    def __init__(
        self, root: Path, *, managed: bool = False, remote: Mapping[str, Any] | None = None
    ) -> None:
        self.root, self._managed, self._fixed = root, managed, remote

    # --- what is set up -------------------------------------------------------------------------

    @cached_property
    def _repo(self) -> Repo:
        if not self.is_set_up():
            raise NotReady("DVC is not set up in this repository", hint="run `anchored init`")
        try:
            repo = repo_with(self.root, self._fixed) if self._fixed else Repo(str(self.root))
        except DvcException as error:
            raise NotReady(f"DVC cannot open this repository: {redact(str(error))}") from error
        if self._managed and not self._fixed:
            refuse_relative_remote(repo)
        limit_options(repo.config["remote"])
        # The index on disk is not asked here, and of two processes that open it at once for the
        # first time one can fail: "database is locked" (seen with DVC 3.67.1).
        repo._data_index = DataIndex()  # noqa: SLF001
        return repo

    def is_set_up(self) -> bool:
        """Whether the repository has a `.dvc` folder."""
        return (self.root / ".dvc").is_dir()

    def set_up(self) -> None:
        """Sets up DVC, staging included."""
        set_up_dvc(self.root)

    def remote_url(self) -> str:
        """The default remote's URL as configured; empty without one."""
        name = self._repo.config["core"].get("remote")
        return str(self._repo.config["remote"].get(name, {}).get("url", "")) if name else ""

    def set_remote(self, name: str, url: str) -> None:
        """Makes a URL the default remote."""
        set_default_remote(self.root, name, url)
        self.__dict__.pop("_repo", None)

    def remote_settings(self, committed: bytes | None) -> dict[str, Any]:
        """The default remote's `name` and options by a commit's `.dvc/config`, but for secrets."""
        self.check_ready()
        try:
            told = remote_settings(self.root, committed or b"")
        except DvcException as error:
            raise NotReady(f"DVC cannot read .dvc/config: {redact(str(error))}") from error
        if not told:
            raise NotReady(
                "the commit's .dvc/config names no default remote", hint="commit .dvc/config"
            )
        return told

    def check_ready(self) -> None:
        """Raises `NotReady` where DVC or its default remote is not set up."""
        name = self._repo.config["core"].get("remote")
        if not name:
            raise NotReady(
                "the repository has no default DVC remote to keep the bytes in",
                hint="run `anchored init --remote URL`, or `dvc remote add -d NAME URL`",
            )
        if name not in self._repo.config["remote"]:
            raise NotReady(
                f"the default DVC remote {name!r} is not configured",
                hint=f"run `dvc remote add {name} URL`",
            )
        remote = self._repo.config["remote"][name]
        if remote.get("worktree") or remote.get("version_aware"):
            raise NotReady(
                f"the DVC remote {name!r} is cloud-versioned, which keeps no objects by hash",
                hint="use a remote without `worktree` and `version_aware`",
            )

    @cached_property
    def _remote(self) -> Any:
        self.check_ready()
        try:
            remote = self._repo.cloud.get_remote(command="push")
            limit_client(remote.fs)
            return remote
        except (DvcConfigError, DvcException, ImportError) as error:
            raise NotReady(f"the DVC remote cannot be used: {redact(str(error))}") from error

    def remote(self, hash_name: str) -> Any:
        """The default remote, for objects of this hash."""
        with self.speaking("open"):
            return self._remote.legacy_odb if hash_name == LEGACY_HASH else self._remote.odb

    def cache(self, hash_name: str) -> Any:
        """The cache of this machine, for objects of this hash."""
        return self._repo.cache.legacy if hash_name == LEGACY_HASH else self._repo.cache.local

    @property
    def cache_folder(self) -> Path:
        """Where links of this repo may lead, though it can lie outside of it."""
        return Path(os.path.realpath(self._repo.cache.local_cache_dir))

    def probe_remote(self) -> None:
        """Writes a small file to the remote and takes it away again."""
        fs, base = self.remote("md5").fs, self._remote.path
        probe = fs.join(base, f"anchored-{uuid.uuid4().hex}")  # in no folder that others remove
        with self.speaking("write to"):
            if fs.protocol == "local" and os.path.lexists(base) and not os.path.isdir(base):
                raise NotADirectoryError(errno.ENOTDIR, "not a folder", base)
            fs.makedirs(base, exist_ok=True)
            fs.pipe_file(probe, b"anchored")
            fs.remove(probe)

    # --- who owns a path ------------------------------------------------------------------------

    def check_owner(self, path: str) -> None:
        """Raises `BadInput` where a `dvc.yaml` stage or another pointer owns the path."""
        own = pointer_path(path)
        try:
            outs = list(self._repo.index.outs)
        except DvcException as error:
            raise NotReady(f"DVC cannot read this repository: {redact(str(error))}") from error
        for out in outs:
            if out.protocol != "local":
                continue
            where = Path(os.path.relpath(out.fs_path, self.root)).as_posix()
            stage = Path(os.path.relpath(out.stage.path, self.root)).as_posix()
            if where == path and stage == own:
                continue
            if where == path or where.startswith(f"{path}/") or path.startswith(f"{where}/"):
                raise owned_elsewhere(path, where, stage, is_pipeline=not stage.endswith(".dvc"))

    def check_link(self, path: str) -> None:
        """Raises `BadInput` where the path is a link that leads neither into repo nor cache."""
        if os.path.lexists(self.root / path):
            refuse_leaving_link(str(self.root / path), path, self._homes)

    def check_content(self, path: str) -> None:
        """Raises `BadInput` where what stands at the path cannot be versioned."""
        checked_content(self.root / path, path, self._homes)

    @property
    def _homes(self) -> tuple[str, str]:
        return os.path.realpath(self.root), str(self.cache_folder)

    # --- hashing --------------------------------------------------------------------------------

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
        with _local_trouble(path):
            self._hash_large(file, f"hashing {path}", report)
            staging, meta, tree = build(
                cache, str(file), localfs, "md5",
                ignore=ignore, callback=Objects(f"hashing {path}", report),
            )  # fmt: skip
            if isinstance(tree, Tree) and not len(tree):
                raise BadInput(path, "holds nothing but what .dvcignore excludes")
            wanted = {tree.hash_info}
            done = transfer(staging, cache, wanted, shallow=False, hardlink=move,
                            callback=Objects(f"caching {path}", report))  # fmt: skip
            # What failed stands in a log only (dvc_data 3.18); done again without it, it raises.
            for info in sorted(done.failed, key=lambda info: info.isdir):
                one = staging.get(info.value)
                cache.add(one.path, one.fs, one.oid, hardlink=move)
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
        with _local_trouble(path):
            if hash_name == "md5":
                self._hash_large(file, f"hashing {path}", report)
            _, meta, tree = build(
                self.cache(hash_name), str(file), localfs, hash_name,
                ignore=ignore, callback=Objects(f"hashing {path}", report), dry_run=True,
            )  # fmt: skip
        return Pointer(
            path=path, md5=tree.oid, size=meta.size or 0, nfiles=meta.nfiles or 1,
            hash_name=hash_name,
        )  # fmt: skip

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

    # --- objects --------------------------------------------------------------------------------

    @property
    def _objects(self) -> ObjectStore:
        return ObjectStore(self)

    def with_hash_kind(self, pointers: Sequence[Pointer]) -> tuple[Pointer, ...]:
        """The pointers with the kind of hash that cache or remote hold them under."""
        unsettled = {p.md5 for p in pointers if p.hash_name == UNSETTLED}
        found = dict.fromkeys(unsettled, "md5")
        for oid in unsettled:
            held = (h for h in ("md5", LEGACY_HASH) if self._objects.holds(h, oid))
            found[oid] = next(held, "md5")
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
        file = self.cache(hash_name).oid_to_path(oid)
        try:
            return parse_listing(Path(file).read_bytes())
        except FileNotFoundError:
            return None
        except Unreadable as error:
            if self.hashed(file, hash_name) != md5_of(oid):
                return None
            raise BadInput(oid, f"is no listing of a folder: {error.why}") from error

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
            with _local_trouble(pointer.path):
                if not is_linked(self, files, target, into, report):
                    with _links(self.cache(pointer.hash_name)):
                        self._check_out(pointer, target, report)
            for name in files_under(target):
                stamps[name[len(str(into)) + 1 :]] = stamp_of(name)
        return stamps

    def _check_out(self, pointer: Pointer, target: Path, report: Report) -> None:
        """Links a pointer's content to a path as DVC does it, or copies it."""
        cache = self.cache(pointer.hash_name)
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

        with _local_trouble(pointer.path):
            self._check_out(pointer, new, report)
            if not old:
                return is_put(new, place)
            return is_exchanged(new, place, aside=scratch / "old", is_known=is_old)

    def export(
        self, pointers: Sequence[Pointer], into: Path, report: Report
    ) -> tuple[ExportedFile, ...]:
        """The pointers' content as the user's own files below a folder, every byte hashed."""
        return handed_out(self, pointers, into, report)

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
            inodes = {oid: inode_of(cache.oid_to_path(oid)) for oid in present}
            broken = self._objects.drop_broken(hash_name, present)
            spoilt |= {inodes[oid]: cache.oid_to_path(oid) for oid in broken}
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
    def speaking(self, verb: str) -> Iterator[None]:
        """Turns whatever a remote's client raises into one of our errors."""
        try:
            with muted_loggers():
                yield
        except AnchoredError:
            raise
        except Exception as error:
            # An SSH connection that was lost stays lost: the next try opens one of its own.
            self.__dict__.pop("_remote", None)
            raise remote_failure(error, verb, redact(self.remote_url())) from error


@contextmanager
def _links(cache: Any) -> Iterator[None]:
    """Private worktrees link into the cache, whatever links the user's own tree has."""
    before, cache.cache_types = cache.cache_types, LINKS
    try:
        yield
    finally:
        cache.cache_types = before


@contextmanager
def _local_trouble(path: str) -> Iterator[None]:
    try:
        with muted_loggers(), on_disk():
            yield
    except OSError as error:
        raise BadInput(path, f"cannot be read or cached: {error}") from error
    except DvcException as error:
        raise BadInput(path, redact(str(error))) from error
