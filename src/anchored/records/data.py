"""What DVC says: pointers, and files as they were given to training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from anchored.records.decoding import checked


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file as it was given to training: enough to see that nobody wrote to it since."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class Pointer:
    """What a `.dvc` file says of one output: a path from the repo's root and its content.

    `md5` ends in `.dir` for a folder; `size` is in bytes, over all files of a folder.
    `hash_name` is DVC's own: `md5`, or `md5-dos2unix` for pointers written by DVC 2.
    """

    path: str
    md5: str
    size: int = 0
    nfiles: int = 1
    hash_name: str = "md5"

    @property
    def is_folder(self) -> bool:
        return self.md5.endswith(".dir")

    def to_json(self) -> dict[str, Any]:
        value = {"path": self.path, "md5": self.md5, "size": self.size, "nfiles": self.nfiles}
        return value if self.hash_name == "md5" else {**value, "hash": self.hash_name}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            path=checked(value["path"], str),
            md5=checked(value["md5"], str),
            size=checked(value.get("size") or 0, int),
            nfiles=checked(value.get("nfiles") or 1, int),
            hash_name=checked(value.get("hash") or "md5", str),
        )
