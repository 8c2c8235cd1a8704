"""DVC's object databases, typed: what we ask of the cache of this machine and of a remote.

What a database holds is what its file system answers now, never an index or a state of DVC's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, BinaryIO

from dvc_data.hashfile.db import HashFileDB
from fsspec.callbacks import Callback

# From this number of objects on, one listing of the remote is asked instead of each object.
LISTED_FROM = 2_000
AT_A_TIME = 2_000  # of those that are asked for: each answer is a full `stat`
BLOCK = 4 * 1024 * 1024  # bytes that an open object is read ahead
FOLDERS = {"local", "ssh"}  # protocols of which a place is a folder; of all others, a bucket


class ObjectDatabase:
    """Objects of one kind of hash, in one place. `raw` is for DVC's own functions."""

    __slots__ = ("_fs", "raw")

    def __init__(self, raw: HashFileDB) -> None:
        self.raw = raw
        self._fs: Any = raw.fs

    # --- where it is ----------------------------------------------------------------------------

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine, or mounted on it."""
        return bool(self._fs.protocol == "local")

    @property
    def jobs(self) -> int:
        """The number of objects to transfer at once."""
        return int(self._fs.jobs)

    def path_of(self, oid: str) -> str:
        """Where the object is, or would be."""
        return str(self.raw.oid_to_path(oid))

    def missing_base(self) -> str:
        """The folder or bucket that it is in, if that is missing; empty where it is not."""
        base = str(self.raw.path)
        if self._fs.protocol not in FOLDERS:
            base = base.split("/", 1)[0]  # folders of a bucket do not exist by themselves
        return base if self._fs.CAN_TRAVERSE and not self._fs.exists(base) else ""

    # --- what it holds --------------------------------------------------------------------------

    def holds_here(self, oid: str) -> bool:
        """Whether an object is on this machine, in a database that is."""
        return os.path.exists(self.path_of(oid))

    def sizes(self, oids: Sequence[str]) -> dict[str, int]:
        """Sizes in bytes of those objects that it has now; no answer comes from a cache."""
        self._fs.fs.invalidate_cache()
        # A local disk answers each question as fast, and what speaks HTTP lists nothing.
        lists = not self.is_local and self._fs.CAN_TRAVERSE
        return self._list_sizes() if lists and len(oids) >= LISTED_FROM else self._ask_sizes(oids)

    def _ask_sizes(self, oids: Sequence[str]) -> dict[str, int]:
        """Sizes of those objects that it has, each asked for by itself."""
        sizes = {}
        for start in range(0, len(oids), AT_A_TIME):
            batch = oids[start : start + AT_A_TIME]
            paths = [self.path_of(oid) for oid in batch]
            answers = self._fs.info(paths, return_exceptions=True)
            for oid, answer in zip(batch, answers, strict=True):
                if isinstance(answer, FileNotFoundError):
                    continue
                if isinstance(answer, BaseException):
                    raise answer
                if answer.get("type") == "file":
                    sizes[oid] = int(answer["size"])
        return sizes

    def _list_sizes(self) -> dict[str, int]:
        """Sizes of all objects that it lists."""
        sizes = {}
        with suppress(FileNotFoundError):
            for path, info in self._fs.fs.find(self.raw.path, detail=True).items():
                with suppress(ValueError):
                    sizes[str(self.raw.path_to_oid(path))] = int(info["size"])
        return sizes

    # --- bytes ----------------------------------------------------------------------------------

    def read(self, oid: str) -> bytes:
        """All of an object. Raises `FileNotFoundError`."""
        content: bytes = self._fs.cat_file(self.path_of(oid))
        return content

    def open(self, oid: str) -> BinaryIO:
        """An object, to be read from its beginning to its end. Raises `FileNotFoundError`."""
        stream: BinaryIO = self._fs.open(self.path_of(oid), "rb", block_size=BLOCK)
        return stream

    def download(self, oid: str, target: str, callback: Callback, *, alone: bool) -> None:
        """Writes an object to a file. One that is `alone` comes in parts, as DVC does it."""
        parts = {"max_concurrency": self.jobs if alone else 1}
        options = parts if hasattr(self._fs.fs, "max_concurrency") else {}
        self._fs.get_file(self.path_of(oid), target, callback=callback, **options)

    def copy_from(
        self,
        source: ObjectDatabase,
        oids: Sequence[str],
        callback: Callback,
        *,
        jobs: int,
        on_error: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        """Copies objects of another database, over what it has of them itself.

        Without `on_error`, which is told of each object that failed, the first failure is raised.
        """
        self.raw.add(
            [source.path_of(oid) for oid in oids], source.raw.fs, list(oids),
            check_exists=False, batch_size=jobs, on_error=on_error, callback=callback,
        )  # fmt: skip
