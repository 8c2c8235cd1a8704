"""The user's files as they are now: what Git tracks, what it ignores, and what is changed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from anchored.adapters.git.command import Git
from anchored.adapters.git.place import Place
from anchored.errors import NotReady


class WorkingTree:
    """Reads the working tree and its index; changes the index by `untrack` alone."""

    def __init__(self, git: Git, place: Place) -> None:
        self._git, self._place = git, place

    def changed_files(self) -> tuple[str, ...]:
        """Tracked files that differ from HEAD in index or working tree, from the repo's root."""
        out = self._git("--no-optional-locks", "status", "--porcelain", "-z",
                        "--untracked-files=no", "--no-renames")  # fmt: skip
        return tuple(sorted(entry[3:] for entry in out.split("\0") if entry))

    def tracked_under(self, path: str) -> tuple[str, ...]:
        """Files in Git's index at or below a path."""
        return _names(self._git("ls-files", "-z", "--", f":(literal,top){path}"))

    def untracked_files(self) -> tuple[str, ...]:
        """Files that Git neither tracks nor ignores."""
        return _names(self._git("ls-files", "-z", "--others", "--exclude-standard"))

    def untrack(self, paths: Sequence[str]) -> None:
        """Takes files out of Git's index; the files stay."""
        self._git("rm", "--quiet", "--cached", "--", *(f":(literal,top){path}" for path in paths))

    def ignored_from(self, path: str, rules: Mapping[str, bytes] | None) -> tuple[str, str] | None:
        """For an ignored path: its topmost ignored ancestor, and the `.gitignore` that says so.

        With `rules`, those are the `.gitignore`s, by path, and not the files of the working tree.
        """
        if rules is None:
            return self._ignored_from(path, str(self._place.root))
        with tempfile.TemporaryDirectory(prefix="anchored-ignores-") as tree:
            Path(tree, path).parent.mkdir(parents=True, exist_ok=True)
            for file, text in rules.items():
                Path(tree, file).write_bytes(text)
            return self._ignored_from(path, tree)

    def _ignored_from(self, path: str, tree: str) -> tuple[str, str] | None:
        parts = path.split("/")
        ancestors = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        folders = [f"{a}/" for a in ancestors[:-1]] + [path]
        # Exit status 1 says that nothing is ignored, and `-n` makes something be said of all.
        out = self._git(f"--git-dir={self._place.git_dir}", "--work-tree=.", "-C", tree,
                        "check-ignore", "--no-index", "--stdin", "-v", "-n", "-z",
                        given="\0".join([*folders, ""]).encode(), check=False)  # fmt: skip
        fields = out.split("\0")
        if len(fields) < 4 * len(folders):
            raise NotReady(f"Git does not say whether {path} is ignored: {out}")
        for source, _, pattern, name in zip(*[iter(fields)] * 4, strict=False):
            if pattern and not pattern.startswith("!"):
                inside = not os.path.isabs(source) and not source.startswith(".git/")
                return name.rstrip("/"), source if inside and source else ""
        return None


def _names(out: str) -> tuple[str, ...]:
    return tuple(name for name in out.split("\0") if name)
