"""Training by `train.command`: one command, which writes the files that the configuration names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from anchored.config import Config
from anchored.records import Environment, RunRecord
from anchored.run.outputs import OutputFiles, Outputs
from anchored.run.worktree import Worktree
from anchored.system.process import Ending

NOT_EXECUTABLE, NOT_FOUND = 126, 127  # exit statuses of a shell


class CommandTrainer:
    """The `Trainer` of a run's command."""

    def __init__(self, tree: Worktree, run: RunRecord, config: Config) -> None:
        self._tree, self._command = tree, run.command
        self._files = OutputFiles(tree.path, config)

    def prepare(self, variables: dict[str, str]) -> Environment:
        self._files.prepare()
        return self._tree.environment(self._command, variables)

    def run(
        self, variables: Mapping[str, str], *, log: Path, on_start: Callable[[], None]
    ) -> Ending:
        return self._tree.run(self._command, variables, log=log, on_start=on_start)

    def hint(self, ending: Ending) -> str:
        if ending.status not in {NOT_EXECUTABLE, NOT_FOUND}:
            return ""
        absent = self._tree.absent_program(self._command)
        found = ending.status == NOT_EXECUTABLE
        return absent or ("" if found else f"the command is {self._command!r}")

    def outputs(self, folder: Path) -> Outputs:
        metrics = self._files.metrics()
        return Outputs(metrics, self._files.set_aside(folder))
