"""Task `open_clone`: a training repo given by its URL has a clone here, and it is up to date."""

from __future__ import annotations

from anchored.workspace.repos import address_of, root_of
from tasks.reporting import RepoChoice, current_report
from tasks.step import step


def chosen_repo(repo: str | None, tracker: str | None = None) -> RepoChoice:
    """The training repo that a flow is given: around a path, or in a URL's clone."""
    root = open_clone(repo) if address_of(repo) else str(root_of(repo))
    return RepoChoice(root, tracker)


@step("open_clone", title="git clone or fetch")
def open_clone(repo: str | None) -> str:
    """Brings the clone of a URL to the tip of its branch, and says where it is."""
    return str(root_of(repo, current_report()))
