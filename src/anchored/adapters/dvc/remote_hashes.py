"""Hashes what a remote holds, where it is: streaming, several objects at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from threading import Lock
from typing import IO

from anchored.adapters.dvc.survey import AT_ONCE, Readable
from anchored.decisions.audit_facts import ObjectName
from anchored.decisions.objects import md5_of
from anchored.ports import Report
from anchored.system.parallel import Stop, in_parallel


class RemoteHashes:
    """The bytes of objects in a remote, against their names."""

    def __init__(self, databases: Readable, report: Report) -> None:
        self._databases, self._report = databases, report
        self._lock, self._done = Lock(), 0

    def find_corrupt(self, objects: Mapping[ObjectName, int]) -> dict[ObjectName, str]:
        """What objects hash to that are not what their names say; empty where one is not there."""
        remotes = {name.hash_name: self._databases.remote(name.hash_name) for name in objects}
        total = sum(objects.values())

        def hashed(name: ObjectName, stop: Stop) -> str:
            remote = remotes[name.hash_name]
            try:
                with remote.open(name.oid) as stream:
                    counted = Counted(stream, lambda n: self._count(n, total), stop)
                    return self._databases.hash_of(counted, name.hash_name)
            except FileNotFoundError:
                return ""

        local = all(remote.is_local for remote in remotes.values())
        at_once = (os.cpu_count() or 1) if local else AT_ONCE
        with self._databases.speaking("read"):
            hashes = in_parallel(hashed, list(objects), at_once)
            return {name: md5 for name, md5 in hashes if md5 != md5_of(name.oid)}

    def _count(self, number: int, total: int) -> None:
        with self._lock:
            self._done += number
            self._report.progress("hashing the remote", self._done, total, unit="B")


class Counted:
    """A stream that tells how much was read of it, and ends early when it shall stop."""

    def __init__(self, stream: IO[bytes], count: Callable[[int], None], stop: Stop) -> None:
        self._stream, self._count, self._stop = stream, count, stop

    def read(self, size: int = -1) -> bytes:
        if self._stop.is_set():
            return b""
        # A short answer of a remote must not decide where lines are folded.
        parts, left = [], size
        while left and (part := self._stream.read(left)):
            parts.append(part)
            left = left - len(part) if size >= 0 else 0
        content = b"".join(parts)
        self._count(len(content))
        return content
