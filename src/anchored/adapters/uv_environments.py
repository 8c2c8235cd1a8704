"""Training environments built by uv from what the source commit locks, kept for the next run.

uv is the builder because it resolves from a lock without thinking and shares files between
environments; see https://docs.astral.sh/uv/.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from anchored.decisions.redaction import redact
from anchored.errors import EnvironmentFailed, NotReady
from anchored.ports import Report

# In this order; the first that the commit has is taken.
REQUIREMENTS = ("requirements.lock", "requirements.txt")
ALSO_DECIDES = ("pyproject.toml", ".python-version")


class UvEnvironments:
    """Environments in the user's cache folder, one for each content of the files that decide it."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        cache = variables.get("XDG_CACHE_HOME") or Path(variables.get("HOME", "~"), ".cache")
        self._folder = Path(cache).expanduser() / "anchored" / "environments"
        self._variables = dict(variables)

    def built(self, tree: Path, report: Report) -> Path:
        """The environment's root for the commit that is checked out in a tree.

        Raises `NotReady` where there is no uv or nothing to build from, and `EnvironmentFailed`
        with uv's own words where it cannot be built.
        """
        uv = shutil.which("uv", path=self._search_path())
        if uv is None:
            raise NotReady(
                'train.environment = "uv" needs uv', hint="pip install uv, beside Anchored"
            )
        files = _deciding(tree)
        home = self._folder / _fingerprint(tree, files)
        home.parent.mkdir(parents=True, exist_ok=True)
        with Path(f"{home}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (home / "complete").exists():
                report.say(f"building the environment from {files[0]}")
                shutil.rmtree(home, ignore_errors=True)
                self._build(uv, tree, files[0], home)
                (home / "complete").touch()
        return home

    def _build(self, uv: str, tree: Path, lock: str, home: Path) -> None:
        self._uv(uv, tree, "venv", "--quiet", str(home))
        target = {"UV_PROJECT_ENVIRONMENT": str(home), "VIRTUAL_ENV": str(home)}
        if lock == "uv.lock":
            # The project's own code comes from the private tree, not from an installation.
            self._uv(uv, tree, "sync", "--quiet", "--frozen", "--no-install-project", **target)
        else:
            self._uv(uv, tree, "pip", "install", "--quiet", "--requirement", lock, **target)

    def _uv(self, uv: str, tree: Path, *arguments: str, **variables: str) -> None:
        done = subprocess.run(
            [uv, *arguments],
            cwd=tree,
            env={**self._variables, **variables},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            said = redact(done.stderr.strip()).splitlines()
            raise EnvironmentFailed("uv could not build the training environment", tail=said)

    def _search_path(self) -> str:
        """The user's PATH, and the place where pip puts a uv that is installed beside us."""
        beside = str(Path(sys.executable).parent)
        return os.pathsep.join([self._variables.get("PATH", os.defpath), beside])


def _deciding(tree: Path) -> tuple[str, ...]:
    """The files that decide what is installed, the one to install from first."""
    also = tuple(name for name in ALSO_DECIDES if (tree / name).is_file())
    if (tree / "uv.lock").is_file() and (tree / "pyproject.toml").is_file():
        return ("uv.lock", *also)
    for name in REQUIREMENTS:
        if (tree / name).is_file():
            return (name, *also)
    raise NotReady(
        'train.environment = "uv", but the commit has neither uv.lock nor requirements.txt',
        hint='commit one, or use the environment on your PATH: environment = "inherit"',
    )


def _fingerprint(tree: Path, files: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name in files:
        content = (tree / name).read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:32]
