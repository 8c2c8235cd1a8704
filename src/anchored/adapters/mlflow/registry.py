"""MLflow's model registry: versions made of runs' models, and the aliases they bear."""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from anchored.adapters.mlflow.calls import once
from anchored.adapters.mlflow.keys import Keys
from anchored.adapters.mlflow.models import laid_out
from anchored.decisions.tags import MODEL
from anchored.ports import ModelContent
from anchored.records import ModelVersion

ARTIFACTS = "anchored/model"  # in a run; below it a folder for each content
LOADS_WITH = "anchored.loads_with"  # tag of a version: the function that brings the model back
# An alias that is not there is an invalid one to MLflow 3.17; a model that is not there is not.
ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
# Seconds: a server may send what it gets on to a store of its own before it answers.
UPLOADING = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "300"}


class MlflowRegistry:
    """The registry of the store or server that a client speaks to. Errors are MLflow's own.

    `page` is where its pages are, as it may be told; empty where nobody serves them.
    """

    def __init__(self, client: Any, page: str, keys: Keys) -> None:
        self._client, self._page, self._keys = client, page, keys

    def version_of(self, run_id: str, *, model: str, md5: str) -> ModelVersion | None:
        """The version that was made of a run's model with this hash; the first of several."""
        found = [
            int(version.version)
            for version in self._client.search_model_versions(f"run_id = '{run_id}'")
            if version.name == model and version.tags.get(MODEL) == md5
        ]
        return self._version(model, str(min(found))) if found else None

    def register(
        self, run_id: str, content: ModelContent, *, model: str, tags: Mapping[str, str]
    ) -> ModelVersion:
        """A version made of a run's model; the one there is, if any."""
        if known := self.version_of(run_id, model=model, md5=content.md5):
            return known
        artifact, loads_with = self.log_model(run_id, content)
        tags = {**tags, MODEL: content.md5, LOADS_WITH: loads_with}
        self._make_model(model)
        # Not `runs:/…`, which is resolved by whatever store a reader has set.
        source = posixpath.join(self._client.get_run(run_id).info.artifact_uri, artifact)
        with once():
            made = self._client.create_model_version(
                model,
                source,
                run_id,
                tags=self._keys.safe_tags(tags),
                # The version's page shows these at once, and its tags in a box that scrolls.
                description="\n".join(f"- {name}: `{value}`" for name, value in tags.items()),
            )
        return self._first(made, run_id, md5=content.md5)

    def log_model(self, run_id: str, content: ModelContent) -> tuple[str, str]:
        """Logs a run's model; returns its path in the run, and the function that loads it."""
        # A folder for each content: a version's bytes stay what they are.
        artifact = posixpath.join(ARTIFACTS, content.md5)
        with tempfile.TemporaryDirectory(prefix="mlflow-", dir=content.place.parent) as beside:
            folder, loads_with = laid_out(
                content, Path(beside, "model"), run_id=run_id, artifact=artifact
            )
            self._client.log_artifacts(run_id, folder, artifact)
        return artifact, loads_with

    def _first(self, made: Any, run_id: str, *, md5: str) -> ModelVersion:
        """The one version of a run: somebody on another machine may have made it just before."""
        first = self.version_of(run_id, model=made.name, md5=md5)
        if first is None or int(first.version) == int(made.version):
            return self._version(made.name, made.version)
        self._client.delete_model_version(made.name, str(made.version))
        return first

    def _make_model(self, model: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            with once():
                self._client.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def version_of_alias(self, model: str, alias: str) -> ModelVersion | None:
        """The version that bears an alias; None where none does."""
        from mlflow.exceptions import MlflowException

        try:
            version = self._client.get_model_version_by_alias(model, alias)
        except MlflowException as error:
            if error.error_code in ABSENT:
                return None
            raise
        return self._recorded(version, alias)

    def set_alias(self, model: str, alias: str, version: str) -> ModelVersion:
        """Lets a version bear an alias, and sees that it does."""
        self._client.set_registered_model_alias(model, alias, version)
        return self._version(model, version, alias)

    def _version(self, model: str, version: str, alias: str = "") -> ModelVersion:
        return self._recorded(self._client.get_model_version(model, str(version)), alias)

    def _recorded(self, version: Any, alias: str = "") -> ModelVersion:
        name, number = version.name, str(version.version)
        url = ""
        if self._page:
            url = f"{self._page}/#/models/{quote(name, safe='')}/versions/{number}"
        loads_with = version.tags.get(LOADS_WITH, "")
        uri = f"models:/{name}@{alias}" if alias else f"models:/{name}/{number}"
        return ModelVersion(
            model=name,
            version=number,
            run_id=version.run_id or "",
            aliases=tuple(version.aliases),
            url=url,
            usage=f'{loads_with}("{uri}")' if loads_with else "",
        )
