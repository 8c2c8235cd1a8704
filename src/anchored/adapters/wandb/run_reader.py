"""Runs of a W&B project: found, and read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from anchored.adapters.wandb.project import WandbProject
from anchored.adapters.wandb.run_values import newest_first, tracked
from anchored.adapters.wandb.runs import WandbRun
from anchored.decisions.tags import ATTEMPT
from anchored.records import TrackedRun
from anchored.system.parallel import Stop, in_parallel

AT_ONCE = 16


class WandbRunReader(WandbProject):
    """The `RunReader` of a W&B project; of a deleted run, W&B says nothing."""

    def run(self, run_id: str) -> TrackedRun:
        return tracked(self._found(run_id))

    def runs(self, limit: int | None = None) -> Iterable[TrackedRun]:
        with self._calling():
            return newest_first(self._runs.newest(limit))[:limit]

    def runs_by_id(self, ids: Collection[str]) -> list[TrackedRun]:
        with self._calling():
            return newest_first(self._runs.of_ids(ids))

    def runs_tagged(self, tag: str, value: str) -> list[TrackedRun]:
        if tag == ATTEMPT:
            run = self._find(value)
            return [] if run is None or run.config.get(ATTEMPT) != value else [tracked(run)]
        with self._calling():
            return newest_first(self._runs.configured(tag, value))

    def runs_named(self, name: str, *, everywhere: bool = False) -> list[TrackedRun]:
        with self._calling():
            return newest_first(self._runs.named(name, everywhere=everywhere))

    def runs_starting_with(self, prefix: str) -> list[TrackedRun]:
        with self._calling():
            found = self._runs.starting_with(prefix)  # by a pattern, to which a dot is anything
            return newest_first(run for run in found if run.run_id.startswith(prefix))

    def artifact(self, run_id: str, path: str) -> bytes | None:
        run = self._found(run_id)
        with self._calling():
            return self._runs.file(run, path)

    def artifacts(self, runs: Sequence[TrackedRun], path: str) -> dict[str, bytes]:
        def fetched(run: TrackedRun, _: Stop) -> bytes | None:
            return self._runs.file(WandbRun(run.run_id, run.name, run.experiment), path)

        with self._calling():
            found = in_parallel(fetched, list(runs), AT_ONCE)
        return {run.run_id: content for run, content in found if content is not None}
