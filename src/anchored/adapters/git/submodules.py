"""Submodules of a worktree: from the user's own clones where they have what is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from anchored.adapters.git.command import Git


def add_submodules(git: Git, tree: Path, own: Path, timeouts: Mapping[str, str]) -> None:
    """Checks out in `tree` the submodules that its commit names; `own` is the user's checkout.

    `timeouts` bound the waits of those that are cloned. Raises `GitCommandError`.
    """
    if not (tree / ".gitmodules").exists():
        return
    listing = git("-C", str(tree), "ls-files", "-z", "--stage")
    for entry in listing.split("\0"):
        if entry.startswith("160000 "):
            facts, path = entry.split("\t", 1)
            if _has(git, own / path, facts.split()[1]):
                _clone(git, own / path, tree / path, facts.split()[1])
                add_submodules(git, tree / path, own / path, timeouts)
            else:
                with _registrations_kept(git, tree):
                    git("-C", str(tree), "submodule", "update", "--init", "--recursive", "--", path,
                        env=timeouts)  # fmt: skip


def _has(git: Git, clone: Path, commit: str) -> bool:
    return (clone / ".git").exists() and bool(
        git("-C", str(clone), "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}",
            check=False)
    )  # fmt: skip


def _clone(git: Git, own: Path, clone: Path, commit: str) -> None:
    git("clone", "--quiet", "--shared", "--no-checkout", str(own), str(clone))
    origin = git("-C", str(own), "config", "remote.origin.url", check=False).strip()
    if origin:
        # Inner submodules may be named relative to it.
        git("-C", str(clone), "remote", "set-url", "origin", origin)
    # A user who clones sparsely by their own configuration has that here, too.
    git("-c", "core.sparseCheckout=false", "-C", str(clone), "checkout", "--quiet", "--detach",
        commit)  # fmt: skip


@contextmanager
def _registrations_kept(git: Git, tree: Path) -> Iterator[None]:
    """`submodule update --init` writes to the configuration that a worktree shares with its user's.

    What the user had not initialised is taken out of it again.
    """
    before = _registered(git, tree)
    try:
        yield
    finally:
        for section in _registered(git, tree) - before:
            git("-C", str(tree), "config", "--local", "--remove-section", section)


def _registered(git: Git, tree: Path) -> set[str]:
    names = git("-C", str(tree), "config", "--local", "--name-only", "-z", "--get-regexp",
                r"^submodule\..", check=False)  # fmt: skip
    return {name.rsplit(".", 1)[0] for name in names.split("\0") if name}
