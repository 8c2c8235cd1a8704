"""MLflow as the tracker: a database URI, or a server; old runs are also read from a file store."""

from __future__ import annotations

import logging
import math
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from anchored.adapters.mlflow.bulk_artifacts import artifacts_at
from anchored.adapters.mlflow.calls import PATIENCE, once, patience
from anchored.adapters.mlflow.experiments import MlflowExperiments
from anchored.adapters.mlflow.failure import failure, is_absent
from anchored.adapters.mlflow.keys import LONGEST_KEY, Keys
from anchored.adapters.mlflow.pages import page_server
from anchored.adapters.mlflow.place import (
    artifacts_here,
    database_of,
    folder_of,
    is_file_store,
    make_database,
    resolved,
)
from anchored.adapters.mlflow.registry import UPLOADING, MlflowRegistry
from anchored.adapters.mlflow.script_store import metrics_kept_in
from anchored.decisions.redaction import redact, url_without_credentials
from anchored.errors import NotReady, TrackerFailed, UnknownRun, WrongUse
from anchored.ports import NO_FILES, NOTHING, LoggedFiles, ModelContent, Pages
from anchored.records import Ended, ModelVersion, ParamValue, TrackedRun
from anchored.system.file_lock import locked
from anchored.system.files import link_or_copy

# MLflow 3.17 refuses file stores without it. They are for runs of old, and what is said of them.
FILE_STORE = {"MLFLOW_ALLOW_FILE_STORE": "true"}
RUN_ID = re.compile(r"[A-Za-z0-9][\w-]{0,255}", re.ASCII)  # as MLflow's own check has it
BATCH, PAGE = 100, 1_000
STATUS = {Ended.FINISHED: "FINISHED", Ended.FAILED: "FAILED", Ended.KILLED: "KILLED"}
DELETED = "deleted"  # a lifecycle stage
ENDINGS = {status: ending for ending, status in STATUS.items()}


def load(uri: str) -> None:
    """Imports what the first call to the tracker of this URI would; opens and creates nothing."""
    import mlflow.tracking

    if uri and is_file_store(uri):
        import mlflow.store.tracking.file_store
    elif not uri.startswith("http"):
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401


