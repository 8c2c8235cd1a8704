"""DVC: content by hash, in a cache of this machine and in a remote."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from anchored.decisions.audit_facts import Holdings, ObjectName
from anchored.ports.report import SILENT, Report
from anchored.records import Pointer, Stamp


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """What a push did: objects that the remote now holds, and those that had to be sent."""

    objects: int
    sent: int


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file that was handed out, by its path in the folder given; `size` is in bytes."""

    path: str
    md5: str
    size: int


class DataStore(Protocol):
    """DVC: content by hash, in a cache of this machine and in the repo's default remote."""

    def check_ready(self) -> None:
        """Raises `NotReady` where DVC or its default remote is not set up."""

    def remote_settings(self, committed: bytes | None) -> dict[str, Any]:
        """The default remote's `name` and options, but for secrets, paths made absolute.

        `committed` is `.dvc/config` as a commit has it. Raises `NotReady` without a remote.
        """

    def probe_remote(self) -> None:
        """Writes to the remote and takes it away again.

        Raises `NotReady` where the remote refuses, `RemoteFailed` where it does not answer.
        """

    def check_owner(self, path: str) -> None:
        """Raises `BadInput` where a `dvc.yaml` stage or another pointer owns the path."""

    def check_link(self, path: str) -> None:
        """Raises `BadInput` where the path is a link that leads neither into repo nor cache."""

    def check_content(self, path: str) -> None:
        """Raises `BadInput` where what stands at the path cannot be versioned.

        That is an empty folder, and one that holds links out of the repo or no regular files.
        """

    def add(self, file: Path, path: str, report: Report, *, move: bool = False) -> Pointer:
        """Hashes a file or folder into the cache, as the content of repo path `path`.

        With `move`, the file may be linked into the cache instead of copied.
        """

    def render_pointer(self, previous: bytes | None, pointer: Pointer) -> bytes:
        """The `.dvc` file for a pointer, keeping what else the user wrote in the previous one."""

    def push(self, pointers: Sequence[Pointer], report: Report) -> PushOutcome:
        """Sends what the remote lacks, then sees every object there by asking the remote."""

    def fetch(self, pointers: Sequence[Pointer], report: Report) -> int:
        """Makes the cache hold every object, whole; returns how many had to be fetched."""

    def checkout(self, pointers: Sequence[Pointer], into: Path, report: Report) -> dict[str, Stamp]:
        """Links the pointers' content into a tree; returns the stamp of every file."""

    def export(
        self, pointers: Sequence[Pointer], into: Path, report: Report
    ) -> tuple[ExportedFile, ...]:
        """The pointers' content at their paths below a folder, every byte hashed before.

        Files are the user's own, to change without harm to the cache, which need not hold them. One
        that is there already is left. Raises `WrongUse`, before anything is written, where other
        content is in the way; `BadInput` for paths that lead out of the folder; `ObjectLost`.
        """

    def changed(
        self, pointers: Sequence[Pointer], tree: Path, stamps: Mapping[str, Stamp]
    ) -> tuple[str, ...]:
        """Files under the pointers' paths that no longer have the content they were given."""

    def with_hash_kind(self, pointers: Sequence[Pointer]) -> tuple[Pointer, ...]:
        """The pointers with the kind of hash that cache or remote hold them under."""

    def files_of(self, pointer: Pointer, report: Report) -> dict[str, str]:
        """Object by path, from the repo's root, of every file of a pointer.

        Raises `RemoteFailed` where neither cache nor remote has a folder's listing.
        """

    def sizes(self, hash_name: str, oids: Sequence[str], *, ask: bool) -> dict[str, int]:
        """Sizes in bytes of those objects that the cache has or, if it may be asked, the remote."""

    def hashed_content(
        self, file: Path, path: str, hash_name: str, report: Report = SILENT
    ) -> Pointer:
        """The pointer that a file or folder has as the content of a path; caches nothing."""

    def renew(self, pointer: Pointer, old: str, scratch: Path, report: Report) -> bool:
        """Puts a pointer's content into the user's folder, as `dvc checkout` does; else False.

        It replaces nothing but content whose MD5 is `old`, if that is given. Raises `BadInput`.
        """

    def repair(self, pointers: Sequence[Pointer], report: Report) -> tuple[str, ...]:
        """Hashes the pointers' cache objects, drops corrupt ones and fetches them again."""

    def survey(self, pointers: Collection[Pointer]) -> Holdings:
        """What the remote holds of all objects that the pointers need, by its own answer.

        Changes nothing, in the cache neither. Raises `RemoteFailed`.
        """

    def find_corrupt(
        self, objects: Mapping[ObjectName, int], report: Report
    ) -> dict[ObjectName, str]:
        """Hashes objects in the remote; returns those that are not what their names say.

        `objects` have their sizes in bytes. What is returned is what an object hashes to, and
        empty for one that is not there. Raises `RemoteFailed`.
        """
