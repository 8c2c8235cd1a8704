"""Worktrees: checkouts of one commit each, for training and for nobody else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from anchored.adapters.git.command import Git, GitCommandError, said
from anchored.adapters.git.remote import LFS_POINTER
from anchored.adapters.git.submodules import add_submodules
from anchored.errors import NotReady
from anchored.system.disk_room import disk_full

NEVER_SPARSE = ("-c", "core.sparseCheckout=false", "-c", "index.sparse=false")
LINE_ENDS = {"core.autocrlf": "false", "core.eol": "native"}  # with Git's own defaults


class Worktrees:
    """The worktrees of the repository at `root`, written by the settings of `checkout`, if any."""

    def __init__(self, git: Git, root: Path, checkout: Mapping[str, str] | None) -> None:
        self._git, self._root, self._fixed = git, root, checkout

    def checkout_settings(self) -> dict[str, str]:
        """Git's settings of today, by key, that decide which bytes are written for a text file."""
        return {
            key: self._git("config", key, check=False).strip() or default
            for key, default in LINE_ENDS.items()
        }

    def add(self, path: Path, commit: str, timeouts: Mapping[str, str]) -> None:
        """Checks a commit out, with submodules and LFS files. Raises `NotReady`, `DiskFull`.

        `timeouts` are variables for commands that talk to a remote.
        """
        self.remove(path)
        try:
            # Git copies the user's sparse checkout into a new worktree's own configuration.
            self._git("worktree", "add", "--no-checkout", "--detach", "--force", str(path), commit)
            line_ends = self._fixed or self.checkout_settings()
            fixed = [arg for item in line_ends.items() for arg in ("-c", "=".join(item))]
            self._git(*NEVER_SPARSE, *fixed, "-C", str(path), "reset", "--hard", "--quiet", commit)
            add_submodules(self._git, path, self._root, timeouts)
        except GitCommandError as error:
            self.remove(path)
            raise disk_full(error) or NotReady(
                f"the source commit cannot be checked out: {said(error)}"
            ) from error
        self._refuse_absent_lfs(path)

    def _refuse_absent_lfs(self, tree: Path) -> None:
        """LFS files whose content is not here would be trained on as pointers: never silently."""
        attributes = list(tree.rglob(".gitattributes"))
        if not any("filter=lfs" in file.read_text(errors="replace") for file in attributes):
            return
        out = self._git("-C", str(tree), "ls-files", "-z", ":(attr:filter=lfs)")
        for name in filter(None, out.split("\0")):
            with (tree / name).open("rb") as stream:
                if stream.read(len(LFS_POINTER)) == LFS_POINTER.encode():
                    self.remove(tree)
                    raise NotReady(
                        f"{name} is kept in Git LFS and its content is not here",
                        hint="run `git lfs install` and `git lfs pull`",
                    )

    def remove(self, path: Path) -> None:
        """Removes a worktree, whatever is in it. Nothing there is no error."""
        if path.exists():
            _make_removable(path)
            shutil.rmtree(path, ignore_errors=True)
        # By name, not by `worktree prune`: that would also forget the user's own on other disks.
        self._git("worktree", "remove", "--force", "--force", str(path), check=False)


def _make_removable(path: Path) -> None:
    """Folders that training made read-only would keep their files from being removed."""
    for folder, names, _ in os.walk(path):
        for name in names:
            inner = os.path.join(folder, name)
            if not os.path.islink(inner):
                with suppress(OSError):
                    os.chmod(inner, 0o700)
