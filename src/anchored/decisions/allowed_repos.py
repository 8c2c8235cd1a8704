"""Which training repos a process takes: the grammar of `ANCHORED_REPOS`.

A pattern is a URL, an scp-like address or an absolute path. It is compared part by part (a part is
what is between slashes), as it is written. `*` matches characters within one part, which then
consists of letters, digits, `.`, `_`, `+` and `-` and begins with a letter, a digit or `_`: what a
server or Git might read in another way, such as `..`, `%2f` or `~name`, passes only where a pattern
has that very part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from anchored.decisions.git_address import GitAddress, git_address
from anchored.errors import WrongUse

LONGEST = 200  # characters of an address that are shown
_WILD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
# Narrower than what Git takes: what is read in two ways is not taken at all. A login is left out,
# but for the user of an SSH address, in whose home folder a path may be.
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:(?P<user>[^/@:?#\\\s]*)(?::[^/@?#\\\s]*)?@)?"
    r"(?P<host>(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])?(?::[0-9]+)?)/(?P<path>[^@?#\\\s]*)"
)
_SCP_LIKE = re.compile(r"(?P<user>[\w.-]+@)?(?P<host>[A-Za-z0-9.-]+):(?P<path>(?!//)[^@?#\\\s:]+)")

Parts = tuple[str, ...]
Repo = GitAddress | str  # a string is an absolute path without symbolic links


def check_taken(repo: Repo, *, served: Repo | None, allowed: str) -> None:
    """Raises `WrongUse` for a repo that is neither `served` nor one of those `allowed`.

    `allowed` are patterns, with white space between them.
    """
    if repo == served:
        return
    patterns = [_read(text) for text in allowed.split()]
    own = served and repo_pattern(served if isinstance(served, str) else served.given)
    if not any(pattern.takes(repo) for pattern in [*patterns, *([own] if own else [])]):
        shown = repo if isinstance(repo, str) else repo.public
        raise WrongUse(
            f"this worker does not take the repository {shown[:LONGEST]!r}",
            hint="ANCHORED_REPO and ANCHORED_REPOS, where it runs, name those that it takes; the "
            "worker of `anchored up` takes the repository that it was started for",
        )


def _read(text: str) -> RepoPattern:
    if pattern := repo_pattern(text):
        return pattern
    raise WrongUse(
        f"ANCHORED_REPOS: {text!r} is neither a URL nor an absolute path",
        hint="write, for example, https://git.example.org/team/* or /srv/repos/sums",
    )


@dataclass(frozen=True, slots=True)
class RepoPattern:
    """Repos that are taken; of a URL's, with `branch`, that one alone."""

    parts: Parts
    branch: str = ""

    def takes(self, repo: Repo) -> bool:
        """Whether it is one of them."""
        if isinstance(repo, str):
            return _fit(path_parts(repo), self.parts)
        parts = url_parts(repo.url)
        return (
            parts is not None
            and _fit(parts, self.parts)
            and (not self.branch or _fits(repo.branch, self.branch))
        )


def repo_pattern(text: str) -> RepoPattern | None:
    """The pattern that a string is, `URL`, `URL#BRANCH` or a path; None for one that is none."""
    if text.startswith("/"):
        return RepoPattern(path_parts(text))
    address = git_address(text)
    parts = url_parts(address.url) if address else None
    return RepoPattern(parts, address.branch) if address and parts else None


def path_parts(path: str) -> Parts:
    """The parts of an absolute path."""
    return "/", *path.strip("/").split("/")


def url_parts(url: str) -> Parts | None:
    """The parts of a URL without its login, its host in lower case; None for an unclear one."""
    if match := _URL.fullmatch(url):
        user = f"{match['user']}@" if match["user"] and "ssh" in match["scheme"] else ""
        return f"{match['scheme']}://{user}{match['host'].lower()}", *match["path"].split("/")
    if match := _SCP_LIKE.fullmatch(url):
        return f"{match['user'] or ''}{match['host'].lower()}:", *match["path"].split("/")
    return None


def _fit(parts: Parts, pattern: Parts) -> bool:
    return len(parts) == len(pattern) and all(map(_fits, parts, pattern))


def _fits(part: str, pattern: str) -> bool:
    if part == pattern:
        return True
    if "*" not in pattern or not _WILD.fullmatch(part):
        return False
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), part) is not None
