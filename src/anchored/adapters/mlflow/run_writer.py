"""Runs of an MLflow experiment: opened, logged to, and ended."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from anchored.adapters.mlflow.keys import LONGEST_KEY
from anchored.adapters.mlflow.models import log_model
from anchored.adapters.mlflow.store import BATCH, STATUS, MlflowStore
from anchored.adapters.mlflow.timeouts import UPLOADING, once
from anchored.errors import TrackerFailed
from anchored.ports import NO_FILES, NOTHING, LoggedFiles, ModelContent
from anchored.records import Ended, ParamValue, TrackedRun
from anchored.system.files import link_or_copy


class MlflowRunWriter(MlflowStore):
    """The `RunWriter` of an MLflow experiment."""

    def open_run(self, *, name: str, tags: Mapping[str, str], started: datetime) -> TrackedRun:
        with self._calling():
            experiment_id = self._experiment_id
            with once():
                made = self._client.create_run(
                    experiment_id,
                    start_time=int(started.timestamp() * 1000),
                    tags=self._keys.safe_tags(tags),
                    run_name=name,
                )
            return self._tracked(made)

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, ParamValue] = NOTHING,
        metrics: Mapping[str, float] = NOTHING,
        files: LoggedFiles = NO_FILES,
        tags: Mapping[str, str] = NOTHING,
    ) -> tuple[str, ...]:
        differing = self._log_values(run_id, params, metrics) if params or metrics else ()
        if files.files or files.texts:
            self._log_files(run_id, files)
        if tags:
            self._set_tags(run_id, tags)
        return differing

    def _log_values(
        self, run_id: str, params: Mapping[str, ParamValue], metrics: Mapping[str, float]
    ) -> tuple[str, ...]:
        from mlflow.entities import Metric, Param

        with self._calling(run_id):
            run = self._client.get_run(run_id)
            logged = run.data.params  # which cannot be changed
            wanted = {self._keys.safe(key): str(value) for key, value in params.items()}
            differing = [k for k, v in wanted.items() if k in logged and logged[k] != v]
            new = [
                Param(k, v) for k, v in wanted.items() if k not in logged and len(k) <= LONGEST_KEY
            ]
            now = int(run.info.start_time or 0)
            points = [
                Metric(self._keys.safe(key), value, now, 0)
                for key, value in metrics.items()
                if run.data.metrics.get(self._keys.safe(key)) != value
                and len(self._keys.safe(key)) <= LONGEST_KEY
            ]
            for start in range(0, len(new), BATCH):
                self._client.log_batch(run_id, params=new[start : start + BATCH])
            for start in range(0, len(points), BATCH):
                self._client.log_batch(run_id, metrics=points[start : start + BATCH])
        return tuple(differing)

    def _log_files(self, run_id: str, files: LoggedFiles) -> None:
        """Logs artifacts, all in one call."""
        with tempfile.TemporaryDirectory(prefix="anchored-artifacts-") as folder:
            files.put_below(Path(folder), link_or_copy)
            with self._calling(run_id):
                recorded = self._client.get_run(run_id).info.artifact_uri
                if (here := self._here(recorded)) == recorded:
                    self._client.log_artifacts(run_id, folder)
                else:
                    self._repository(here).log_artifacts(folder)

    def _set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Sets tags and reads them back. Raises `TrackerFailed` where one was not kept."""
        from mlflow.entities import RunTag

        wanted = self._keys.safe_tags(tags)
        items = [RunTag(key, value) for key, value in wanted.items()]
        with self._calling(run_id):
            for start in range(0, len(items), BATCH):
                self._client.log_batch(run_id, tags=items[start : start + BATCH])
            kept = self._client.get_run(run_id).data.tags
        lost = sorted(key for key, value in wanted.items() if kept.get(key) != value)
        if lost:
            raise TrackerFailed(f"MLflow did not keep the tags {', '.join(lost)}")

    def log_model(
        self,
        run_id: str,
        content: ModelContent,
        *,
        tags: Mapping[str, str],  # noqa: ARG002 - MLflow has tags of versions, none of artifacts
    ) -> None:
        with self._calling(run_id, **UPLOADING):
            log_model(self._client, run_id, content)

    def end_run(self, run_id: str, ending: Ended, *, name: str, ended: datetime) -> None:
        with self._calling(run_id):
            self._client.update_run(run_id, name=name)
            self._client.set_terminated(run_id, STATUS[ending], int(ended.timestamp() * 1000))

    def reopen_run(self, run_id: str, *, without: Sequence[str] = ()) -> None:
        with self._calling(run_id):
            self._client.update_run(run_id, "RUNNING")
            known = self._client.get_run(run_id).data.tags
            for key in map(self._keys.safe, without):
                if key in known:
                    self._client.delete_tag(run_id, key)
