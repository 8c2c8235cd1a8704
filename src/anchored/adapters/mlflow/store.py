"""What every part of the MLflow tracker works with: the client, and the experiment it is for."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from anchored.adapters.mlflow.experiments import MlflowExperiments
from anchored.adapters.mlflow.failure import failure
from anchored.adapters.mlflow.keys import Keys
from anchored.adapters.mlflow.place import (
    artifacts_here,
    database_of,
    folder_of,
    is_file_store,
    make_database,
    resolved,
)
from anchored.adapters.mlflow.timeouts import QUIET, TIMEOUTS, unless_set
from anchored.decisions.redaction import redact, url_without_credentials
from anchored.errors import NotReady, TrackerFailed, WrongUse
from anchored.records import Ended, TrackedRun
from anchored.system.file_lock import locked

# MLflow 3.17 refuses file stores without it. They are for old runs, and what is found out of them.
FILE_STORE = {"MLFLOW_ALLOW_FILE_STORE": "true"}
STATUS = {Ended.FINISHED: "FINISHED", Ended.FAILED: "FAILED", Ended.KILLED: "KILLED"}
ENDINGS = {status: ending for ending, status in STATUS.items()}
DELETED = "deleted"  # a lifecycle stage
BATCH = 100  # items in one request: params, metrics, tags, ids


class MlflowStore:
    """One MLflow experiment of a database, a server, or a file store.

    `lock` is a file on which two first runs at once take turns: MLflow's migrations of a new
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

    def _repository(self, place: str) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(place, tracking_uri=self.uri)

    def _here(self, place: str) -> str:
        """Where artifacts are now: the repo may have been moved since MLflow noted their place."""
        if self.uri.startswith("http"):
            return place
        own = self._root / "mlruns" if self.takes_runs else folder_of(self.uri)
        return artifacts_here(place, own)

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
        """MLflow's errors become ours, and its timeouts are ours while it is being called."""
        wanted = TIMEOUTS | QUIET | ({} if self.takes_runs else FILE_STORE) | settings
        try:
            with unless_set(wanted):
                yield
        except (WrongUse, TrackerFailed):
            raise
        except Exception as error:
            raise failure(error, redact(self.uri), run_id) from error
