"""The listing of a folder: the object that a `.dir` hash names, as DVC writes it.

Format: a JSON array with an object for each file, `md5` and `relpath` in it (DVC 3.67.1).
"""

from __future__ import annotations

from anchored.decisions.decoding import MEBIBYTE, Unreadable, json_value
from anchored.decisions.objects import is_object
from anchored.decisions.paths import LONGEST_NAME, is_too_long
from anchored.display.shown import shown

SHOWN = 80  # characters of what is wrong
LONGEST = 512 * MEBIBYTE  # some five million files


def parse_listing(text: bytes) -> dict[str, str]:
    """Object by path, from the folder itself.

    Raises `Unreadable` for what is no listing, and for one that names paths outside of the folder
    or that no file system takes, or what is no hash.
    """
    entries = json_value(text, longest=LONGEST, unicode=False)
    if not isinstance(entries, list):
        raise Unreadable("not a list of files")
    files: dict[str, str] = {}
    for entry in entries:
        path, md5 = (entry.get("relpath"), entry.get("md5")) if isinstance(entry, dict) else (0, 0)
        if not isinstance(path, str) or not isinstance(md5, str):
            raise Unreadable("an entry names no file and its hash")
        parts = path.split("/")
        if not {"", ".", ".."}.isdisjoint(parts) or "\0" in path:
            raise Unreadable(f"it names {shown(path, SHOWN)!r}, which leaves the folder")
        if not path.isascii() and not _is_name(path):
            raise Unreadable("it names a file by what is neither Unicode nor bytes")
        if len(path) * 4 > LONGEST_NAME and is_too_long(path):
            raise Unreadable(f"it names a path that no file system takes: {shown(path, SHOWN)!r}")
        if not is_object(md5) or md5.endswith(".dir"):
            raise Unreadable(f"{shown(md5, SHOWN)!r} is no name of an object")
        if files.setdefault(path, md5) != md5:
            raise Unreadable("a file is named twice")
    return files


def _is_name(path: str) -> bool:
    """Whether bytes, as file systems have them, can be what a name was read from."""
    try:
        return bool(path.encode(errors="surrogateescape"))
    except UnicodeEncodeError:
        return False
