"""What a branch would be once a commit is brought into it: decided by Git's history alone."""

from __future__ import annotations

from collections.abc import Callable

from anchored.adapters.git.command import Git
from anchored.ports import Advance, BranchOutcome

Merge = Callable[[str, list[str]], str]


class BranchPlan:
    """Where `commit`, made on `base`, may go: forward, or by a merge that is clean, or nowhere.

    `merge` makes a commit of a tree and its parents.
    """

    def __init__(self, git: Git, *, base: str, commit: str, merge: Merge) -> None:
        self._git, self._merge = git, merge
        self._base, self._commit = base, commit

    def onto(self, branch: str, tip: str | None) -> BranchOutcome:
        """What the branch, which is at `tip`, would become; at `tip` it has the commit already.

        Moves nothing. `tip` is None where there is no such branch.
        """
        if tip is None:
            reason = f"branch {branch} is gone" if branch else "HEAD was detached"
            return BranchOutcome(Advance.LEFT, reason=reason)
        if self._is_ancestor(self._commit, tip):
            return BranchOutcome(Advance.FORWARDED, commit=tip)
        if not self._is_ancestor(self._base, tip):
            # A merge would bring back what the user has taken out of the branch.
            return BranchOutcome(Advance.LEFT, reason=f"{branch} was moved back meanwhile")
        if self._is_ancestor(tip, self._commit):
            return BranchOutcome(Advance.FORWARDED, commit=self._commit)
        return self._merged(branch, tip)

    def _merged(self, branch: str, tip: str) -> BranchOutcome:
        tree, conflict = self._git.tried("merge-tree", "--write-tree", tip, self._commit)
        if conflict is not None:
            reason = f"{branch} moved meanwhile and a merge is not clean"
            return BranchOutcome(Advance.LEFT, reason=reason)
        merged = self._merge(tree.split()[0], [tip, self._commit])
        return BranchOutcome(Advance.MERGED, commit=merged)

    def _is_ancestor(self, one: str, other: str) -> bool:
        base = self._git("merge-base", one, other, check=False).strip()
        return base == self._git("rev-parse", one).strip()
