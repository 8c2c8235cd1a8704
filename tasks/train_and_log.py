"""Tasks `fetch_inputs`, `train_and_log`: training in a private worktree, told to the tracker."""

from __future__ import annotations

from anchored.journal import Journal
from anchored.run import log as logging_steps
from anchored.run import train as steps
from tasks.reporting import RepoChoice, opened
from tasks.step import step


@step("fetch_inputs", title="dvc fetch inputs")
def fetch_inputs(repo: RepoChoice, run: Journal) -> Journal:
    """Makes the DVC cache hold the inputs, every byte hashed."""
    workspace = opened(repo, run.key)
    fetched = steps.fetch_inputs(workspace, run.key)
    workspace.report.say(f"inputs are whole in the cache, {fetched} objects fetched")
    return workspace.journal(run.key)


@step("train_and_log", title="train and log")
def train_and_log(repo: RepoChoice, run: Journal) -> Journal:
    """Trains once and logs the outcome; a retry logs again, it never trains again."""
    workspace = opened(repo, run.key)
    steps.train(workspace, run.key)
    logged = logging_steps.log_run(workspace, run.key)
    params, metrics = len(logged.run.params), len(logged.run.metrics)
    workspace.report.say(f"{params} params and {metrics} metrics logged")
    return logged
