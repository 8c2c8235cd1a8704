"""Which repository is meant: a folder on this machine, or a Git URL with the clone kept for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anchored.adapters.git.clones import Clones
    from anchored.decisions.git_address import GitAddress
    from anchored.ports import Report


def root_of(repo: str | Path | None, report: Report | None = None) -> Path:
    """The top level of the Git repository that is meant; of a URL's, in the clone kept for it.

    That clone is made where there is none, and brought to the tip of its branch where there is
    one. Raises `NotReady` where there is no such repository, `GitRemoteFailed` for a URL, and
    `WrongUse` for one that this process does not take.
    """
    from anchored.ports import Silent

    _check_taken(repo)
    if address := address_of(repo):
        return _clones().opened(address, report or Silent())
    from anchored.adapters.git.repo import GitRepo

    root = GitRepo.top_level(_start(repo))
    _check_taken(repo, root)  # a folder that is allowed may be in a repository that is not
    return root


def folder_of(repo: str | Path | None) -> Path:
    """As `root_of`, but asks no server: a URL's clone is taken as it is.

    Raises `NotReady` where none has been made yet.
    """
    if (address := address_of(repo)) is None:
        return root_of(repo)
    _check_taken(repo)
    folder = _clones().folder(address)
    if not folder.is_dir():
        from anchored.errors import NotReady

        raise NotReady(
            f"there is no clone of {address.shown} here",
            hint="`anchored up` makes one, and so does a run",
        )
    return folder


def served_as(repo: str | Path | None) -> str:
    """What another process is to be given for the same repo: the URL, or the path of its root."""
    address = address_of(repo)
    return address.given if address else str(root_of(repo))


def named_by(repo: str) -> str:
    """What names the same repo once more, on this machine; without credentials."""
    address = address_of(repo)
    return address.public if address else repo


def address_of(repo: str | Path | None) -> GitAddress | None:
    """The URL that is meant; None where it is a folder on this machine."""
    from anchored.decisions.git_address import git_address

    given = repo or os.environ.get("ANCHORED_REPO") or ""
    return git_address(given) if isinstance(given, str) else None


def _check_taken(repo: str | Path | None, root: Path | None = None) -> None:
    """Raises `WrongUse` for a repo that `ANCHORED_REPOS`, if it is set, does not let us open.

    What comes from outside is a string; a `Path` is what we have opened before. `root` is where a
    folder turned out to belong.
    """
    allowed = os.environ.get("ANCHORED_REPOS")
    if allowed is None or isinstance(repo, Path):
        return
    from anchored.decisions.allowed_repos import check_taken
    from anchored.decisions.git_address import git_address

    own = os.environ.get("ANCHORED_REPO")
    served = own and (git_address(own) or str(_start(own)))
    check_taken(
        address_of(repo) or str(root or _start(repo)), served=served or None, allowed=allowed
    )


def _clones() -> Clones:
    from anchored.adapters.git.clones import Clones

    return Clones()


def _start(repo: str | Path | None) -> Path:
    return Path(repo or os.environ.get("ANCHORED_REPO") or Path.cwd()).expanduser().resolve()


def config_folders(repo: str | Path | None) -> Sequence[Path]:
    """The folders in which to look for the configuration, in this order. Asks no server."""
    if address := address_of(repo):
        return [_clones().folder(address)]
    return [start := _start(repo), *start.parents]
