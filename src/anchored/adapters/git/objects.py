"""Git's objects, many at a time: `git cat-file --batch`, one process however many are asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from typing import IO

from anchored.adapters.git.command import Git
from anchored.records import CommitText


def objects(git: Git, names: Sequence[str], kind: str) -> list[bytes | None]:
    """The contents of objects of a kind, each by any name of Git's; None where one is not there."""
    if not names:
        return []
    asked = "".join(f"{name}\n" for name in names).encode()
    with tempfile.TemporaryFile() as answers:
        git("cat-file", "--batch", given=asked, into=answers)
        answers.seek(0)
        return [_entry(answers, kind) for _ in names]


def commit_texts(git: Git, commits: Collection[str]) -> dict[str, CommitText]:
    """The messages of those commits that are here."""
    read = zip(commits, objects(git, list(commits), "commit"), strict=True)
    return {commit: _text(content) for commit, content in read if content is not None}


def _text(content: bytes) -> CommitText:
    """A commit's text; headers are lines up to an empty one, the parents among them."""
    head, _, message = content.partition(b"\n\n")
    parents = (line[7:] for line in head.splitlines() if line.startswith(b"parent "))
    return CommitText(next(parents, b"").decode(), message.decode(errors="replace"))


def _entry(answers: IO[bytes], kind: str) -> bytes | None:
    """The next answer: `SHA TYPE SIZE`, the content, a line end."""
    head = answers.readline().split()
    if len(head) != 3 or not head[2].isdigit():  # `NAME missing`
        return None
    content = answers.read(int(head[2]))
    answers.read(1)
    return content if head[1].decode() == kind else None
