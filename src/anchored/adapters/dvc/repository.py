"""The DVC repository at a root: what is set up in it, its databases, and who owns a path."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from dvc.config import ConfigError as DvcConfigError
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.index import DataIndex

from anchored.adapters.dvc.failure import remote_failure
from anchored.adapters.dvc.loggers import muted_loggers
from anchored.adapters.dvc.object_database import ObjectDatabase
from anchored.adapters.dvc.path_checks import checked_content, refuse_leaving_link
from anchored.adapters.dvc.remote_settings import refuse_relative_remote, remote_settings, repo_with
from anchored.adapters.dvc.setup import set_default_remote, set_up_dvc
from anchored.adapters.dvc.timeouts import limit_client, limit_options
from anchored.decisions.pointers import LEGACY_HASH, owned_elsewhere, pointer_path
from anchored.decisions.redaction import redact
from anchored.errors import AnchoredError, NotReady


class DvcRepository:
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

    def remote(self, hash_name: str) -> ObjectDatabase:
        """The default remote, for objects of this hash."""
        with self.speaking("open"):
            is_legacy = hash_name == LEGACY_HASH
            return ObjectDatabase(self._remote.legacy_odb if is_legacy else self._remote.odb)

    def cache(self, hash_name: str) -> ObjectDatabase:
        """The cache of this machine, for objects of this hash."""
        caches = self._repo.cache
        return ObjectDatabase(caches.legacy if hash_name == LEGACY_HASH else caches.local)

    @property
    def cache_folder(self) -> Path:
        """Where links of this repo may lead, though it can lie outside of it."""
        return Path(os.path.realpath(self._repo.cache.local_cache_dir))

    def probe_remote(self) -> None:
        """Writes a small file to the remote and takes it away again."""
        fs, base = self.remote("md5").raw.fs, self._remote.path
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
