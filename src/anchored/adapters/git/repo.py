"""Git as the code repo.

The user's working tree, index and HEAD are changed by one command only, `git merge --ff-only`, and
no ref moves before its bytes are where they belong.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Self

from anchored.adapters.git import changes as git_changes
from anchored.adapters.git import place
from anchored.adapters.git.branch_plan import BranchPlan
from anchored.adapters.git.command import Git, GitCommandError, said
from anchored.adapters.git.commits import Commits
from anchored.adapters.git.objects import commit_texts, objects
from anchored.adapters.git.reachability import refs_in
from anchored.adapters.git.remote import GitRemote, remote_failed
from anchored.adapters.git.timeouts import timeouts
from anchored.adapters.git.trees import files_at
from anchored.adapters.git.user_branch import UserBranch
from anchored.adapters.git.working_tree import WorkingTree
from anchored.adapters.git.worktrees import Worktrees
from anchored.decisions.redaction import url_without_credentials
from anchored.errors import NotReady
from anchored.ports import BranchOutcome
from anchored.records import CommitStanding, CommitText
from anchored.system.disk_room import disk_full, on_disk


class GitRepo:
    """The Git repository whose working tree starts at `root`.

    `remote` has the `name` and `url` of a remote to use in place of the configured one, `checkout`
    the settings by which worktrees are written in place of today's.
    """

    def __init__(
        self,
        root: Path,
        remote: Mapping[str, str] | None = None,
        checkout: Mapping[str, str] | None = None,
    ) -> None:
        self._place = place.place_at(root)
        self.root = self._place.root
        self._git = Git(self.root)
        self._fixed_remote = remote
        self._tree = WorkingTree(self._git, self._place)
        self._commits = Commits(self._git)
        self._worktrees = Worktrees(self._git, self.root, checkout)

    @staticmethod
    def top_level(start: Path) -> Path:
        """The root of the working tree around a folder. Raises `NotReady` outside of one."""
        return place.top_level(start)

    @classmethod
    def cloned(cls, url: str, folder: Path, *settings: str) -> Self:
        """A clone of all that is at a URL, with no files yet. Raises `GitRemoteFailed`.

        `settings` are KEY=VALUEs of its own configuration.
        """
        git = Git(folder.parent)
        given = [arg for setting in settings for arg in ("--config", setting)]
        ssh = git("config", "core.sshCommand", check=False).strip()
        _, refusal = git.tried("clone", "--quiet", "--no-checkout", "--origin=origin", *given, "--",
                               url, str(folder), env=timeouts(ssh))  # fmt: skip
        if refusal is not None:
            what = f"cannot clone {url_without_credentials(url)}"
            raise disk_full(OSError(refusal)) or remote_failed(what, refusal)
        return cls(folder)

    @cached_property
    def managed(self) -> bool:
        setting = self._git("config", "--local", "--type=bool", "anchored.managed", check=False)
        return setting.strip() == "true"

    # --- the user's checkout --------------------------------------------------------------------

    def head(self) -> str:
        head = self._git("rev-parse", "--verify", "--quiet", "HEAD^{commit}", check=False)
        if not head:
            raise NotReady(
                "the repository has no commit yet",
                hint="commit your code first: a run is pinned to a commit",
            )
        return head.strip()

    def branch(self) -> str:
        # Not --short, which says heads/NAME where a tag has the same name.
        ref = self._git("symbolic-ref", "--quiet", "HEAD", check=False).strip()
        return ref.removeprefix("refs/heads/")

    def changed_files(self) -> tuple[str, ...]:
        return self._tree.changed_files()

    def tracked_under(self, path: str) -> tuple[str, ...]:
        return self._tree.tracked_under(path)

    def untracked_files(self) -> tuple[str, ...]:
        return self._tree.untracked_files()

    def untrack(self, paths: Sequence[str]) -> None:
        self._tree.untrack(paths)

    def ignored_from(
        self, path: str, rules: Mapping[str, bytes] | None = None
    ) -> tuple[str, str] | None:
        return self._tree.ignored_from(path, rules)

    def read_now(self, path: str) -> bytes | None:
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            return None

    # --- history --------------------------------------------------------------------------------

    def read(self, commit: str, path: str) -> bytes | None:
        return self._git.content(f"{commit}:{path}", "blob")

    def read_many(self, places: Sequence[tuple[str, str]]) -> list[bytes | None]:
        return objects(self._git, [f"{commit}:{path}" for commit, path in places], "blob")

    def files_at(
        self, commits: Collection[str], wanted: Callable[[str], bool]
    ) -> dict[str, dict[str, bytes]]:
        return files_at(self._git, commits, wanted)

    def commit_texts(self, commits: Collection[str]) -> dict[str, CommitText]:
        return commit_texts(self._git, commits)

    def commits_changing(self, paths: Sequence[str]) -> tuple[str, ...]:
        return git_changes.commits_changing(self._git, paths)

    def versions(self, commit: str, files: Sequence[str]) -> dict[str, frozenset[bytes]]:
        self._remote.deepen()
        return git_changes.versions(self._git, commit, files)

    def pointer_files(self, commit: str) -> tuple[str, ...]:
        out = self._git("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)
        return tuple(name for name in out.split("\0") if name.endswith(".dvc"))

    def changed_between(self, one: str, other: str) -> tuple[tuple[str, str], ...]:
        return git_changes.changed_between(self._git, one, other)

    def patch(self, one: str, other: str, *, without: Sequence[str]) -> str:
        return git_changes.patch(self._git, one, other, without=without)

    def matching_lines(self, commit: str, pattern: str, files: str) -> tuple[str, ...]:
        out = self._git("grep", "-h", "-I", "--extended-regexp", "-e", pattern, commit, "--", files,
                        check=False)  # fmt: skip
        return tuple(out.splitlines())

    # --- commits and worktrees ------------------------------------------------------------------

    def commit(
        self,
        parent: str,
        files: Mapping[str, bytes],
        *,
        message: str,
        when: datetime,
        always: bool = False,
    ) -> str:
        return self._commits.with_files(parent, files, message=message, when=when, always=always)

    def commit_working_tree(self, *, message: str, when: datetime) -> str:
        index = self._place.git_dir / "index"
        return self._commits.of_tracked_files(self.head(), index, message=message, when=when)

    def checkout_settings(self) -> dict[str, str]:
        return self._worktrees.checkout_settings()

    def add_worktree(self, path: Path, commit: str) -> None:
        self._worktrees.add(path, commit, self._remote.timeouts)

    def remove_worktree(self, path: Path) -> None:
        self._worktrees.remove(path)

    # --- refs and the remote --------------------------------------------------------------------

    @on_disk()
    def keep(self, ref: str, commit: str) -> None:
        self._git("update-ref", ref, commit)

    @on_disk()
    def create(self, ref: str, commit: str) -> None:
        _, refusal = self._git.tried("update-ref", ref, commit, "0" * len(commit))
        if refusal is not None and self.own_refs(ref).get(ref) != commit:
            raise disk_full(OSError(refusal)) or NotReady(
                f"{ref} is another run's already",
                hint="the tracker gave this run an id that it had given before: see who runs it",
            )

    def forget(self, ref: str) -> None:
        self._git("update-ref", "-d", ref)

    def own_refs(self, prefix: str) -> Mapping[str, str]:
        return refs_in(self._git("for-each-ref", "--format=%(objectname) %(refname)", prefix))

    @cached_property
    def _remote(self) -> GitRemote:
        return GitRemote(self._git, self.branch(), self._fixed_remote)

    def remote_url(self) -> str:
        return self._remote.url()

    def remote_settings(self) -> dict[str, str]:
        return self._remote.settings()

    def bring(self, commit: str, ref: str) -> CommitStanding:
        return self._remote.bring(commit, ref)

    def bring_ref(self, ref: str) -> str:
        return self._remote.bring_ref(ref)

    def published_refs(self) -> Mapping[str, str]:
        return self._remote.refs()

    def standings(
        self, commits: Collection[str], refs: Mapping[str, str]
    ) -> dict[str, CommitStanding]:
        try:
            return self._remote.standings(commits, refs)
        except GitCommandError as error:
            raise NotReady(f"Git cannot read the history here: {said(error)}") from error

    def publish(self, ref: str) -> None:
        self._remote.publish(ref)

    # --- the user's branch ----------------------------------------------------------------------

    def advance(self, branch: str, *, base: str, commit: str, message: str) -> BranchOutcome:
        own = UserBranch(self._git, self.root, self._place.git_dir)
        plan = self._plan(base=base, commit=commit, message=message)
        return own.advance(branch, plan, checked_out=self.branch() == branch)

    def _plan(self, *, base: str, commit: str, message: str) -> BranchPlan:
        def merged(tree: str, parents: list[str]) -> str:
            when = self._commits.time_of(commit)
            return self._commits.of_tree(tree, parents, message=message, when=when)

        return BranchPlan(self._git, base=base, commit=commit, merge=merged)
