"""Git's commands with types: the one place that calls GitPython.

Git sets variables where it starts a program, as in a hook. They would lead every command into
another repository, so commands run without them; the caller's environment is left as it is.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import IO, Any

import git
from git.exc import GitCommandError

from anchored.decisions.redaction import redact

__all__ = ["Git", "GitCommandError", "said", "without_misleading"]

NO_HOOKS = ("-c", "core.hooksPath=/dev/null")
MISLEADING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX",
              "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE",
              "GIT_QUARANTINE_PATH")  # fmt: skip


def without_misleading(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without the variables that lead Git into another repository."""
    return {name: value for name, value in environ.items() if name not in MISLEADING}


class Git:
    """Git in a folder: `git("status", "-z")` is the output of that command, verbatim.

    No hook runs. Threads may share it.
    """

    def __init__(self, folder: Path) -> None:
        self._program = _Program(folder)
        self._reading = Lock()

    def __call__(
        self,
        *args: str,
        env: Mapping[str, str] | None = None,
        given: bytes | IO[bytes] | None = None,
        into: IO[bytes] | None = None,
        check: bool = True,
    ) -> str:
        """The output of `git ARGS`; empty where it is written `into` a file.

        `env` has variables to add, `given` is for standard input. Raises `GitCommandError` where
        Git fails; without `check` the output is what there was of it.
        """
        command = [self._program.GIT_PYTHON_GIT_EXECUTABLE, *NO_HOOKS, *args]
        with _standard_input(given) as stream:
            output = self._program.execute(
                command,
                istream=stream,
                output_stream=into,
                strip_newline_in_stdout=False,
                with_exceptions=check,
                env=env,
            )
        return "" if into is not None else str(output)

    def tried(self, *args: str, env: Mapping[str, str] | None = None) -> tuple[str, str | None]:
        """The output of `git ARGS`, and what Git says where it fails."""
        try:
            return self(*args, env=env), None
        except GitCommandError as error:
            return "", said(error)

    def content(self, name: str, kind: str) -> bytes | None:
        """The content of an object of a kind, by any name of Git's; None where there is none.

        One process answers all that are asked for, one after the other.
        """
        if not name.isprintable():  # the process reads a name a line, in UTF-8
            name = self("rev-parse", "--verify", "--quiet", name, check=False).strip()
        with self._reading:
            try:
                _, found, _, content = self._program.get_object_data(name)
            except ValueError:
                return None
        # Bytes in GitPython 3.2.1, whatever its types say.
        return content if os.fsdecode(found) == kind else None


class _Program(git.Git):
    """GitPython's own commands run without the misleading variables, too: `cat-file --batch`."""

    def execute(self, command: Any, *args: Any, env: Any = None, **options: Any) -> Any:
        # GitPython adds variables to those of this process, and has no way to leave one out.
        unset = [arg for name in MISLEADING if name in os.environ and name not in (env or {})
                 for arg in ("-u", name)]  # fmt: skip
        if unset:
            command = ["env", *unset, *command]
        return super().execute(command, *args, env=env, **options)


@contextmanager
def _standard_input(given: bytes | IO[bytes] | None) -> Iterator[IO[bytes] | None]:
    if not isinstance(given, bytes):
        yield given
        return
    # A file, not a pipe: Git may answer before it has read all, and neither shall wait.
    with tempfile.TemporaryFile() as stream:
        stream.write(given)
        stream.seek(0)
        yield stream


def said(error: GitCommandError) -> str:
    """What Git wrote, without GitPython's frame and without credentials."""
    text = str(error.stderr or error.stdout or error).strip()
    text = text.removeprefix("stderr:").removeprefix("stdout:").strip().strip("'").strip()
    return redact(" ".join(text.split()))
