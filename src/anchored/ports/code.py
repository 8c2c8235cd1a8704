"""A Git repository with a working tree, and the remote it is published to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from anchored.records import (
    CommitStanding,
    CommitText,
)


class Advance(StrEnum):
    """What became of the user's branch once a run was sealed."""

    FORWARDED = "forwarded"
    MERGED = "merged"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class BranchOutcome:
    """How the branch was advanced, where it stands, and if it was left, why."""

    advance: Advance
    commit: str = ""
    reason: str = ""


class CodeRepo(Protocol):
    """A Git repository with a working tree.

    The user's tree is only ever fast-forwarded. A clone that Anchored keeps has none of the user's,
    and stands where the remote's branch does.
    """

    root: Path

    @property
    def managed(self) -> bool:
        """Whether this is a clone that Anchored keeps, with no work of the user's in it."""

    def head(self) -> str:
        """The SHA of HEAD. Raises `NotReady` where there is no commit yet."""

    def branch(self) -> str:
        """The checked-out branch; empty where HEAD is detached."""

    def remote_url(self) -> str:
        """The URL that pushes go to, without credentials; empty without a remote."""

    def remote_settings(self) -> dict[str, str]:
        """The `name` and `url` of the remote that pushes go to; empty without one."""

    def changed_files(self) -> tuple[str, ...]:
        """Tracked files that differ from HEAD in index or working tree, from the repo's root."""

    def tracked_under(self, path: str) -> tuple[str, ...]:
        """Files in Git's index at or below a path."""

    def untracked_files(self) -> tuple[str, ...]:
        """Files that Git neither tracks nor ignores."""

    def untrack(self, paths: Sequence[str]) -> None:
        """Takes files out of Git's index; the files stay."""

    def ignored_from(
        self, path: str, rules: Mapping[str, bytes] | None = None
    ) -> tuple[str, str] | None:
        """For an ignored path: its topmost ignored ancestor, and the `.gitignore` that says so.

        The `.gitignore` is empty where the rule stands outside the repo's own files. With `rules`,
        the repo's own files are these `.gitignore`s and not those of the working tree.
        """

    def read_now(self, path: str) -> bytes | None:
        """A file's content as it is in the working tree; None where it is not there."""

    def read(self, commit: str, path: str) -> bytes | None:
        """A file's content at a commit; None where it is not there."""

    def read_many(self, places: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """The contents of files, each at (commit, path), all in one go; None where one is not."""

    def commits_changing(self, paths: Sequence[str]) -> tuple[str, ...]:
        """The commits that changed one of these files, newest first.

        Those of HEAD's history come before those that only other refs hold.
        """

    def versions(self, commit: str, files: Sequence[str]) -> dict[str, frozenset[bytes]]:
        """By path, all that files have been in a commit's history, deepened as for `standings`."""

    def pointer_files(self, commit: str) -> tuple[str, ...]:
        """The paths of all `.dvc` files of a commit."""

    def files_at(
        self, commits: Collection[str], wanted: Callable[[str], bool]
    ) -> dict[str, dict[str, bytes]]:
        """By commit, the files whose paths are wanted; those of a commit that is not here: none.

        Costs by the distinct folders of the commits, not by the commits.
        """

    def commit_texts(self, commits: Collection[str]) -> dict[str, CommitText]:
        """The messages of those commits that are here, all in one go."""

    def published_refs(self) -> Mapping[str, str]:
        """Every ref of the Git remote, or of this repository where there is none, with its object.

        Raises `GitRemoteFailed`.
        """

    def own_refs(self, prefix: str) -> Mapping[str, str]:
        """The refs of this repository that start so, each with its object."""

    def standings(
        self, commits: Collection[str], refs: Mapping[str, str]
    ) -> dict[str, CommitStanding]:
        """Where commits stand by the published refs.

        Those that the remote has are here afterwards; no ref has moved. Raises `GitRemoteFailed`,
        and `NotReady` where a shallow clone cannot be deepened to tell it.
        """

    def changed_between(self, one: str, other: str) -> tuple[tuple[str, str], ...]:
        """Files that differ between two commits, each with `added`, `removed` or `changed`."""

    def patch(self, one: str, other: str, *, without: Sequence[str]) -> str:
        """The lines that differ between two commits, but for files of these paths or patterns.

        A pattern is `*.ENDING`, for files at any depth.
        """

    def matching_lines(self, commit: str, pattern: str, files: str) -> tuple[str, ...]:
        """Lines that fit an extended regular expression, in a commit's files that fit a glob."""

    def bring_ref(self, ref: str) -> str:
        """The commit under a ref, brought here with the ref from the Git remote if need be.

        Empty where neither has the ref. Raises `GitRemoteFailed`.
        """

    def bring(self, commit: str, ref: str) -> CommitStanding:
        """Makes a commit be here, held by a ref, from the Git remote if need be.

        `ref` is the one that may hold it there. Moves no ref of the user's. Raises
        `GitRemoteFailed` where the remote does not answer, and `NotReady` where a shallow clone
        cannot be deepened to tell it.
        """

    def commit(
        self,
        parent: str,
        files: Mapping[str, bytes],
        *,
        message: str,
        when: datetime,
        always: bool = False,
    ) -> str:
        """A commit on `parent` with these files written; the parent if that changes nothing.

        With `always` it is made for its message's sake as well. Runs no hooks, signs nothing and
        moves no ref; the same arguments give the same SHA.
        """

    def commit_working_tree(self, *, message: str, when: datetime) -> str:
        """A commit on HEAD of all tracked files as they are in the working tree; moves no ref."""

    def checkout_settings(self) -> dict[str, str]:
        """Git's settings, by key, that decide which bytes a checkout writes for a text file."""

    def add_worktree(self, path: Path, commit: str) -> None:
        """A private checkout of a commit, submodules and LFS files included. No hooks run."""

    def remove_worktree(self, path: Path) -> None:
        """Takes a private checkout away, whatever is in it. Nothing there is no error."""

    def keep(self, ref: str, commit: str) -> None:
        """Points a ref of this repository at a commit."""

    def create(self, ref: str, commit: str) -> None:
        """Makes a ref of this repository. Raises `NotReady` where it is on another commit."""

    def forget(self, ref: str) -> None:
        """Takes a ref of this repository away. Nothing there is no error."""

    def publish(self, ref: str) -> None:
        """Makes a ref on the Git remote and sees it there; without a remote, does nothing.

        One that is there on another commit is never moved. Raises `GitRemoteFailed`; `transient`
        tells a lost connection from a refusal.
        """

    def advance(self, branch: str, *, base: str, commit: str, message: str) -> BranchOutcome:
        """Brings `commit`, made on `base`, into the user's branch where Git allows it.

        Of a clone that Anchored keeps, it is the branch on the Git remote; raises
        `GitRemoteFailed`.
        """
