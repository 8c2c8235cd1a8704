"""Versions of registered models in W&B, made of runs' models, and their aliases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anchored.adapters.wandb.models import RUN_ID, logged_model
from anchored.adapters.wandb.run_writer import WandbRunWriter
from anchored.adapters.wandb.runs import LinkedVersion
from anchored.decisions.tags import MODEL
from anchored.errors import TrackerFailed
from anchored.ports import ModelContent
from anchored.records import ModelVersion


class WandbModelRegistry(WandbRunWriter):
    """The `ModelRegistry` of a W&B project; a version is made of a model that a run has logged."""

    def version_of_alias(self, model: str, alias: str) -> ModelVersion | None:
        for linked in self._versions(model):
            if alias in linked.aliases:
                return self._version(model, linked, alias)
        return None

    def registered(self, run_id: str, *, model: str, md5: str) -> ModelVersion | None:
        for linked in self._versions(model):
            if (linked.metadata.get(RUN_ID), linked.metadata.get(MODEL)) == (run_id, md5):
                return self._version(model, linked)
        return None

    def register(
        self, run_id: str, content: ModelContent, *, model: str, tags: Mapping[str, str]
    ) -> ModelVersion:
        if known := self.registered(run_id, model=model, md5=content.md5):
            return known
        self.log_model(run_id, content, tags=tags)
        run, logged = self._found(run_id), logged_model(run_id, content, tags)
        with self._calling():
            self._runs.link(run, logged, to=model)
        made = self.registered(run_id, model=model, md5=content.md5)
        if made is None:
            raise TrackerFailed(f"W&B did not keep the version of {model}")
        return made

    def set_alias(self, model: str, alias: str, version: str) -> ModelVersion:
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