class MlflowTracker:
    """Runs of one MLflow experiment.

    `lock` is a file that two first runs at once take turns on: MLflow's migrations of a new
    database do not (seen with MLflow 3.17.2). `page` is where somebody serves MLflow's pages of a
    database, which has none of its own.
    """

    kind = "mlflow"
    keeps_models = False  # an MLflow artifact is a second copy, and DVC has the first

    def __init__(
        self, uri: str, *, experiment: str, root: Path, lock: Path, page: str = ""
    ) -> None:
        self.uri = resolved(uri, root)
        self.takes_runs = not is_file_store(uri)
        self._keys = Keys(flat=not self.takes_runs)
        self._experiment, self._root, self._lock = experiment, root, lock
        page = self.uri if self.uri.startswith("http") else page
        self._page = url_without_credentials(page).rstrip("/")

    @cached_property
    def _client(self) -> Any:
        from mlflow.tracking import MlflowClient

        for noisy in ("mlflow", "mlflow.store.db.utils", "alembic"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        if self.uri.startswith("http"):
            return MlflowClient(tracking_uri=self.uri)
        if not self.takes_runs and not (folder := folder_of(self.uri)).is_dir():
            # MLflow would make one, and whoever only looks changes nothing.
            raise NotReady(
                f"there is no MLflow file store {folder}",
                hint='see tracker.uri in anchored.toml, for example "sqlite:///mlflow.db"',
            )
        with locked(self._lock):
            make_database(self.uri)
            return MlflowClient(tracking_uri=self.uri)

    @property
    def _is_unmade(self) -> bool:
        """Whether its database is yet to be made: by the first run, not by who only looks."""
        return (file := database_of(self.uri)) is not None and not file.exists()

    @cached_property
    def _experiments(self) -> MlflowExperiments:
        return MlflowExperiments(self._client, self.uri, in_files=not self.takes_runs)

    @cached_property
    def _experiment_id(self) -> str:
        # A database says nothing of artifacts, and MLflow's default is the current folder.
        knows = self.uri.startswith("http") or not self.takes_runs
        return self._experiments.id_of(self._experiment, None if knows else self._artifacts)

    @property
    def _artifacts(self) -> str:
        return (self._root / "mlruns").as_uri()

    # --- one run --------------------------------------------------------------------------------

    def open_run(self, *, name: str, tags: Mapping[str, str], started: datetime) -> TrackedRun:
        """A new run in the state running."""
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

    def run(self, run_id: str) -> TrackedRun:
        """The run of this id. Raises `UnknownRun`: `DeletedRun` where it can be brought back."""
        if self._is_unmade or not RUN_ID.fullmatch(run_id):
            raise UnknownRun(f"MLflow at {redact(self.uri)} has no run {run_id}")
        with self._calling(run_id):
            run = self._client.get_run(run_id)
            if run.info.lifecycle_stage == DELETED:
                raise self._experiments.deleted_run(run)
            return self._tracked(run)

    def training_variables(self, run_id: str) -> dict[str, str]:
        """Environment variables by which `mlflow.start_run()` in a script resumes the run."""
        own = {
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_EXPERIMENT_NAME": self._experiment,
            "MLFLOW_RUN_ID": run_id,
        }
        return own if self.takes_runs else own | FILE_STORE

    def refuses_to_join(self, run_id: str, output: Sequence[str]) -> bool:
        """Whether MLflow refused `start_run()` because the script set another store or experiment.

        Words of MLflow 3.17's `fluent.start_run` and of its stores.
        """
        about_us = [line for line in output if run_id in line]
        return any("not found" in line or "Cannot start run with ID" in line for line in about_us)

    def metrics_kept_in(self, tree: Path) -> dict[str, float]:
        """Metrics that a script logged to a store of its own in the tree where it ran."""
        return metrics_kept_in(tree)

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, ParamValue] = NOTHING,
        metrics: Mapping[str, float] = NOTHING,
        files: LoggedFiles = NO_FILES,
        tags: Mapping[str, str] = NOTHING,
    ) -> tuple[str, ...]:
        """Logs what it is given, tags last; returns the params that the script logged otherwise.

        MLflow's params cannot be changed: what a script has logged by itself stays.
        """
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
            logged = run.data.params
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
            for path, file in files.files.items():
                target = Path(folder, path)
                target.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(file, target)
            for path, content in files.texts.items():
                target = Path(folder, path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            with self._calling(run_id):
                recorded = self._client.get_run(run_id).info.artifact_uri
                if (here := self._here(recorded)) == recorded:
                    self._client.log_artifacts(run_id, folder)
                else:
                    self._repository(here).log_artifacts(folder)

    def _set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Sets tags, and sees them by reading them back. Raises `TrackerFailed` otherwise."""
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
        """Logs a run's model in the form in which MLflow loads it."""
        with self._calling(run_id, **UPLOADING):
            self._registry.log_model(run_id, content)

    def artifact(self, run_id: str, path: str) -> bytes | None:
        """The bytes of one artifact; None where the run has none of that path."""
        from mlflow.exceptions import MlflowException

        with (
            tempfile.TemporaryDirectory(prefix="anchored-artifact-") as folder,
            self._calling(run_id),
        ):
            try:
                place = self._here(self._client.get_run(run_id).info.artifact_uri)
                return Path(self._repository(place).download_artifacts(path, folder)).read_bytes()
            except (OSError, MlflowException, ValueError) as error:
                if isinstance(error, FileNotFoundError) or is_absent(error):
                    return None
                raise

    def artifacts(self, runs: Sequence[TrackedRun], path: str) -> dict[str, bytes]:
        """The bytes of one artifact by run id, for those of the runs that have it."""
        from mlflow.exceptions import MlflowException

        repository = cache(self._repository)

        def fetched(place: str, name: str, file: str) -> bool:
            try:
                repository(place)
            except (
                MlflowException,
                ValueError,
            ):  # an address that nothing of MLflow's knows, of one run alone
                return False
            try:
                # `download_artifacts` lists first, which is a second question for each run.
                repository(place)._download_file(name, file)  # noqa: SLF001
            except (OSError, MlflowException) as error:
                if isinstance(error, FileNotFoundError) or is_absent(error):
                    return False
                raise
            return True

        with self._calling():
            return artifacts_at({run.run_id: run.artifacts for run in runs}, path, fetched)

    def _repository(self, place: str) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(place, tracking_uri=self.uri)

    def _here(self, place: str) -> str:
        """Where artifacts are now: the repo may have been moved since MLflow noted their place."""
        if self.uri.startswith("http"):
            return place
        own = self._root / "mlruns" if self.takes_runs else folder_of(self.uri)
        return artifacts_here(place, own)

    def picture_url(self, run_id: str, path: str) -> str:
        """Where MLflow's server hands out an artifact; empty where nobody serves its pages."""
        query = urlencode({"path": path, "run_uuid": run_id})
        return f"{self._page}/get-artifact?{query}" if self._page else ""

    def end_run(self, run_id: str, ending: Ended, *, name: str, ended: datetime) -> None:
        """Marks the run as ended, under the name that it was opened with."""
        with self._calling(run_id):
            self._client.update_run(run_id, name=name)
            self._client.set_terminated(run_id, STATUS[ending], int(ended.timestamp() * 1000))

    def reopen_run(self, run_id: str, *, without: Sequence[str] = ()) -> None:
        """Marks an ended run as running again, and takes tags away as far as it has them."""
        with self._calling(run_id):
            self._client.update_run(run_id, "RUNNING")
            there = self._client.get_run(run_id).data.tags
            for key in map(self._keys.safe, without):
                if key in there:
                    self._client.delete_tag(run_id, key)

    # --- many runs ------------------------------------------------------------------------------

    def runs_tagged(self, tag: str, value: str) -> list[TrackedRun]:
        """The experiment's runs that have a tag of this value."""
        return list(self._search(f"tags.`{self._keys.safe(tag)}` = {_quoted(value)}"))

    def runs_named(self, name: str, *, everywhere: bool = False) -> list[TrackedRun]:
        """The experiment's runs of this name, or those of any experiment, newest first."""
        if "'" not in name or '"' not in name:
            query = f"attributes.run_name = {_quoted(name)}"
            return list(self._search(query, everywhere=everywhere))
        # MLflow's filter grammar cannot quote a text that has both kinds of quotes.
        start = re.split(r"['\"%_]", name, maxsplit=1)[0]
        found = self._search(f"attributes.run_name LIKE '{start}%'", everywhere=everywhere)
        return [run for run in found if run.name == name]

    def runs_starting_with(self, prefix: str) -> list[TrackedRun]:
        """The experiment's runs whose id starts so, newest first."""
        found = self._search(f"attributes.run_id LIKE '{prefix}%'")
        # To LIKE, `_` is any character, and in SQLite a letter is both of its cases.
        return [run for run in found if run.run_id.startswith(prefix)]

    def runs_by_id(self, ids: Collection[str]) -> list[TrackedRun]:
        """The runs of these ids in any experiment, deleted ones too, in no order."""
        from mlflow.entities import ViewType

        known = [run_id for run_id in ids if RUN_ID.fullmatch(run_id)]
        if self._is_unmade or not known:
            return []
        found: list[TrackedRun] = []
        with self._calling():
            everywhere = self._experiments.ids(deleted=True)
            for start in range(0, len(known), BATCH):
                batch = ", ".join(f"'{run_id}'" for run_id in known[start : start + BATCH])
                query = f"attributes.run_id IN ({batch})"
                page = self._client.search_runs(everywhere, query, ViewType.ALL, BATCH)
                found += map(self._tracked, page)
        return found

    def runs(self, limit: int | None = None) -> Iterable[TrackedRun]:
        """The experiment's runs, newest first."""
        return self._search("", limit)

    def pages(self) -> Pages:
        """The server's own pages, or those that we can serve on a database or a folder."""
        if self.uri.startswith("http"):
            return Pages(self._page)
        return Pages(server=page_server(self.uri, artifacts=self._artifacts, lock=self._lock))

    def _search(
        self, query: str, limit: int | None = None, *, everywhere: bool = False
    ) -> Iterator[TrackedRun]:
        token, left = None, limit
        if self._is_unmade:
            return
        with self._calling():
            # Asking makes no experiment: whoever only looks changes nothing.
            if not everywhere and self._experiments.named(self._experiment) is None:
                return
            where = self._experiments.ids() if everywhere else [self._experiment_id]
        while left is None or left > 0:
            with self._calling():
                page = self._client.search_runs(
                    where,
                    filter_string=query,
                    max_results=PAGE if left is None else min(PAGE, left),
                    order_by=["attributes.start_time DESC"],
                    page_token=token,
                )
            yield from map(self._tracked, page)
            token = page.token
            left = None if left is None else left - len(page)
            if not token:
                return

    # --- registered models ----------------------------------------------------------------------

    @cached_property
    def _registry(self) -> MlflowRegistry:
        return MlflowRegistry(self._client, self._page, self._keys)

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
        if self._is_unmade:
            return None
        with self._calling():
            return self._registry.version_of_alias(model, alias)

    def registered(self, run_id: str, *, model: str, md5: str) -> ModelVersion | None:
        """The version of a registered model that was made of a run's model with this hash."""
        with self._calling(run_id):
            return self._registry.version_of(run_id, model=model, md5=md5)

    def register(
        self, run_id: str, content: ModelContent, *, model: str, tags: Mapping[str, str]
    ) -> ModelVersion:
        """A version of a registered model, made of a run's model; the one there is, if any."""
        with self._calling(run_id, **UPLOADING):
            return self._registry.register(run_id, content, model=model, tags=tags)

    def set_alias(self, model: str, alias: str, version: str) -> ModelVersion:
        """Lets a version bear an alias, which no other then does; returns it with its aliases."""
        with self._calling():
            return self._registry.set_alias(model, alias, version)

    # --- what comes out -------------------------------------------------------------------------

    def _tracked(self, run: Any) -> TrackedRun:
        info, url = run.info, ""
        if self._page:
            url = f"{self._page}/#/experiments/{info.experiment_id}/runs/{info.run_id}"
        return TrackedRun(
            run_id=info.run_id,
            name=info.run_name or "",
            experiment=self._experiments.name_of(info.experiment_id),
            tags={self._keys.original(key): value for key, value in run.data.tags.items()},
            params={self._keys.original(key): value for key, value in run.data.params.items()},
            metrics={
                self._keys.original(key): value
                for key, value in run.data.metrics.items()
                if math.isfinite(value)
            },
            url=url,
            started=info.start_time,
            ended=info.end_time,
            ending=ENDINGS.get(info.status),
            artifacts=self._here(info.artifact_uri or ""),
            deleted=info.lifecycle_stage == DELETED,
        )

    @contextmanager
    def _calling(self, run_id: str = "", **settings: str) -> Iterator[None]:
        """MLflow's errors become ours; its patience is ours while it is being called."""
        wanted = PATIENCE | ({} if self.takes_runs else FILE_STORE) | settings
        try:
            with patience(wanted):
                yield
        except (WrongUse, TrackerFailed):
            raise
        except Exception as error:
            raise failure(error, redact(self.uri), run_id) from error


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"
