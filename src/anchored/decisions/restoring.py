"""What is restored and where: a folder for each run, and paths that stay inside of it."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from anchored.decisions.objects import is_object
from anchored.decisions.paths import normalized
from anchored.errors import BadInput
from anchored.records import Pointer

FOLDER = "restored"  # where runs are restored to, from the repo's root
LONGEST = 200  # bytes of a file's name that are kept; file systems take 255
PLAIN = frozenset(" -_.,+=~")


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file to export: its path, and the object that holds its bytes."""

    path: str
    oid: str
    hash_name: str


def folder_name(name: str, run_id: str, *, is_alone: bool) -> str:
    """The folder that a run of this name is restored to; no two runs have the same.

    A name that is a plain file name is kept; else what is not plain becomes `%XX`, as in a URL.
    With `is_alone`, no other run has the name.
    """
    if not name:
        return run_id
    own = "".join(_plain(character) for character in name)
    if own[0] in ". -":
        own = f"%{ord(own[0]):02X}{own[1:]}"
    if own[-1] in ". ":
        own = f"{own[:-1]}%{ord(own[-1]):02X}"
    if len(own.encode()) > LONGEST:
        digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:12]
        own = own.encode()[: LONGEST - 20].decode(errors="ignore") + f"@@{digest}"
    return own if is_alone else f"{own}@{run_id[:8]}"


def _plain(character: str) -> str:
    if character.isalnum() or character in PLAIN:
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode())


def wanted_files(
    listed: Iterable[tuple[Pointer, Mapping[str, str]]],
) -> tuple[WantedFile, ...]:
    """The files of pointers, each with its objects by path from the repo's root.

    Raises `BadInput` for paths that leave the repo or their folder, for what is no name of an
    object, and for paths of which one would have to be in two states, or file and folder at once.
    """
    wanted: dict[str, WantedFile] = {}
    for pointer, objects in listed:
        _refuse_hostile(pointer)
        for path, oid in objects.items():
            _refuse_leaving(pointer, path)
            if not isinstance(oid, str) or not is_object(oid) or oid.endswith(".dir"):
                raise BadInput(path, f"{oid!r} is no name of an object")
            file = WantedFile(path, oid, pointer.hash_name)
            if wanted.setdefault(path, file) != file:
                raise BadInput(path, f"is named twice: as {wanted[path].oid} and as {oid}")
    for folder in folders_of(wanted):
        if folder in wanted:
            raise BadInput(folder, "is named both as a file and as a folder")
    return tuple(wanted.values())


def folders_of(paths: Iterable[str]) -> list[str]:
    """Every folder that these paths are in, from the outer to the inner ones."""
    known: set[str] = set()
    for path in paths:
        for folder in _above(path):
            if folder in known:
                break
            known.add(folder)
    return sorted(known)


def _above(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path


def _refuse_hostile(pointer: Pointer) -> None:
    try:
        is_clean = normalized(pointer.path) == pointer.path
    except ValueError as error:
        raise BadInput(pointer.path, str(error)) from error
    if not is_clean:
        raise BadInput(pointer.path, "is no path from the repository's root")
    if not is_object(pointer.md5):
        raise BadInput(pointer.path, f"{pointer.md5!r} is no name of an object")


def _refuse_leaving(pointer: Pointer, path: str) -> None:
    if not pointer.is_folder:
        return
    below = path.removeprefix(f"{pointer.path}/")
    if below == path or not {"", ".", ".."}.isdisjoint(below.split("/")) or "\0" in below:
        raise BadInput(pointer.path, f"its listing names {below!r}, which leaves the folder")
