"""A run's model for the tracker: its bytes, every one hashed, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from anchored.decisions.tags import COMMIT, DATA, REPO_URL
from anchored.ports import ModelContent
from anchored.records import Environment, Pointer, RunRecord
from anchored.training_repo import TrainingRepo

RUN_NAME, MODEL_PATH = "anchored.run_name", "anchored.model_path"


@contextmanager
def model_content(
    repo: TrainingRepo, pointer: Pointer, *, md5: str, environment: Environment | None
) -> Iterator[ModelContent]:
    """The content of a pointer in a folder that is there for as long as the block lasts.

    `md5` is the hash that the run states, which may be of another kind than the pointer's.
    """
    with repo.journals.scratch() as folder:
        repo.store.export([pointer], folder, repo.report)
        yield ModelContent(folder / pointer.path, md5, environment)


def model_tags(run: RunRecord, path: str) -> dict[str, str]:
    """Where a model comes from."""
    said = {
        COMMIT: run.git.commit,
        REPO_URL: run.git.repo_url,
        DATA: run.data[0].md5 if run.data else "",
        RUN_NAME: run.name,
        MODEL_PATH: path,
    }
    return {key: value for key, value in said.items() if value}


def log_model(repo: TrainingRepo, run: RunRecord, environment: Environment | None) -> None:
    """Logs a run's model with it, where the tracker keeps models of runs that nobody registers."""
    if not repo.tracker.keeps_models:
        return
    for pointer in run.model:
        with model_content(repo, pointer, md5=pointer.md5, environment=environment) as content:
            repo.tracker.log_model(run.run_id, content, tags=model_tags(run, pointer.path))
