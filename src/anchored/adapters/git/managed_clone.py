"""A clone that Anchored keeps for a training repo given by its URL: nobody works in it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from anchored.adapters.git.remote_branch import RemoteBranch
from anchored.adapters.git.repo import GitRepo
from anchored.errors import NotReady
from anchored.ports import BranchOutcome
from anchored.system import file_lock
from anchored.system.disk_room import disk_full

MARKED = "anchored.managed=true"
# What it keeps is for the worktrees that train.
WITHOUT_LFS = {"GIT_LFS_SKIP_SMUDGE": "1"}


def code_at(
    root: Path,
    remote: Mapping[str, str] | None = None,
    checkout: Mapping[str, str] | None = None,
) -> GitRepo:
    """The Git repository at a root: the user's own, or a clone that Anchored keeps.

    `remote` and `checkout` are as for `GitRepo`.
    """
    code = GitRepo(root, remote, checkout)
    return ManagedClone(root, remote, checkout) if code.managed else code


class ManagedClone(GitRepo):
    """A clone whose working tree is where a branch of its remote is.

    The branch that a run is brought into is the one on the remote. What counts of the working tree
    is HEAD: the files may just be being brought to the next commit, by another process.
    """

    def read_now(self, path: str) -> bytes | None:
        return self.read(self.head(), path)

    def changed_files(self) -> tuple[str, ...]:
        return ()

    def advance(self, branch: str, *, base: str, commit: str, message: str) -> BranchOutcome:
        self._remote.deepen()
        plan = self._plan(base=base, commit=commit, message=message)
        outcome = RemoteBranch(self._remote).advance(branch, plan)
        if outcome.commit and self.branch() == branch:
            # Whoever has waited for this run goes on from it. What is refused, `follow` repairs.
            with locked(self.root.parent):
                self._git.tried("merge", "--quiet", "--ff-only", "--no-verify-signatures",
                                outcome.commit, env=WITHOUT_LFS)  # fmt: skip
        return outcome

    def use(self, url: str) -> None:
        """Takes a URL for the remote from now on: another login, perhaps."""
        if self._git("config", "remote.origin.url").strip() != url:
            self._git("config", "remote.origin.url", url)

    def follow(self, branch: str) -> None:
        """Brings branch and files to where the remote's are, whatever is in their way.

        `branch` empty: the default one. Raises `GitRemoteFailed`; `NotReady` where the remote has
        no such branch. Worktrees stay as they are. To be called with the clone locked.
        """
        shown, wanted = self.remote_url(), branch or self._remote.default_branch()
        if not wanted:
            raise NotReady(
                f"{shown} has no commit on a default branch",
                hint="commit and push your code first, or name a branch: URL#BRANCH",
            )
        self._remote.follow()
        tip = f"refs/remotes/origin/{wanted}"
        if not self._git("rev-parse", "--verify", "--quiet", tip, check=False):
            raise NotReady(f"{shown} has no branch {wanted!r}")
        # Of a checkout that was interrupted: whoever checks out here has the clone locked.
        lock_file = self._git("rev-parse", "--git-path", "index.lock").strip()
        (self.root / lock_file).unlink(missing_ok=True)
        _, refusal = self._git.tried("checkout", "--quiet", "--force", "--no-recurse-submodules",
                                     "--no-track", "-B", wanted, tip,
                                     env=WITHOUT_LFS)  # fmt: skip
        if refusal is not None:
            raise disk_full(OSError(refusal)) or NotReady(
                f"branch {wanted!r} of {shown} cannot be checked out: {refusal}"
            )


def locked(folder: Path) -> AbstractContextManager[bool]:
    """Keeps other processes waiting that would check out in the clone of a folder, or make it."""
    return file_lock.locked(folder.with_name(f"{folder.name}.lock"))
