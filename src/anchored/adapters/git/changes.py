"""What differs between two commits, by Git's plumbing: no user's setting changes its form."""

from __future__ import annotations

from collections.abc import Sequence

from anchored.adapters.git.command import Git
from anchored.adapters.git.objects import objects

WORDS = {"A": "added", "D": "removed"}


def changed_between(git: Git, one: str, other: str) -> tuple[tuple[str, str], ...]:
    """Files that differ between two commits, each with `added`, `removed` or `changed`."""
    fields = git("diff-tree", "-r", "-z", "--no-renames", "--name-status", one, other).split("\0")
    return tuple(
        (path, WORDS.get(status, "changed"))
        for status, path in zip(fields[0::2], fields[1::2], strict=False)
    )


def commits_changing(git: Git, paths: Sequence[str]) -> tuple[str, ...]:
    """The commits that changed one of these files, newest first, HEAD's own before others."""
    files = [f":(literal,top){path}" for path in paths]
    # What a side branch said counts too, even if the merge did not take it.
    log = ("rev-list", "--full-history")
    # Without a commit there is no HEAD, and nothing to report.
    own = git(*log, "HEAD", "--", *files, check=False)
    others = git(*log, "--all", "--not", "HEAD", "--", *files, check=False)
    return (*own.split(), *others.split())


def versions(git: Git, commit: str, files: Sequence[str]) -> dict[str, frozenset[bytes]]:
    """By path, all that files have been in a commit's history, on merged side branches too."""
    literal = [f":(literal,top){file}" for file in files]
    commits = git("rev-list", "--full-history", commit, "--", *literal).split()
    places = [(c, file) for c in commits for file in files]
    texts = objects(git, [f"{c}:{file}" for c, file in places], "blob")
    found: dict[str, set[bytes]] = {file: set() for file in files}
    for (_, file), text in zip(places, texts, strict=True):
        if text is not None:
            found[file].add(text)
    return {file: frozenset(texts) for file, texts in found.items()}


def patch(git: Git, one: str, other: str, *, without: Sequence[str]) -> str:
    """The lines that differ between two commits, but for files of these paths or patterns."""
    paths = [":(top)", *map(_excluded, without)]
    out = git("diff-tree", "-r", "-p", "--no-renames", "--no-ext-diff", "--no-textconv",
              one, other, "--", *paths)  # fmt: skip
    return out.encode(errors="surrogateescape").decode(errors="replace")


def _excluded(path: str) -> str:
    """The pathspec that leaves out a path, or `*.ENDING` at any depth."""
    is_pattern = path.startswith("*.")
    return f":(exclude,top,glob)**/{path}" if is_pattern else f":(exclude,top,literal){path}"
