"""DVC set up in a repository: by its own command, which knows what belongs to a setup."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from anchored.decisions.redaction import redact
from anchored.errors import NotReady


def set_up_dvc(root: Path) -> None:
    """Makes `.dvc/` in a Git repository, staged for the next commit.

    DVC will stage the pointers that it writes, so that none is forgotten in a commit.
    """
    _dvc(root, "init", "--quiet")
    _dvc(root, "config", "--quiet", "core.autostage", "true")


def set_default_remote(root: Path, name: str, url: str) -> None:
    """Names the place where the bytes go. A path is taken from the current folder."""
    place = url if "://" in url else str(Path(url).expanduser().resolve())
    _dvc(root, "remote", "add", "--quiet", "--default", name, place)


def _dvc(root: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=root,
        # What is reported home of a command is for who has typed it to decide.
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        said = redact(" ".join(done.stderr.split())).removeprefix("ERROR: ")
        raise NotReady(f"`dvc {arguments[0]}` failed: {said}")
