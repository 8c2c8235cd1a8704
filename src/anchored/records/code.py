"""What Git says: of a commit, and of where a run's code is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self


class CommitStanding(StrEnum):
    """Whether a commit is reachable from a ref of the repository, or from none, or is missing.

    One that no ref reaches may be anybody's: servers serve commits of strangers' forks by name.
    """

    REACHABLE = "reachable"
    UNREACHABLE = "unreachable"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class CommitText:
    """A commit's message, and its first parent; empty where it has none."""

    parent: str
    message: str


@dataclass(frozen=True, slots=True)
class GitFacts:
    """Where a run's code and pointers are; `repo_url` never holds credentials."""

    commit: str = ""
    source_commit: str = ""
    branch: str = ""
    repo_url: str = ""
    ref: str = ""

    def with_(self, **changes: str) -> Self:
        """These facts with some of them replaced."""
        return replace(self, **changes)
