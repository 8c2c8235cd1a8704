"""A clone that Anchored keeps for a training repo given by its URL: nobody works in it."""

from __future__ import annotations

from pathlib import Path

from anchored.adapters.disk_room import disk_full
from anchored.adapters.git_repo import GitRepo
from anchored.adapters.remote_branch import RemoteBranch
from anchored.errors import NotReady
from anchored.ports import BranchOutcome

MARKED = "anchored.managed=true"


def code_at(root: Path) -> GitRepo:
    """The Git repository at a root: the user's own, or a clone that Anchored keeps."""
    code = GitRepo(root)
    return ManagedClone(root) if code.managed else code


class ManagedClone(GitRepo):
    """A clone whose working tree stands where a branch of its remote does.

    The branch that a run is brought into is the one on the remote. What counts of the working tree
    is HEAD: the files may just be being brought to the next commit, by another process.
    """

    def read_now(self, path: str) -> bytes | None:
        """A file's content at HEAD; None where it is not there."""
        return self.read(self.head(), path)

    def changed_files(self) -> tuple[str, ...]:
        """None, ever."""
        return ()

    def advance(self, branch: str, *, base: str, commit: str, message: str) -> BranchOutcome:
        """Brings `commit`, made on `base`, into the branch on the Git remote."""
        self._remote.deepen()
        plan = self._plan(base=base, commit=commit, message=message)
        return RemoteBranch(self._remote).advance(branch, plan)

    def use(self, url: str) -> None:
        """Takes a URL for the remote from now on: another login, perhaps."""
        if self._git("config", "remote.origin.url").strip() != url:
            self._git("config", "remote.origin.url", url)

    def follow(self, branch: str) -> None:
        """Brings branch and files to where the remote's are, whatever is in their way.

        `branch` empty: the default one. Raises `GitRemoteFailed`; `NotReady` where the remote has
        no such branch. Worktrees stay as they are.
        """
        shown, wanted = self.remote_url(), branch or self._remote.default_branch()
        if not wanted:
            raise NotReady(
                f"{shown} has no commit on a default branch",
                hint="commit and push your code first, or name a branch: URL#BRANCH",
            )
        self._remote.follow()
        tip = f"refs/remotes/origin/{wanted}"
        if not self._git("rev-parse", "--verify", "--quiet", tip, with_exceptions=False):
            raise NotReady(f"{shown} has no branch {wanted!r}")
        # Of a checkout that was cut off; no other one is under way, but for what callers lock out.
        lock = self._git("rev-parse", "--git-path", "index.lock").strip()
        (self.root / lock).unlink(missing_ok=True)
        # What LFS keeps is for the worktrees that train.
        _, refusal = self._tried("checkout", "--quiet", "--force", "--no-recurse-submodules",
                                 "--no-track", "-B", wanted, tip,
                                 env={"GIT_LFS_SKIP_SMUDGE": "1"})  # fmt: skip
        if refusal is not None:
            raise disk_full(OSError(refusal)) or NotReady(
                f"branch {wanted!r} of {shown} cannot be checked out: {refusal}"
            )
