"""Tasks `fetch_inputs`, `train_and_log`: training in a worktree, logged to the tracker."""

from __future__ import annotations

from anchored.journal import Journal
from anchored.run import log as logging_steps
from anchored.run import train as steps
from tasks.reporting import RepoChoice, open_training_repo
from tasks.step import step


@step("fetch_inputs", title="dvc fetch inputs")
def fetch_inputs(choice: RepoChoice, run: Journal) -> Journal:
    """Makes the DVC cache hold the inputs, every byte hashed."""
    repo = open_training_repo(choice, run.key)
    fetched = steps.fetch_inputs(repo, run.key)
    repo.report.say(f"inputs are complete in the cache, {fetched} objects fetched")
    return repo.journal(run.key)


@step("train_and_log", title="train and log")
def train_and_log(choice: RepoChoice, run: Journal) -> Journal:
    """Trains once and logs the outcome; a retry logs again, it never trains again."""
    repo = open_training_repo(choice, run.key)
    steps.train(repo, run.key)
    logged = logging_steps.log_run(repo, run.key)
    params, metrics = len(logged.run.params), len(logged.run.metrics)
    repo.report.say(f"{params} params and {metrics} metrics logged")
    return logged
