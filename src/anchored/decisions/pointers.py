"""`.dvc` files as plain values.

Format: https://dvc.org/doc/user-guide/project-structure/dvc-files. Writing one, which has to keep
the user's own comments and fields, is for the adapter.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

from anchored.decisions.decoding import Unreadable, yaml_value
from anchored.errors import BadInput, NotReady
from anchored.records import Pointer

LEGACY_HASH = "md5-dos2unix"


def pointer_path(path: str) -> str:
    """The `.dvc` file that DVC gives an output, beside it."""
    return f"{path}.dvc"


def parse_pointer(text: bytes | str, file: str) -> tuple[Pointer, ...]:
    """The outputs that a `.dvc` file names, with paths from the repo's root.

    Raises `NotReady` for what is no `.dvc` file, and for paths that leave the repo.
    """
    try:
        document = yaml_value(text)
    except Unreadable as error:
        raise NotReady(f"{file} is not a valid .dvc file: {error.why}") from error
    outs = document.get("outs") if isinstance(document, dict) else None
    if not isinstance(outs, list):
        raise NotReady(f"{file} is not a valid .dvc file: it names no outputs")
    folder = posixpath.join(posixpath.dirname(file), _string(document, "wdir", file) or ".")
    return tuple(_parse_output(out, folder, file) for out in outs)


def readable_pointers(text: bytes | str, file: str) -> tuple[Pointer, ...]:
    """The outputs with a hash that a file of history names; one that cannot be read names none."""
    return read_pointers(text, file)[0]


def read_pointers(text: bytes | str, file: str) -> tuple[tuple[Pointer, ...], str]:
    """The outputs with a hash that a file of history names, and why it cannot be read, if so."""
    try:
        return tuple(pointer for pointer in parse_pointer(text, file) if pointer.md5), ""
    except NotReady as error:
        return (), error.message


def _parse_output(out: Any, folder: str, file: str) -> Pointer:
    if not isinstance(out, dict) or not isinstance(out.get("path"), str):
        raise NotReady(f"{file} is not a valid .dvc file: an output has no path")
    path = posixpath.normpath(posixpath.join(folder, out["path"]))
    if posixpath.isabs(path) or path.split("/", 1)[0] == "..":
        raise NotReady(f"{file} names {out['path']!r}, which leaves the repository")
    return Pointer(
        path=path,
        md5=_string(out, "md5", file),
        size=_number(out, "size", file) or 0,
        nfiles=_number(out, "nfiles", file) or 1,
        hash_name=_string(out, "hash", file) or LEGACY_HASH,
    )


def _string(mapping: dict[str, Any], key: str, file: str) -> str:
    value = mapping.get(key, "")
    if not isinstance(value, str):
        raise NotReady(f"{file} is not a valid .dvc file: {key} is no string")
    return value


def _number(mapping: dict[str, Any], key: str, file: str) -> int:
    digits = _string(mapping, key, file)
    if not re.fullmatch(r"[0-9]{0,18}", digits):
        raise NotReady(f"{file} is not a valid .dvc file: {key} is no number")
    return int(digits or 0)


def owned_elsewhere(path: str, where: str, stage: str, *, is_pipeline: bool) -> BadInput:
    """The error for a path whose content another `.dvc` file or a pipeline has in its care."""
    if is_pipeline:
        return BadInput(
            path,
            f"{where} is the output of a stage in {stage}; Anchored does not version those yet",
            hint="take it out of the pipeline, or version another path",
        )
    return BadInput(path, f"{where} is already versioned by {stage}")
