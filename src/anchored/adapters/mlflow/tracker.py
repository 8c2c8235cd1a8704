"""MLflow as the tracker: a database URI, or a server; old runs are also read from a file store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from anchored.adapters.mlflow.model_registry import MlflowModelRegistry
from anchored.adapters.mlflow.pages import page_server
from anchored.adapters.mlflow.place import is_file_store
from anchored.adapters.mlflow.run_reader import MlflowRunReader
from anchored.adapters.mlflow.run_writer import MlflowRunWriter
from anchored.adapters.mlflow.script_store import metrics_kept_in
from anchored.adapters.mlflow.store import FILE_STORE
from anchored.ports import Pages


def load(uri: str) -> None:
    """Imports what the first call to the tracker of this URI would; opens and creates nothing."""
    import mlflow.tracking

    if uri and is_file_store(uri):
        import mlflow.store.tracking.file_store
    elif not uri.startswith("http"):
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401


class MlflowTracker(MlflowRunWriter, MlflowRunReader, MlflowModelRegistry):
    """The `Tracker` of one MLflow experiment."""

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
        return metrics_kept_in(tree)

    def pages(self) -> Pages:
        """The server's own, or those that we can serve of a database or a folder."""
        if self.uri.startswith("http"):
            return Pages(self._page)
        return Pages(server=page_server(self.uri, artifacts=self._artifacts, lock=self._lock))

    def picture_url(self, run_id: str, path: str) -> str:
        """At MLflow's own server, or at whoever serves its pages."""
        query = urlencode({"path": path, "run_uuid": run_id})
        return f"{self._page}/get-artifact?{query}" if self._page else ""
