"""Commits made with plumbing on an index of their own: no hook runs, nothing is signed.

An unattended run cannot type a passphrase. No ref moves: bytes come first.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from anchored.adapters.git.command import Git
from anchored.system.disk_room import on_disk

FALLBACK_NAME, FALLBACK_EMAIL = "Anchored", "anchored@localhost"


class Commits:
    """Makes commits that depend on their arguments alone; the same give the same SHA."""

    def __init__(self, git: Git) -> None:
        self._git = git

    @on_disk()
    def with_files(
        self,
        parent: str,
        files: Mapping[str, bytes],
        *,
        message: str,
        when: datetime,
        always: bool,
    ) -> str:
        """A commit on `parent` with these files written; the parent if that changes nothing.

        With `always` it is made for its message's sake as well.
        """
        with _own_index() as env:
            self._git("read-tree", parent, env=env)
            for path, content in files.items():
                blob = self._git("hash-object", "-w", "--stdin", given=content).strip()
                entry = f"100644,{blob},{path}"
                self._git("update-index", "--add", "--cacheinfo", entry, env=env)
            tree = self._git("write-tree", env=env).strip()
        if not always and tree == self._tree_of(parent):
            return parent
        return self.of_tree(tree, [parent], message=message, when=when)

    @on_disk()
    def of_tracked_files(self, head: str, index: Path, *, message: str, when: datetime) -> str:
        """A commit on HEAD of all tracked files as they are in the working tree.

        `index` is the user's: a copy of it knows files that were added but not committed.
        """
        with _own_index() as env:
            if index.exists():
                shutil.copyfile(index, env["GIT_INDEX_FILE"])
            self._git("add", "--update", "--", ":/", env=env)
            tree = self._git("write-tree", env=env).strip()
        if tree == self._tree_of(head):
            return head
        return self.of_tree(tree, [head], message=message, when=when)

    def of_tree(self, tree: str, parents: Sequence[str], *, message: str, when: datetime) -> str:
        """A commit of a tree, by its id."""
        args = [arg for parent in parents for arg in ("-p", parent)]
        stamp = f"{int(when.timestamp())} +0000"
        env = self._identity | {"GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp}
        # From standard input: a single argument has its limit, 128 KB on Linux.
        return self._git(
            "-c", "i18n.commitEncoding=UTF-8", "commit-tree", "--no-gpg-sign", tree, *args,
            "-F", "-", given=message.encode(), env=env,
        ).strip()  # fmt: skip

    def time_of(self, commit: str) -> datetime:
        """When a commit was made."""
        shown = self._git("log", "-1", "--no-show-signature", "--format=%ct", commit, "--")
        return datetime.fromtimestamp(int(shown), UTC)

    def _tree_of(self, commit: str) -> str:
        return self._git("rev-parse", "--verify", f"{commit}^{{tree}}").strip()

    @cached_property
    def _identity(self) -> dict[str, str]:
        """Who commits: the user as Git knows them, or a fallback where Git would refuse."""
        identity: dict[str, str] = {}
        for who in ("GIT_AUTHOR", "GIT_COMMITTER"):
            _, refusal = self._git.tried("-c", "user.useConfigOnly=true", "var", f"{who}_IDENT")
            if refusal is not None:
                identity |= {f"{who}_NAME": FALLBACK_NAME, f"{who}_EMAIL": FALLBACK_EMAIL}
        return identity


@contextmanager
def _own_index() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="anchored-index-") as folder:
        yield {"GIT_INDEX_FILE": os.path.join(folder, "index")}
