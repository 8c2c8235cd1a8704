"""W&B as the tracker: runs in a folder, written offline, or runs of a server.

W&B has no tags with values: a run's one config holds the tags beside the params. Tags are told from
params by their grammar, and every text in the config counts as a tag that was asked for.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anchored.adapters.wandb.failure import failure
from anchored.adapters.wandb.names import artifact_name
from anchored.adapters.wandb.runs import OWN, Entry, LinkedVersion, LoggedModel, WandbRun, WandbRuns
from anchored.decisions.decoding import DEPTH
from anchored.decisions.tags import ATTEMPT, MODEL, is_tag
from anchored.errors import AnchoredError, TrackerFailed, UnknownRun
from anchored.ports import NO_FILES, NOTHING, LoggedFiles, ModelContent, Pages
from anchored.records import Ended, ModelVersion, ParamValue, TrackedRun
from anchored.system.parallel import Stop, in_parallel

# W&B takes neither from a client, and a run is written by several of its runs of the SDK.
STARTED, ENDED, ENDING = "anchored.started", "anchored.ended", "anchored.ending"
RUN_ID = "anchored.run_id"  # in a model's metadata
AT_ONCE = 16


def load(uri: str) -> None:  # noqa: ARG001 - the same for every place
    """Imports what the first call to the tracker would; opens and creates nothing."""
    from anchored.adapters.wandb import writing as wandb_writing

    wandb_writing.load()


class WandbTracker:
    """Runs of one W&B project."""

    kind = "wandb"
    takes_runs = True
    keeps_models = True

    def __init__(self, runs: WandbRuns) -> None:
        self._runs = runs
        self.uri = runs.place

    # --- one run --------------------------------------------------------------------------------

    def open_run(self, *, name: str, tags: Mapping[str, str], started: datetime) -> TrackedRun:
        """A new run in the state running; W&B lets us choose its id, which is the attempt's."""
        run_id = tags.get(ATTEMPT) or uuid.uuid4().hex
        with self._calling():
            opened = WandbRun(run_id, name, self._runs.project)
            self._runs.write(opened, Entry(config={**tags, STARTED: _text(started)}))
        return self.run(run_id)

    def run(self, run_id: str) -> TrackedRun:
        """The run of this id. Raises `UnknownRun`."""
        return _tracked(self._found(run_id))

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, ParamValue] = NOTHING,
        metrics: Mapping[str, float] = NOTHING,
        files: LoggedFiles = NO_FILES,
        tags: Mapping[str, str] = NOTHING,
    ) -> tuple[str, ...]:
        """Logs what it is given; returns the params that the script had logged otherwise.

        W&B's config can be changed; what a script has logged by itself stays all the same.
        """
        run = self._found(run_id)
        logged, known = _params(run), _metrics(run)
        # A param that is named like a tag stands in the tag `anchored.record` alone.
        new = {k: v for k, v in params.items() if k not in logged and not is_tag(k)}
        points = {key: value for key, value in metrics.items() if known.get(key) != value}
        self._write(run, Entry(config={**new, **tags}, metrics=points, files=files))
        if tags:
            self._see(run_id, tags)
        return tuple(k for k, v in params.items() if k in logged and logged[k] != str(v))

    def _see(self, run_id: str, tags: Mapping[str, str]) -> None:
        kept = self._found(run_id).config
        lost = sorted(key for key, value in tags.items() if kept.get(key) != value)
        if lost:
            raise TrackerFailed(f"W&B did not keep the config {', '.join(lost)}")

    def log_model(self, run_id: str, content: ModelContent, *, tags: Mapping[str, str]) -> None:
        """Logs the run's model as an artifact of its own; once, however often it is called."""
        run, model = self._found(run_id), _model(run_id, content, tags)
        with self._calling():
            known = self._runs.has_model(run, model)
        if known:
            return
        with self._calling():
            self._runs.write(run, Entry(model=model))
            kept = self._runs.has_model(run, model)
        if not kept:
            raise TrackerFailed(f"W&B did not keep the model of {run.name!r}")

    def artifact(self, run_id: str, path: str) -> bytes | None:
        """The bytes of one file; None where the run has none of that path."""
        run = self._found(run_id)
        with self._calling():
            return self._runs.file(run, path)

    def artifacts(self, runs: Sequence[TrackedRun], path: str) -> dict[str, bytes]:
        """The bytes of one file by run id, for those of the runs that have it."""

        def fetched(run: TrackedRun, _: Stop) -> bytes | None:
            return self._runs.file(WandbRun(run.run_id, run.name, run.experiment), path)

        with self._calling():
            found = in_parallel(fetched, list(runs), AT_ONCE)
        return {run.run_id: content for run, content in found if content is not None}

    def picture_url(self, run_id: str, path: str) -> str:  # noqa: ARG002 - as for every file
        """Nowhere: offline there is no server, and W&B's own hands out files to its users alone."""
        return ""

    def end_run(self, run_id: str, ending: Ended, *, name: str, ended: datetime) -> None:
        """Marks the run as ended, under the name that it was opened with."""
        run = replace(self._found(run_id), name=name)
        said = {ENDING: str(ending), ENDED: _text(ended)}
        self._write(run, Entry(config=said, ending=ending))

    def reopen_run(self, run_id: str, *, without: Sequence[str] = ()) -> None:
        """Marks an ended run as running again, and takes tags away as far as it has them."""
        run = self._found(run_id)
        gone = {key: None for key in (ENDING, ENDED, *without) if key in run.config}
        self._write(run, Entry(config=gone))

    # --- a script's own calls -------------------------------------------------------------------

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

        runs = sorted(OfflineRuns(tree, project="").everywhere(), key=_start)
        return _metrics(runs[-1]) if runs else {}

    # --- many runs ------------------------------------------------------------------------------

    def runs_tagged(self, tag: str, value: str) -> list[TrackedRun]:
        """The experiment's runs that have a tag of this value, newest first."""
        if tag == ATTEMPT:
            run = self._find(value)
            return [] if run is None or run.config.get(ATTEMPT) != value else [_tracked(run)]
        with self._calling():
            return _newest_first(self._runs.configured(tag, value))

    def runs_by_id(self, ids: Collection[str]) -> list[TrackedRun]:
        """The runs of these ids in any project; of a deleted one, W&B says nothing."""
        with self._calling():
            return _newest_first(self._runs.of_ids(ids))

    def runs_named(self, name: str, *, everywhere: bool = False) -> list[TrackedRun]:
        """The experiment's runs of this name, or those of any project, newest first."""
        with self._calling():
            return _newest_first(self._runs.named(name, everywhere=everywhere))

    def runs_starting_with(self, prefix: str) -> list[TrackedRun]:
        """The experiment's runs whose id starts so, newest first."""
        with self._calling():
            found = self._runs.starting_with(prefix)  # by a pattern, to which a dot is anything
            return _newest_first(run for run in found if run.run_id.startswith(prefix))

    def runs(self, limit: int | None = None) -> Iterable[TrackedRun]:
        """The experiment's runs, newest first."""
        with self._calling():
            return _newest_first(self._runs.newest(limit))[:limit]

    def pages(self) -> Pages:
        """The project's page, or the folder with the command that shows it."""
        return self._runs.pages()

    # --- registered models ----------------------------------------------------------------------

    def run_of_alias(self, model: str, alias: str) -> str:
        """The id of the run whose model a registry's alias names. Raises `UnknownRun`."""
        version = self.version_of_alias(model, alias)
        if version is None:
            raise UnknownRun(f"the registered model {model!r} has no alias {alias!r}")
        if not version.run_id:
            raise UnknownRun(
                f"@{alias} is version {version.version} of the registered model {model!r}, "
                "which names no run"
            )
        return version.run_id

    def version_of_alias(self, model: str, alias: str) -> ModelVersion | None:
        """The version of a registered model that bears an alias; None where none does."""
        for linked in self._versions(model):
            if alias in linked.aliases:
                return self._version(model, linked, alias)
        return None

    def registered(self, run_id: str, *, model: str, md5: str) -> ModelVersion | None:
        """The version of a registered model that was made of a run's model with this hash."""
        for linked in self._versions(model):
            if (linked.metadata.get(RUN_ID), linked.metadata.get(MODEL)) == (run_id, md5):
                return self._version(model, linked)
        return None

    def register(
        self, run_id: str, content: ModelContent, *, model: str, tags: Mapping[str, str]
    ) -> ModelVersion:
        """A version of a registered model, made of a run's model; the one there is, if any."""
        if known := self.registered(run_id, model=model, md5=content.md5):
            return known
        self.log_model(run_id, content, tags=tags)
        run, logged = self._found(run_id), _model(run_id, content, tags)
        with self._calling():
            self._runs.link(run, logged, to=model)
        made = self.registered(run_id, model=model, md5=content.md5)
        if made is None:
            raise TrackerFailed(f"W&B did not keep the version of {model}")
        return made

    def set_alias(self, model: str, alias: str, version: str) -> ModelVersion:
        """Lets a version bear an alias, which no other then does; returns it with its aliases."""
        with self._calling():
            self._runs.set_alias(model, alias, version)
        (linked,) = (one for one in self._versions(model) if one.version == version)
        return self._version(model, linked, alias)

    def _versions(self, model: str) -> Sequence[LinkedVersion]:
        with self._calling():
            return self._runs.versions(model)

    def _version(self, model: str, linked: LinkedVersion, alias: str = "") -> ModelVersion:
        return ModelVersion(
            model=model,
            version=linked.version,
            run_id=str(linked.metadata.get(RUN_ID, "")),
            aliases=linked.aliases,
            url=linked.url,
            usage=self._runs.usage(model, alias or linked.version),
        )

    # --- what comes out -------------------------------------------------------------------------

    def _find(self, run_id: str) -> WandbRun | None:
        with self._calling():
            run = self._runs.find(run_id)
        return run and replace(run, ending=_ending(run))

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


