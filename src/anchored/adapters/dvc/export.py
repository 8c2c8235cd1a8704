"""Objects exported as files of the user's own: every byte is hashed before a file has its name.

A file comes from the cache or, where that lacks it or holds it corrupt, straight from the remote;
as a reflink or a copy, never as a link that would let the user write into the cache.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from anchored.adapters.dvc.conflicts import Conflicts, claimed, in_the_way
from anchored.adapters.dvc.hashed_copy import copied, md5_of_file
from anchored.adapters.dvc.object_database import ObjectDatabase
from anchored.adapters.dvc.object_facts import files_of
from anchored.adapters.dvc.object_store import Databases, ObjectStore
from anchored.adapters.dvc.progress import Bytes
from anchored.adapters.dvc.staging import Staging
from anchored.decisions.objects import SHOWN, md5_of
from anchored.decisions.restoring import WantedFile, wanted_files
from anchored.errors import BadInput, ObjectLost
from anchored.ports import ExportedFile, Report
from anchored.records import Pointer
from anchored.system.disk_room import on_disk
from anchored.system.files import drop

BATCH = 64  # files that a thread takes at a time, at most
WHAT = "restoring"
LACKS, CORRUPT = "lacks", "holds, corrupt,"

Item = TypeVar("Item")
Result = TypeVar("Result")


class Sources(Databases, Protocol):
    """The databases, and what their file system can do beyond reading."""

    def reflink(self, source: str, target: str) -> None:
        """Makes `target` a file of its own that shares its blocks. Raises `OSError`."""


def exported(
    sources: Sources, pointers: Sequence[Pointer], into: Path, report: Report
) -> tuple[ExportedFile, ...]:
    """The pointers' files at their paths below a folder; existing ones are left.

    Raises `WrongUse` before anything is written where other content is in the way; `BadInput`
    for a listing that leads elsewhere; `ObjectLost` naming objects, once all others are in place.
    """
    files = wanted_files((pointer, _objects_of(sources, pointer, report)) for pointer in pointers)
    root = os.path.realpath(into)
    Conflicts(root).split(files)
    with on_disk(), claimed(root):
        conflicts = Conflicts(root)
        missing, present = conflicts.split(files)
        work = _Work(sources, Staging(conflicts), report)
        work.refuse_other(present, root)
        lost = work.done(missing)
    if lost:
        raise _lost(lost)
    sizes = (os.stat(os.path.join(root, file.path)).st_size for file in files)
    return tuple(ExportedFile(f.path, f.oid, size) for f, size in zip(files, sizes, strict=True))


def _objects_of(sources: Sources, pointer: Pointer, report: Report) -> dict[str, str]:
    try:
        return files_of(sources, pointer, report)
    except ObjectLost as error:
        raise ObjectLost(f"{error.message}, which lists {pointer.path}") from error
    except BadInput as error:
        raise BadInput(pointer.path, error.message) from error


def _lost(lost: dict[WantedFile, str]) -> ObjectLost:
    said = [f"{state} object {file.oid} of {file.path}" for file, state in lost.items()]
    more = f"; and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
    return ObjectLost(
        f"the remote {'; '.join(said[:SHOWN])}{more}", hint="all other files are in place"
    )


class _Work:
    """One export into one folder."""

    def __init__(self, sources: Sources, staging: Staging, report: Report) -> None:
        self._sources, self._staging, self._report = sources, staging, report
        self._can_reflink: dict[bool, bool] = {}  # by whether it is from the remote
        self._counters: dict[str, Bytes] = {}
        self._stop = threading.Event()

    def refuse_other(self, present: Sequence[WantedFile], root: str) -> None:
        """Raises `WrongUse` where a file that is there already has other content."""

        def is_same(file: WantedFile) -> bool:
            return self._is_right(os.path.join(root, file.path), file)

        for file, same in zip(present, self._each(is_same, present), strict=True):
            if not same:
                raise in_the_way(os.path.join(root, file.path), "with other content")

    def done(self, missing: Sequence[WantedFile]) -> dict[WantedFile, str]:
        """Makes files and gives them their names; returns those that the remote has lost.

        What is made stays, hidden, where another call may go on: after a failure that may pass.
        """
        try:
            lost = self._made(missing) if missing else {}
        except Exception as error:
            if not getattr(error, "transient", False):
                self._staging.give_up()
            raise
        self._staging.drop()
        return lost

    def _made(self, missing: Sequence[WantedFile]) -> dict[WantedFile, str]:
        self._staging.prepare(missing)
        made = self._each(self._from_cache, missing)
        lacking = [file for file, here in zip(missing, made, strict=True) if not here]
        lost = self._from_remote(lacking)
        self._staging.place(file for file in missing if file not in lost)
        return lost

    # --- where a file comes from ----------------------------------------------------------------

    def _from_cache(self, file: WantedFile) -> bool:
        """Whether the cache, or a call that was killed, held the file intact; it is made then."""
        if self._staging.took_up(file):
            return True
        cached = self._sources.cache(file.hash_name).path_of(file.oid)
        try:
            if self._is_copied(cached, file, far=False):
                return True
        except FileNotFoundError:
            return False
        ObjectStore(self._sources).drop_broken(file.hash_name, [file.oid])
        return False

    def _from_remote(self, lacking: Sequence[WantedFile]) -> dict[WantedFile, str]:
        """Makes files from the remote; returns those that it has lost, and in what way."""
        lost: dict[WantedFile, str] = {}
        alike: dict[tuple[str, str], list[WantedFile]] = {}
        for file in lacking:
            alike.setdefault((file.hash_name, file.oid), []).append(file)
        for hash_name in {file.hash_name for file in lacking}:
            remote = self._sources.remote(hash_name)
            groups = [files for (name, _), files in alike.items() if name == hash_name]
            work = partial(self._fetched, remote, alone=len(groups) == 1)
            threads = None if remote.is_local else remote.jobs
            with self._sources.speaking("fetch from"):
                states = self._each(work, groups, threads=threads)
            for files, state in zip(groups, states, strict=True):
                lost |= dict.fromkeys(files, state) if state else {}
        return lost

    def _fetched(self, remote: ObjectDatabase, files: Sequence[WantedFile], *, alone: bool) -> str:
        """Makes files that are alike from the remote; returns what is wrong with its object."""
        first, *others = files
        target = self._staging.place_of(first)
        try:
            if remote.is_local:
                intact = self._is_copied(remote.path_of(first.oid), first, far=True)
            else:
                with _Stoppable(WHAT, self._report, self._stop) as callback:
                    remote.download(first.oid, target, callback, alone=alone)
                intact = self._is_right(target, first)
        except FileNotFoundError:
            drop(target)
            return LACKS
        except BaseException:
            drop(target)
            raise
        if not intact:
            drop(target)
            return CORRUPT
        for other in others:
            self._is_copied(target, other, far=False)
        return ""

    def _is_copied(self, source: str, file: WantedFile, *, far: bool) -> bool:
        """Makes a file of another of this machine, unless that has other bytes than it must."""
        target = self._staging.place_of(file)
        md5 = self._copied(source, target, far=far)
        if file.hash_name != "md5":
            md5 = self._sources.hashed(target, file.hash_name)
        if md5 == md5_of(file.oid):
            return True
        drop(target)
        return False

    def _copied(self, source: str, target: str, *, far: bool) -> str:
        advance = partial(self._advance, source)
        if self._can_reflink.get(far, True):
            try:
                self._sources.reflink(source, target)
                return md5_of_file(target, advance)
            except FileNotFoundError:
                raise
            except OSError:
                self._can_reflink[far] = False
                drop(target)
        return copied(source, target, advance)

    def _is_right(self, name: str, file: WantedFile) -> bool:
        if file.hash_name == "md5":
            md5 = md5_of_file(name, partial(self._advance, name))
        else:
            md5 = self._sources.hashed(name, file.hash_name)
        return md5 == md5_of(file.oid)

    # --- many at a time -------------------------------------------------------------------------

    def _each(
        self, work: Callable[[Item], Result], items: Sequence[Item], *, threads: int | None = None
    ) -> list[Result]:
        """What the work gives for every item, in their order; the first failure ends it all."""
        results: dict[int, list[Result]] = {}
        count = threads or os.cpu_count() or 1
        size = max(1, min(BATCH, len(items) // (count * 8)))
        with ThreadPoolExecutor(max_workers=count) as pool:
            starts = range(0, len(items), size)
            futures = {pool.submit(self._batch, work, items[n : n + size]): n for n in starts}
            try:
                done = 0
                for future in as_completed(futures):
                    results[futures[future]] = future.result()
                    done += len(results[futures[future]])
                    self._report.progress(WHAT, done, len(items))
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [result for start in starts for result in results[start]]

    def _batch(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        results = []
        for item in items:
            self._refuse_stopped()
            results.append(work(item))
        return results

    def _advance(self, source: str, count: int) -> None:
        """Counts the bytes of one large file."""
        self._refuse_stopped()
        counter = self._counters.get(source)
        if counter is None:
            counter = self._counters.setdefault(source, Bytes(WHAT, self._report))
            counter.set_size(os.stat(source).st_size)
        counter.relative_update(count)

    def _refuse_stopped(self) -> None:
        if self._stop.is_set():
            raise CancelledError


class _Stoppable(Bytes):
    """Counts the bytes of a download, and ends it once it is to stop."""

    def __init__(self, what: str, report: Report, stop: threading.Event) -> None:
        super().__init__(what, report)
        self._stop = stop

    def call(self, *_: Any, **__: Any) -> None:
        if self._stop.is_set():
            raise CancelledError
        super().call()
