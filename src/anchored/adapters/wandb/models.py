"""A run's model as a W&B artifact."""

from __future__ import annotations

from collections.abc import Mapping

from anchored.adapters.wandb.names import artifact_name
from anchored.adapters.wandb.runs import LoggedModel
from anchored.decisions.tags import MODEL
from anchored.ports import ModelContent

RUN_ID = "anchored.run_id"  # in a model's metadata


def logged_model(run_id: str, content: ModelContent, tags: Mapping[str, str]) -> LoggedModel:
    """The artifact that a run's model is logged as; its metadata are the tags and what it is."""
    place = content.place
    files = {place.name: place}
    if place.is_dir():
        found = (file for file in place.rglob("*") if file.is_file())
        files = {file.relative_to(place).as_posix(): file for file in found}
    name = artifact_name(run_id, place.name)
    return LoggedModel(name, files, {**tags, MODEL: content.md5, RUN_ID: run_id})
