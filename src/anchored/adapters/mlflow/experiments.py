"""MLflow's experiments: the one that is named, and those of the whole store or server."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from anchored.adapters.mlflow.timeouts import once
from anchored.decisions.redaction import redact
from anchored.errors import DeletedExperiment, DeletedRun

PAGE = 1_000


class MlflowExperiments:
    """The experiments that a client knows. Errors are MLflow's own.

    With `in_files`, they are those of a file store: MLflow refuses one unless it is allowed, and
    puts a name into a filter without quoting it, so that names are compared here (3.17.2).
    """

    def __init__(self, client: Any, uri: str, *, in_files: bool) -> None:
        self._client, self._uri, self._in_files = client, uri, in_files
        self._names: dict[str, str] = {}  # by id

    def named(self, name: str) -> Any:
        """The experiment of this name, which may be deleted; None where there is none."""
        if not self._in_files:
            return self._client.get_experiment_by_name(name)
        return next((one for one in self._all() if one.name == name), None)

    def id_of(self, name: str, artifacts: str | None) -> str:
        """The id of the experiment of this name, made if there is none.

        Without a place for `artifacts`, the server's own is taken. Raises
        `DeletedExperiment`.
        """
        found = self.named(name)
        if found is None:
            from mlflow.exceptions import MlflowException

            try:
                with once():
                    return str(self._client.create_experiment(name, artifacts))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = self.named(name)
        if found is None or found.lifecycle_stage == "deleted":
            raise DeletedExperiment(
                f"the MLflow experiment {name!r} is deleted",
                hint=f"{self.restoring(found.experiment_id if found else 'ID')}, or name another "
                "in anchored.toml",
            )
        return str(found.experiment_id)

    def name_of(self, experiment_id: str) -> str:
        """The name of the experiment with this id."""
        if experiment_id not in self._names:
            self._names[experiment_id] = self._client.get_experiment(experiment_id).name
        return self._names[experiment_id]

    def ids(self, *, deleted: bool = False) -> list[str]:
        """The ids of all experiments, the deleted ones among them if asked for."""
        return [
            one.experiment_id for one in self._all() if deleted or one.lifecycle_stage == "active"
        ]

    def deleted_run(self, run: Any) -> DeletedRun:
        """What is to be said where a run is wanted that was deleted, alone or with all others."""
        run_id, experiment_id = run.info.run_id, run.info.experiment_id
        if self._client.get_experiment(experiment_id).lifecycle_stage == "deleted":
            return DeletedRun(
                f"the run {run_id} was deleted in MLflow at {redact(self._uri)}, with its "
                f"experiment {self.name_of(experiment_id)!r}",
                hint=self.restoring(experiment_id),
            )
        return DeletedRun(
            f"the run {run_id} was deleted in MLflow at {redact(self._uri)}",
            hint=f"`{self._command} runs restore --run-id {run_id}` brings it back",
        )

    def restoring(self, experiment_id: str) -> str:
        """In words, the command that brings a deleted experiment back."""
        return (
            f"`{self._command} experiments restore --experiment-id {experiment_id}` brings it back "
            "with its runs"
        )

    @property
    def _command(self) -> str:
        allowed = "MLFLOW_ALLOW_FILE_STORE=true " if self._in_files else ""
        return f"{allowed}MLFLOW_TRACKING_URI={shlex.quote(redact(self._uri))} mlflow"

    def _all(self) -> Iterator[Any]:
        """All experiments, the deleted ones too."""
        from mlflow.entities import ViewType

        token: str | None = ""
        while token is not None:
            page = self._client.search_experiments(ViewType.ALL, PAGE, page_token=token or None)
            yield from page
            token = page.token or None
