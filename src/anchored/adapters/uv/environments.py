"""Training environments built by uv, kept for the next run: from what a commit locks, or from
what a run recorded.

uv is the builder because it resolves from a lock without thinking and shares files between
environments; see https://docs.astral.sh/uv/.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from anchored.adapters.uv.command import Uv
from anchored.adapters.uv.rebuilding import Rebuilding, fingerprint
from anchored.errors import EnvironmentFailed, NotReady
from anchored.ports import Rebuilt, Report
from anchored.records import Environment
from anchored.system.cache_folder import cache_folder
from anchored.system.file_lock import locked

# In this order; the first that the commit has is taken.
REQUIREMENTS = ("requirements.lock", "requirements.txt")
ALSO_DECIDES = ("pyproject.toml", ".python-version")
LONGEST = 7200.0  # seconds for a locked environment: gigabytes over a slow line, and compilers


class UvEnvironments:
    """Environments in the user's cache folder, one for each content of what decides it."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._folder = cache_folder() / "environments"
        self._variables = dict(variables)

    def built(self, tree: Path, report: Report) -> Path:
        """The environment's root for the commit that is checked out in a tree.

        Raises `NotReady` where there is no uv or nothing to build from, and `EnvironmentFailed`
        with uv's own words where it cannot be built.
        """
        uv = Uv(self._variables, needed_by='train.environment = "uv"')
        files = _deciding(tree)
        home = self._folder / _fingerprint(tree, files)

        def build() -> str:
            report.say(f"building the environment from {files[0]}")
            _build_locked(uv, tree, files[0], home)
            return ""

        self._complete(home, build)
        return home

    def rebuilt(self, recorded: Environment, tree: Path, report: Report) -> Rebuilt:
        """An environment with the Python and the packages that a run recorded, as far as they can
        be had; the rest is named.

        uv reads the settings of the user and those of `tree`, package indexes among them. Raises
        `NotReady` without uv, `EnvironmentFailed` without any Python to build on, and
        `ServiceFailed` where a package index does not answer: then nothing is kept.
        """
        uv = Uv(self._variables, needed_by="an environment as it was recorded")
        home = self._folder / f"recorded-{fingerprint(recorded, self._variables)}"
        rebuilding = Rebuilding(uv, recorded, tree, home, self._variables)
        missing = self._complete(home, lambda: json.dumps(rebuilding.missing_once_built(report)))
        return Rebuilt(home=home, missing=tuple(json.loads(missing)))

    def _complete(self, home: Path, build: Callable[[], str]) -> str:
        """Builds an environment unless it is there whole; what `build` said of it, then or now."""
        marker = home / "complete"
        with locked(Path(f"{home}.lock")):
            # The interpreter is a link to one that the user may have removed since.
            if not marker.exists() or not (home / "bin" / "python").exists():
                shutil.rmtree(home, ignore_errors=True)
                said = build()
                part = home / "complete.part"
                part.write_text(said, encoding="utf-8")
                part.replace(marker)
            return marker.read_text(encoding="utf-8")


def _build_locked(uv: Uv, tree: Path, lock: str, home: Path) -> None:
    target = {"UV_PROJECT_ENVIRONMENT": str(home), "VIRTUAL_ENV": str(home)}
    # The project's own code comes from the worktree, not from an installation.
    synced = ("sync", "--quiet", "--frozen", "--no-install-project")
    installed = ("pip", "install", "--quiet", "--requirement", lock)
    for arguments in (("venv", "--quiet", str(home)), synced if lock == "uv.lock" else installed):
        said = uv(*arguments, folder=tree, timeout=LONGEST, **target)
        if not said.worked:
            tail = said.words.splitlines()
            raise EnvironmentFailed("uv could not build the training environment", tail=tail)


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
