"""`.dvc` files as plain values, read with a plain YAML parser.

Format: https://dvc.org/doc/user-guide/project-structure/dvc-files. Writing one, which has to keep
the user's own comments and fields, is DVC's business and stands in the adapter.
"""

from __future__ import annotations

import posixpath
from typing import Any

import yaml

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
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise NotReady(f"{file} is not a valid .dvc file: {error}") from error
    outs = document.get("outs") if isinstance(document, dict) else None
    if not isinstance(outs, list):
        raise NotReady(f"{file} is not a valid .dvc file: it names no outputs")
    folder = posixpath.join(posixpath.dirname(file), str(document.get("wdir") or "."))
    return tuple(_parse_output(out, folder, file) for out in outs)


def readable_pointers(text: bytes | str, file: str) -> tuple[Pointer, ...]:
    """The outputs with a hash that a file of history names; one that cannot be read names none."""
    try:
        return tuple(pointer for pointer in parse_pointer(text, file) if pointer.md5)
    except NotReady:
        return ()


def _parse_output(out: Any, folder: str, file: str) -> Pointer:
    if not isinstance(out, dict) or not isinstance(out.get("path"), str):
        raise NotReady(f"{file} is not a valid .dvc file: an output has no path")
    path = posixpath.normpath(posixpath.join(folder, out["path"]))
    if posixpath.isabs(path) or path.split("/", 1)[0] == "..":
        raise NotReady(f"{file} names {out['path']!r}, which leaves the repository")
    size, nfiles = out.get("size") or 0, out.get("nfiles") or 1
    if not isinstance(size, int) or not isinstance(nfiles, int):
        raise NotReady(f"{file} is not a valid .dvc file: a size is no number")
    return Pointer(
        path=path,
        md5=str(out.get("md5") or ""),
        size=size,
        nfiles=nfiles,
        hash_name=str(out.get("hash") or LEGACY_HASH),
    )


def owned_elsewhere(path: str, where: str, stage: str, *, is_pipeline: bool) -> BadInput:
    """The error for a path whose content another `.dvc` file or a pipeline has in its care."""
    if is_pipeline:
        return BadInput(
            path,
            f"{where} is the output of a stage in {stage}; Anchored does not version those yet",
            hint="take it out of the pipeline, or version another path",
        )
    return BadInput(path, f"{where} is already versioned by {stage}")
