"""Tasks `fetch_inputs`, `train_and_log`: training in a private worktree, told to the tracker."""

from __future__ import annotations

from prefect import task

from anchored.records import RunRecord
from anchored.steps import log_run as logging_steps
from anchored.steps import train as steps
from tasks.reporting import opened
from tasks.retrying import RETRIED


@task(name="fetch_inputs", task_run_name="dvc fetch inputs", **RETRIED)
def fetch_inputs(repo: str, key: str) -> None:
    """Makes the DVC cache hold the inputs, every byte hashed."""
    workspace = opened(repo)
    fetched = steps.fetch_inputs(workspace, key)
    workspace.report.say(f"inputs are whole in the cache, {fetched} objects fetched")


@task(name="train_and_log", task_run_name="train and log", **RETRIED)
def train_and_log(repo: str, key: str) -> RunRecord:
    """Trains once and logs the outcome; a retry logs again, it never trains again."""
    workspace = opened(repo)
    steps.train(workspace, key)
    run = logging_steps.log_run(workspace, key).run
    workspace.report.say(f"{len(run.params)} params and {len(run.metrics)} metrics logged")
    return run
