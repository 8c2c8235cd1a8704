"""uv as a command that comes to its end: found, run, and its words without credentials."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from anchored.decisions.redaction import redact, secret_values
from anchored.errors import NotReady


@dataclass(frozen=True, slots=True)
class Said:
    """How a call of uv ended; `words` is what it wrote to stderr, credentials masked."""

    worked: bool
    words: str
    timed_out: bool = False


class Uv:
    """The user's uv, or the one that is installed beside Anchored, with the user's settings."""

    def __init__(self, variables: Mapping[str, str], *, needed_by: str) -> None:
        """Raises `NotReady`, saying what needs it, where there is no uv."""
        beside = str(Path(sys.executable).parent)
        path = os.pathsep.join([variables.get("PATH", os.defpath), beside])
        program = shutil.which("uv", path=path)
        if program is None:
            raise NotReady(f"{needed_by} needs uv", hint="pip install uv, beside Anchored")
        self._program, self._variables = program, dict(variables)

    def __call__(
        self,
        *arguments: str,
        folder: Path,
        timeout: float,
        lines: Sequence[str] = (),
        **variables: str,
    ) -> Said:
        """Runs `uv ARGUMENTS` in a folder, with lines as its input; `timeout` is in seconds.

        What uv has started, compilers for example, ends with it.
        """
        process = subprocess.Popen(
            [self._program, *arguments],
            cwd=folder,
            env={**self._variables, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            _, words = process.communicate("".join(f"{line}\n" for line in lines), timeout)
        except subprocess.TimeoutExpired:
            return Said(worked=False, words=f"uv took longer than {timeout:.0f} s", timed_out=True)
        finally:
            _end(process)
        secrets = secret_values(self._variables)
        return Said(worked=process.returncode == 0, words=redact(words.strip(), secrets))


def _end(process: subprocess.Popen[str]) -> None:
    """Ends the process and its group, unless it has come to its end: its number is free then."""
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stderr is not None:
        process.stderr.close()
