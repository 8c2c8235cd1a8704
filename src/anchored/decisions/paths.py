"""Paths of inputs, models and artifacts: inside the repo, and apart from each other."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from itertools import combinations

LONGEST, LONGEST_NAME = 2_000, 255  # bytes; what is above the repository counts as well


def is_too_long(path: str) -> bool:
    """Whether file systems do not take a path, or one of the names in it."""
    whole = path.encode(errors="surrogateescape")
    return len(whole) > LONGEST or any(len(name) > LONGEST_NAME for name in whole.split(b"/"))


def normalized(path: str) -> str:
    """The path from the repo's root, in POSIX form, without `.`, `..` and a trailing slash.

    Raises `ValueError`, with words for the user, for a path that is empty, absolute or leaves
    the repo, or that is in `.git` or `.dvc`.
    """
    if not path.strip():
        raise ValueError("must not be empty")
    if any(ord(character) < 32 or ord(character) == 127 for character in path):
        raise ValueError("must not hold control characters")
    if any("\ud800" <= character <= "\udfff" for character in path):
        raise ValueError("must be valid Unicode")
    if is_too_long(path):
        raise ValueError("is longer than file systems take")
    if posixpath.isabs(path) or path.startswith("~"):
        raise ValueError(f"{path!r} is outside the repository; name it from the repository's root")
    clean = posixpath.normpath(path)
    first = clean.split("/", 1)[0]
    if first == "..":
        raise ValueError(f"{path!r} is outside the repository")
    if clean == ".":
        raise ValueError("must be a file or folder inside the repository, not all of it")
    if first in {".git", ".dvc"}:
        raise ValueError(f"{path!r} is in {first}, which belongs to {first[1:]} itself")
    return clean


def overlapping(paths: Sequence[str]) -> tuple[str, str] | None:
    """The first two of these normalized paths of which one is in, or is, the other."""
    for one, other in combinations(paths, 2):
        short, long = sorted((one, other), key=len)
        if long == short or long.startswith(short + "/"):
            return one, other
    return None
