"""Runs of a W&B project: opened, logged to, and ended."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from anchored.adapters.wandb.models import logged_model
from anchored.adapters.wandb.project import WandbProject
from anchored.adapters.wandb.run_values import (
    ENDED,
    ENDING,
    STARTED,
    metrics_of,
    params_of,
    time_text,
    tracked,
)
from anchored.adapters.wandb.runs import Entry, WandbRun
from anchored.decisions.tags import ATTEMPT, is_tag
from anchored.errors import TrackerFailed
from anchored.ports import NO_FILES, NOTHING, LoggedFiles, ModelContent
from anchored.records import Ended, ParamValue, TrackedRun


class WandbRunWriter(WandbProject):
    """The `RunWriter` of a W&B project."""

    def open_run(self, *, name: str, tags: Mapping[str, str], started: datetime) -> TrackedRun:
        """W&B lets us choose its id, which is the attempt's."""
        run_id = tags.get(ATTEMPT) or uuid.uuid4().hex
        with self._calling():
            opened = WandbRun(run_id, name, self._runs.project)
            self._runs.write(opened, Entry(config={**tags, STARTED: time_text(started)}))
        return tracked(self._found(run_id))

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, ParamValue] = NOTHING,
        metrics: Mapping[str, float] = NOTHING,
        files: LoggedFiles = NO_FILES,
        tags: Mapping[str, str] = NOTHING,
    ) -> tuple[str, ...]:
        run = self._found(run_id)
        # What a script has logged by itself stays, although a config can be changed. A param that
        # is named like a tag is in the tag `anchored.record` alone.
        logged, known = params_of(run), metrics_of(run)
        new = {k: v for k, v in params.items() if k not in logged and not is_tag(k)}
        points = {key: value for key, value in metrics.items() if known.get(key) != value}
        self._write(run, Entry(config={**new, **tags}, metrics=points, files=files))
        if tags:
            self._check_kept(run_id, tags)
        return tuple(k for k, v in params.items() if k in logged and logged[k] != str(v))

    def _check_kept(self, run_id: str, tags: Mapping[str, str]) -> None:
        kept = self._found(run_id).config
        lost = sorted(key for key, value in tags.items() if kept.get(key) != value)
        if lost:
            raise TrackerFailed(f"W&B did not keep the config {', '.join(lost)}")

    def log_model(self, run_id: str, content: ModelContent, *, tags: Mapping[str, str]) -> None:
        run, model = self._found(run_id), logged_model(run_id, content, tags)
        with self._calling():
            known = self._runs.has_model(run, model)
        if known:
            return
        with self._calling():
            self._runs.write(run, Entry(model=model))
            kept = self._runs.has_model(run, model)
        if not kept:
            raise TrackerFailed(f"W&B did not keep the model of {run.name!r}")

    def end_run(self, run_id: str, ending: Ended, *, name: str, ended: datetime) -> None:
        run = replace(self._found(run_id), name=name)
        said = {ENDING: str(ending), ENDED: time_text(ended)}
        self._write(run, Entry(config=said, ending=ending))

    def reopen_run(self, run_id: str, *, without: Sequence[str] = ()) -> None:
        run = self._found(run_id)
        gone = {key: None for key in (ENDING, ENDED, *without) if key in run.config}
        self._write(run, Entry(config=gone))
