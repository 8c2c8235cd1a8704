"""Git's objects, many at a time: `git cat-file --batch`, one process however many are asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from typing import IO

Git = Callable[..., str]


def objects(git: Git, names: Sequence[str], kind: str) -> list[bytes | None]:
    """The contents of objects of a kind, each by any name of Git's; None where one is not there."""
    if not names:
        return []
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as answers:
        asked.writelines(f"{name}\n".encode() for name in names)
        asked.seek(0)
        git("cat-file", "--batch", istream=asked, output_stream=answers)
        answers.seek(0)
        return [_entry(answers, kind) for _ in names]


def _entry(answers: IO[bytes], kind: str) -> bytes | None:
    """The next answer: `SHA TYPE SIZE`, the content, a line end."""
    head = answers.readline().split()
    if len(head) != 3 or not head[2].isdigit():  # `NAME missing`
        return None
    content = answers.read(int(head[2]))
    answers.read(1)
    return content if head[1].decode() == kind else None
