"""A training repo given by its URL: how it differs from a path, and the name of its clone here."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from anchored.decisions.redaction import url_without_credentials, url_without_login

LONGEST_NAME = 40
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://.")
# As Git decides it, https://git-scm.com/docs/git-clone#_git_urls: no slash before the first colon.
_SCP_LIKE = re.compile(r"(?!-)(?:[^/:@]+@)?(?:\[[^/\]]+\]|[^/:\[]+):[^:]")


@dataclass(frozen=True, slots=True)
class GitAddress:
    """Where Git finds a repository. `url` may hold credentials; `branch` empty: its default one."""

    url: str = field(repr=False)
    branch: str = ""

    @property
    def given(self) -> str:
        """The string that it was parsed from; it may hold credentials."""
        return f"{self.url}#{self.branch}" if self.branch else self.url

    @property
    def shown(self) -> str:
        """The URL as it may be shown."""
        return url_without_credentials(self.url)

    @property
    def public(self) -> str:
        """As `given`, without credentials: enough to name the clone that is here."""
        return f"{self.shown}#{self.branch}" if self.branch else self.shown

    @property
    def name(self) -> str:
        """What Git would call a clone of it, in characters that any file system takes."""
        path = re.split(r"[?#]", self.shown)[0].rstrip("/").removesuffix(".git")
        name = re.sub(r"[^a-zA-Z0-9._-]+", "-", re.split(r"[/:]", path)[-1]).strip(".-")
        return name[:LONGEST_NAME] or "repo"

    @property
    def folder(self) -> str:
        """The folder of its clone here: the same for whoever logs in, another for each branch."""
        digest = hashlib.sha256(f"{self.shown}#{self.branch}".encode()).hexdigest()
        return f"{self.name}-{digest[:12]}"


def git_address(text: str) -> GitAddress | None:
    """The address that a string is, `URL` or `URL#BRANCH`; None for a path on this machine.

    `scheme://…` and `[user@]host:path` are addresses; a folder of such a name is `./host:path`.
    """
    if not (_URL.match(text) or _SCP_LIKE.match(text)):
        return None
    # A `#` within a password is none that a branch follows.
    _, hash_, branch = url_without_login(text).partition("#")
    return GitAddress(text.removesuffix(hash_ + branch), branch)
