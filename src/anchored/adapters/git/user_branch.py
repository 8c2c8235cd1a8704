"""The user's branch, brought forward to a run: the only thing of theirs that is ever moved."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from anchored.adapters.git.branch_plan import BranchPlan
from anchored.adapters.git.command import Git
from anchored.ports import Advance, BranchOutcome


class UserBranch:
    """Fast-forwards and clean merges, in the working tree by `git merge --ff-only` alone."""

    def __init__(self, git: Git, root: Path, git_dir: Path) -> None:
        self._git, self._root, self._git_dir = git, root, git_dir

    def advance(self, branch: str, plan: BranchPlan, *, checked_out: bool) -> BranchOutcome:
        """Brings a run into a branch where the plan and Git allow it."""
        tip = self._tip(branch) if branch else None
        planned = plan.onto(branch, tip)
        if tip is None or planned.advance == Advance.LEFT or planned.commit == tip:
            return planned
        refusal = (
            self._forwarded(planned.commit)
            if checked_out
            else self._moved(branch, tip, planned.commit)
        )
        return planned if refusal is None else BranchOutcome(Advance.LEFT, reason=refusal)

    def _tip(self, branch: str) -> str | None:
        out = self._git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}",
                        check=False)  # fmt: skip
        return out.strip() or None

    # --- a branch that is not checked out here --------------------------------------------------

    def _moved(self, branch: str, tip: str, target: str) -> str | None:
        """Moves the ref; returns why it is left, where it is."""
        listing = self._git("worktree", "list", "--porcelain").splitlines()
        if f"branch refs/heads/{branch}" in listing:
            return f"{branch} is open in another worktree"
        if self._is_rebased(branch):
            return f"{branch} is being rebased"
        return self._git.tried("update-ref", f"refs/heads/{branch}", target, tip)[1]

    def _is_rebased(self, branch: str) -> bool:
        """Whether a rebase is under way, which detaches HEAD and wants its branch as it was."""
        for state in ("rebase-merge", "rebase-apply"):
            file = Path(self._git_dir, state, "head-name")
            if file.exists() and file.read_text().strip() == f"refs/heads/{branch}":
                return True
        return False

    # --- the branch that is ---------------------------------------------------------------------

    def _forwarded(self, target: str) -> str | None:
        """Fast-forwards branch and working tree; returns why they are left, where they are."""
        arriving = self._arriving(target)
        if lost := self._lost_to(arriving):
            return f"it would overwrite your {lost}"
        before = self._stage_identical_files(arriving)
        _, refusal = self._git.tried("merge", "--ff-only", "--no-verify-signatures",
                                     "--no-autostash", "--quiet", target)  # fmt: skip
        if refusal is not None:
            self._put_back(before)
        return refusal

    def _arriving(self, target: str) -> dict[str, str]:
        """Blobs, by path, of the regular files that a fast-forward would write."""
        entries = self._git("diff", "--raw", "-z", "--no-abbrev", "--no-renames", "HEAD", target)
        fields = entries.split("\0")
        facts = {path: f.split() for f, path in zip(fields[0::2], fields[1::2], strict=False)}
        return {path: fact[3] for path, fact in facts.items() if fact[1] == "100644"}

    def _lost_to(self, arriving: Mapping[str, str]) -> str | None:
        """A file that Git ignores, and so overwrites without asking, and whose lines would go."""
        if not arriving:
            return None
        held = set(self._git("ls-files", "-z", "--", *arriving).split("\0"))
        for path, blob in arriving.items():
            file = self._root / path
            if path not in held and os.path.lexists(file):
                new = set(self._git("cat-file", "blob", blob).split("\n"))
                if (
                    not file.is_file()
                    or not set(file.read_text("utf-8", "surrogateescape").splitlines()) <= new
                ):
                    return path
        return None

    def _stage_identical_files(self, arriving: Mapping[str, str]) -> dict[str, str]:
        """Lets Git see that files which the fast-forward would write are already there.

        After a `dvc add` by hand the pointer is in the tree, untracked or modified, with just
        the bytes that the new commit holds; Git refuses to overwrite even those. Their index
        entries become what they will be afterwards; returns what they were.
        """
        staged = {}
        for path, blob in arriving.items():
            file = self._root / path
            if file.is_file() and not file.is_symlink():
                here = self._git("hash-object", "--", str(file)).strip()
                if here == blob:
                    staged[path] = blob
        entries = self._git("ls-files", "--stage", "-z", "--", *staged) if staged else ""
        for path, blob in staged.items():
            self._git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
        before = {entry.split("\t", 1)[1]: entry for entry in filter(None, entries.split("\0"))}
        return {path: before.get(path, "") for path in staged}

    def _put_back(self, entries: Mapping[str, str]) -> None:
        """Sets index entries, by path, to what `ls-files --stage` said; empty is none."""
        for path, entry in entries.items():
            if entry:
                mode, blob, _ = entry.split("\t", 1)[0].split()
                self._git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")
            else:
                self._git("update-index", "--force-remove", "--", path)
