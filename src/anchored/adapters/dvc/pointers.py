"""`.dvc` files as DVC writes them: the user's own comments and fields are kept."""

from __future__ import annotations

import posixpath
from typing import Any

from dvc.utils.serialize import parse_yaml_for_update
from dvc.utils.serialize._yaml import dumps_yaml

from anchored.decisions.pointers import parse_pointer, pointer_path
from anchored.records import Pointer

FACTS = ("md5", "size", "nfiles", "hash", "isexec")


def rendered_pointer(previous: bytes | None, pointer: Pointer) -> bytes:
    """The `.dvc` file for a pointer; `previous` is what is there, None for nothing.

    Raises `NotReady` where that cannot be read.
    """
    facts: dict[str, Any] = {"md5": pointer.md5, "size": pointer.size}
    if pointer.is_folder:
        facts["nfiles"] = pointer.nfiles
    facts["hash"] = "md5"
    name = posixpath.basename(pointer.path)
    if previous is None:
        return bytes(dumps_yaml({"outs": [{**facts, "path": name}]}), "utf-8")
    file = pointer_path(pointer.path)
    parse_pointer(previous, file)  # within bounds, which DVC's own parser does not know
    document: Any = parse_yaml_for_update(previous.decode(), file)
    outs = document["outs"]
    out: Any = next((o for o in outs if posixpath.basename(str(o["path"])) == name), outs[0])
    if all(out.get(key) == value for key, value in facts.items()):
        return previous
    for key in FACTS:
        if key not in facts:
            out.pop(key, None)
    for key, value in facts.items():
        if key in out:
            out[key] = value
        else:
            out.insert(max(len(out) - 1, 0), key, value)
    return bytes(dumps_yaml(document), "utf-8")
