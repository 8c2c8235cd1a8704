"""Training environments, built from what a commit locks or from what a run recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from anchored.ports.report import Report
from anchored.records import (
    Environment,
)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """An environment's root, with `bin/` in it, and in words what of a record it lacks."""

    home: Path
    missing: tuple[str, ...] = ()


class Environments(Protocol):
    """Training environments, built from what a commit locks or from what a run recorded."""

    def built(self, tree: Path, report: Report) -> Path:
        """The root of the environment for the commit checked out in a tree, with `bin/` in it."""

    def rebuilt(self, recorded: Environment, tree: Path, report: Report) -> Rebuilt:
        """The recorded Python and packages, as far as they can be had."""
