"""What every part of the W&B tracker works with: the runs of a project, wherever they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from anchored.adapters.wandb.failure import failure
from anchored.adapters.wandb.run_values import ending_of
from anchored.adapters.wandb.runs import Entry, WandbRun, WandbRuns
from anchored.errors import AnchoredError, UnknownRun


class WandbProject:
    """One W&B project, on a server or in a folder."""

    kind = "wandb"
    takes_runs = True
    keeps_models = True

    def __init__(self, runs: WandbRuns) -> None:
        self._runs = runs
        self.uri = runs.place

    def _find(self, run_id: str) -> WandbRun | None:
        with self._calling():
            run = self._runs.find(run_id)
        return run and replace(run, ending=ending_of(run))

    def _found(self, run_id: str) -> WandbRun:
        if (run := self._find(run_id)) is None:
            raise UnknownRun(f"W&B at {self.uri} has no run {run_id}")
        return run

    def _write(self, run: WandbRun, entry: Entry) -> None:
        with self._calling():
            self._runs.write(run, entry)

    @contextmanager
    def _calling(self) -> Iterator[None]:
        """W&B's errors become ours."""
        try:
            yield
        except AnchoredError:
            raise
        except Exception as error:
            raise failure(error, self.uri) from error
