"""The listing of a folder: the object that a `.dir` hash names, as DVC writes it.

Format: a JSON array with an object for each file, `md5` and `relpath` in it (DVC 3.67.1).
"""

from __future__ import annotations

from anchored.decisions.decoding import MEBIBYTE, Unreadable, json_value

LONGEST = 512 * MEBIBYTE  # some five million files


def parse_listing(text: bytes) -> dict[str, str]:
    """Object by path, from the folder itself. Raises `Unreadable` for what is no listing.

    Whether paths stay inside the folder, and hashes are some, is for who acts on them to judge.
    """
    entries = json_value(text, longest=LONGEST)
    if not isinstance(entries, list):
        raise Unreadable("not a list of files")
    files: dict[str, str] = {}
    for entry in entries:
        path, md5 = (entry.get("relpath"), entry.get("md5")) if isinstance(entry, dict) else (0, 0)
        if not isinstance(path, str) or not isinstance(md5, str):
            raise Unreadable("an entry names no file and its hash")
        if files.setdefault(path, md5) != md5:
            raise Unreadable("a file is named twice")
    return files
