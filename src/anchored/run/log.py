"""Log the run: params, metrics, artifacts, log and environment to the tracker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from anchored.decisions import tags
from anchored.journal import Journal, Step
from anchored.ports import LoggedFiles
from anchored.records import ENVIRONMENT_DOCUMENT, State
from anchored.training_repo import TrainingRepo

# What a tracker measures of the machine by itself says nothing of the model.
MACHINE_METRICS = "system/"


def log_run(repo: TrainingRepo, key: str) -> Journal:
    """Tells the tracker all that training gave; the state becomes `trained`."""
    journal = repo.journal(key)
    if journal.step >= Step.LOGGED:
        return journal
    run = journal.run
    by_script = of_training(repo.tracker.run(run.run_id).metrics)
    # Those of the metrics file come first: they are what the run was made for.
    metrics = dict(run.metrics) | {k: v for k, v in by_script.items() if k not in run.metrics}
    differing = repo.tracker.log(
        run.run_id,
        params=run.params,
        metrics=run.metrics,
        files=logged_files(repo, journal),
        tags=tags.render_tags(run := run.with_(state=State.TRAINED, metrics=metrics)),
    )
    if differing:
        names = ", ".join(differing)
        repo.report.warn(
            f"the script logged other values for the parameters {names}; both are kept"
        )
    return repo.journals.write(replace(journal, step=Step.LOGGED, run=run))


def of_training(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that say something of the model."""
    return {k: v for k, v in metrics.items() if not k.startswith(MACHINE_METRICS)}


def logged_files(repo: TrainingRepo, journal: Journal) -> LoggedFiles:
    """The run's artifacts if there are any yet."""
    outputs = repo.journals.outputs(journal.key) / "artifacts"
    files: dict[str, Path] = {path: outputs / path for path in journal.output_files}
    texts = {}
    if (log := repo.journals.log(journal.key)).exists():
        files["anchored/train.log"] = log
    if journal.environment.python:
        texts[ENVIRONMENT_DOCUMENT] = journal.environment.render()
    return LoggedFiles(files=files, texts=texts)