def _tracked(run: WandbRun) -> TrackedRun:
    ours = STARTED in run.config
    return TrackedRun(
        run_id=run.run_id,
        name=run.name,
        experiment=run.project,
        tags={key: value for key, value in run.config.items() if isinstance(value, str)},
        params=_params(run),
        metrics=_metrics(run),
        url=run.url,
        started=_start(run),
        ended=_milliseconds(run.config.get(ENDED)) if ours else run.ended,
        ending=_ending(run),
    )


def _ending(run: WandbRun) -> Ended | None:
    """How a run ended: what W&B says of ours is but how our last entry did."""
    if STARTED not in run.config:
        return run.ending
    said = run.config.get(ENDING)
    return Ended(said) if isinstance(said, str) and said in set(Ended) else None


def _newest_first(runs: Iterable[WandbRun]) -> list[TrackedRun]:
    return [_tracked(run) for run in sorted(runs, key=_start, reverse=True)]


def _start(run: WandbRun) -> int:
    return _milliseconds(run.config.get(STARTED)) or run.started or 0


def _params(run: WandbRun) -> dict[str, str]:
    """What of the config is no tag: as text, with the keys of what is nested joined by dots."""
    flat = dict(_flattened(run.config))
    return {key: _shown(value) for key, value in flat.items() if not is_tag(key)}


def _metrics(run: WandbRun) -> dict[str, float]:
    """The finite numbers of the summary, with the keys of what is nested joined by dots."""
    return {
        key: float(value)
        for key, value in _flattened(run.summary)
        if isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)
    }


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer that is beyond them all
        return False


def _flattened(
    values: Mapping[str, Any], above: str = "", depth: int = DEPTH
) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if not above and key in OWN:
            continue
        if isinstance(value, Mapping):
            if "_type" not in value and depth:  # a picture, a table: W&B's, not a value
                yield from _flattened(value, f"{above}{key}.", depth - 1)
        else:
            yield f"{above}{key}", value


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)


def _model(run_id: str, content: ModelContent, tags: Mapping[str, str]) -> LoggedModel:
    place = content.place
    files = {place.name: place}
    if place.is_dir():
        found = (file for file in place.rglob("*") if file.is_file())
        files = {file.relative_to(place).as_posix(): file for file in found}
    name = artifact_name(run_id, place.name)
    return LoggedModel(name, files, {**tags, MODEL: content.md5, RUN_ID: run_id})


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _milliseconds(text: Any) -> int | None:
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except (TypeError, ValueError, OverflowError):
        return None
