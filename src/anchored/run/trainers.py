"""What trains: one row a kind. A further kind is a class with these methods, and a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from anchored.config import Config
from anchored.records import Environment, RunRecord
from anchored.run.command_trainer import CommandTrainer
from anchored.run.outputs import Outputs
from anchored.run.worktree import Worktree
from anchored.system.process import Ending


class Trainer(Protocol):
    """One training of a run, in a worktree of its source commit that holds its inputs."""

    def prepare(self, variables: dict[str, str]) -> Environment:
        """Makes the worktree ready, and says what trains: the interpreter and its packages.

        `variables` are those of the training; where imports have to be led to the worktree, they
        are changed. Raises `NotReady` where nothing can train.
        """

    def run(
        self, variables: Mapping[str, str], *, log: Path, on_start: Callable[[], None]
    ) -> Ending:
        """Trains once; the output goes to `log`. `on_start` is called when the process exists."""

    def hint(self, ending: Ending) -> str:
        """What to do about a training that ended badly; empty if only its output says."""

    def outputs(self, folder: Path) -> Outputs:
        """Moves model and artifacts to a folder, under their paths, and reads the metrics.

        Raises `BadOutcome` for what is missing, empty, not a number or outside of the worktree.
        """


TRAINERS: Mapping[str, Callable[[Worktree, RunRecord, Config], Trainer]] = {
    "command": CommandTrainer,
}
