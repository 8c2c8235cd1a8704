"""Where a repository and its working tree are: found by Git itself, as for any command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from anchored.adapters.git.command import Git
from anchored.errors import NotReady

# A folder of data may be a disk of its own.
ACROSS_DISKS = {"GIT_DISCOVERY_ACROSS_FILESYSTEM": "1"}


class Place(NamedTuple):
    """The root of a working tree, and the folder in which Git keeps its HEAD and index."""

    root: Path
    git_dir: Path


def place_at(root: Path) -> Place:
    """The repository whose working tree starts at a folder. Raises `NotReady` for none."""
    root = Path(os.path.abspath(root))
    inside, git_dir, above = _asked(root)
    if not inside or above:
        raise _absent(root)
    return Place(root, git_dir)


def top_level(start: Path) -> Path:
    """The root of the working tree around a folder. Raises `NotReady` outside of one."""
    start = Path(os.path.realpath(start))
    start = start.parent if start.is_file() else start
    inside, git_dir, above = _asked(start)
    if inside:
        return Path(os.path.normpath(start / above))
    if start == git_dir or git_dir in start.parents:
        return top_level(git_dir.parent)
    raise _absent(start)


def _asked(folder: Path) -> tuple[bool, Path, str]:
    """Whether a folder is in a working tree, Git's own folder, and the way up to the root."""
    # With -C: GitPython runs a command elsewhere if it cannot enter the folder. The way up comes
    # last because Git says nothing, not even a line end, where there is none.
    questions = ("--is-bare-repository", "--is-inside-work-tree", "--git-dir", "--show-cdup")
    out, refusal = Git(folder).tried("-C", str(folder), "rev-parse", *questions, env=ACROSS_DISKS)
    if refusal is not None:
        raise _refused(folder, refusal)
    bare, inside, git_dir, above = out.split("\n")[: len(questions)]
    if bare == "true":
        raise NotReady(f"{folder} is a bare Git repository, without files to train on")
    return inside == "true", folder / git_dir, above


def _refused(folder: Path, refusal: str) -> NotReady:
    if "not a git repository" in refusal or "cannot change to" in refusal:
        return _absent(folder)
    trust = f"if you trust it: git config --global --add safe.directory '{folder}'"
    return NotReady(
        f"Git refuses this repository: {refusal}", hint=trust if "ownership" in refusal else None
    )


def _absent(folder: Path) -> NotReady:
    return NotReady(f"{folder} is not in a Git repository", hint="run `git init`, or give --repo")
