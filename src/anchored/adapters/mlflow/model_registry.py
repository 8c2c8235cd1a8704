"""MLflow's model registry: versions made of runs' models, and the aliases that they have."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from anchored.adapters.mlflow.models import log_model
from anchored.adapters.mlflow.store import MlflowStore
from anchored.adapters.mlflow.timeouts import UPLOADING, once
from anchored.decisions.tags import MODEL
from anchored.ports import ModelContent
from anchored.records import ModelVersion

LOADS_WITH = "anchored.loads_with"  # tag of a version: the function that brings the model back
# An alias that does not exist is an invalid one to MLflow 3.17; such a model is not.
ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}


class MlflowModelRegistry(MlflowStore):
    """The `ModelRegistry` of the database or server that has an MLflow experiment."""

    def registered(self, run_id: str, *, model: str, md5: str) -> ModelVersion | None:
        """The first of several."""
        with self._calling(run_id):
            found = [
                int(version.version)
                for version in self._client.search_model_versions(f"run_id = '{run_id}'")
                if version.name == model and version.tags.get(MODEL) == md5
            ]
            return self._version(model, str(min(found))) if found else None

    def register(
        self, run_id: str, content: ModelContent, *, model: str, tags: Mapping[str, str]
    ) -> ModelVersion:
        with self._calling(run_id, **UPLOADING):
            if known := self.registered(run_id, model=model, md5=content.md5):
                return known
            artifact, loads_with = log_model(self._client, run_id, content)
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

    def version_of_alias(self, model: str, alias: str) -> ModelVersion | None:
        from mlflow.exceptions import MlflowException

        if self._is_unmade:
            return None
        with self._calling():
            try:
                version = self._client.get_model_version_by_alias(model, alias)
            except MlflowException as error:
                if error.error_code in ABSENT:
                    return None
                raise
            return self._recorded(version, alias)

    def set_alias(self, model: str, alias: str, version: str) -> ModelVersion:
        with self._calling():
            self._client.set_registered_model_alias(model, alias, version)
            return self._version(model, version, alias)

    def _first(self, made: Any, run_id: str, *, md5: str) -> ModelVersion:
        """The one version of a run: somebody on another machine may have made it just before."""
        first = self.registered(run_id, model=made.name, md5=md5)
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
