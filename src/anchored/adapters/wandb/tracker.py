"""W&B as the tracker: runs in a folder, written offline, or runs of a server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anchored.adapters.wandb.model_registry import WandbModelRegistry
from anchored.adapters.wandb.run_reader import WandbRunReader
from anchored.adapters.wandb.run_values import metrics_of, start_of
from anchored.ports import Pages


def load(uri: str) -> None:  # noqa: ARG001 - the same for every place
    """Imports what the first call to the tracker would; opens and creates nothing."""
    from anchored.adapters.wandb import writing as wandb_writing

    wandb_writing.load()


class WandbTracker(WandbModelRegistry, WandbRunReader):
    """The `Tracker` of one W&B project."""

    def training_variables(self, run_id: str) -> dict[str, str]:
        """Environment variables by which `wandb.init()` in a script goes on with the run."""
        run = self._found(run_id)
        joining = {
            "WANDB_RUN_ID": run_id,
            "WANDB_RESUME": "allow",
            "WANDB_PROJECT": run.project,
            "WANDB_NAME": run.name,
            # What is saved shall outlive the tree in which the script runs.
            "WANDB_SYMLINK": "false",
            # Else the log of the run's folder holds the API key (seen with wandb 0.31.0).
            "WANDB_DEBUG": "false",
            "WANDB_CORE_DEBUG": "false",
        }
        return joining | dict(self._runs.training_variables())

    def refuses_to_join(self, run_id: str, output: Sequence[str]) -> bool:  # noqa: ARG002
        """Never: a script that names a project of its own makes its run there, and trains."""
        return False

    def metrics_kept_in(self, tree: Path) -> dict[str, float]:
        """Metrics of the newest run that a script logged offline in the tree where it ran."""
        from anchored.adapters.wandb.offline import OfflineRuns

        runs = sorted(OfflineRuns(tree, project="").everywhere(), key=start_of)
        return metrics_of(runs[-1]) if runs else {}

    def pages(self) -> Pages:
        return self._runs.pages()

    def picture_url(self, run_id: str, path: str) -> str:  # noqa: ARG002 - as for every file
        """Nowhere: offline there is no server, and W&B's own hands out files to its users alone."""
        return ""
