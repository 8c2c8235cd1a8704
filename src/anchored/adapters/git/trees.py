"""Files of many commits at once: each distinct folder of their history is read once.

Format of a tree: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects, `MODE NAME NUL ID` for
each entry, the id in 20 bytes, or 32 where the repository hashes by SHA-256.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from anchored.adapters.git.command import Git
from anchored.adapters.git.objects import objects

FOLDER, LINK, MODULE = "40000", "120000", "160000"

Wanted = Callable[[str], bool]


class Entry(NamedTuple):
    """What a folder holds under a name."""

    name: str
    mode: str
    sha: str


def files_at(git: Git, commits: Collection[str], wanted: Wanted) -> dict[str, dict[str, bytes]]:
    """By commit, the wanted files with their contents. A commit that is not here has none."""
    roots = zip(commits, objects(git, [f"{c}^{{tree}}" for c in commits], "tree"), strict=True)
    trees = {
        commit: parsed(tree, 32 if len(commit) == 64 else 20) for commit, tree in roots if tree
    }
    folders = _folders(git, trees.values())
    found: dict[str, dict[str, str]] = {}
    files = {commit: _files(tree, "", folders, found, wanted) for commit, tree in trees.items()}
    blobs = sorted({sha for entries in files.values() for sha in entries.values()})
    contents = dict(zip(blobs, objects(git, blobs, "blob"), strict=True))
    return {
        commit: {
            path: content
            for path, sha in files.get(commit, {}).items()
            if (content := contents[sha]) is not None
        }
        for commit in commits
    }


def parsed(tree: bytes, size: int) -> tuple[Entry, ...]:
    """The entries of a tree, whose ids are of this size in bytes."""
    entries, place = [], 0
    while place < len(tree):
        end = tree.index(b"\0", place)
        mode, name = tree[place:end].split(b" ", 1)
        place = end + 1 + size
        entries.append(Entry(name.decode(errors="surrogateescape"), mode.decode(),
                             tree[end + 1 : place].hex()))  # fmt: skip
    return tuple(entries)


def _folders(git: Git, roots: Iterable[tuple[Entry, ...]]) -> dict[str, tuple[Entry, ...]]:
    """Every folder below these, by its id; one round for each level."""
    known: dict[str, tuple[Entry, ...]] = {}
    level = list(roots)
    while level:
        below = {e.sha for entries in level for e in entries if e.mode == FOLDER} - known.keys()
        names = sorted(below)
        read = zip(names, objects(git, names, "tree"), strict=True)
        new = {sha: parsed(tree or b"", len(sha) // 2) for sha, tree in read}
        known |= new
        level = list(new.values())
    return known


def _files(
    tree: tuple[Entry, ...],
    folder: str,
    folders: Mapping[str, tuple[Entry, ...]],
    found: dict[str, dict[str, str]],
    wanted: Wanted,
) -> dict[str, str]:
    """Id by path of the wanted files of a folder; `found` keeps what was found in it elsewhere."""
    files: dict[str, str] = {}
    for name, mode, sha in tree:
        path = posixpath.join(folder, name)
        if mode == FOLDER:
            key = f"{sha} {path}"
            if key not in found:
                found[key] = _files(folders[sha], path, folders, found, wanted)
            files |= found[key]
        elif mode not in {LINK, MODULE} and wanted(path):
            files[path] = sha
    return files
