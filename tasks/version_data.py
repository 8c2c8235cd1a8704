"""Tasks `version_data` and `push_data`: inputs into DVC and its remote, pointers into Git."""

from __future__ import annotations

from prefect import task

from anchored.journal import Journal
from anchored.run import version_data as steps
from tasks.reporting import RepoChoice, opened
from tasks.retrying import RETRIED


@task(name="version_data", task_run_name="version data", **RETRIED)
def version_data(repo: RepoChoice, run: Journal) -> Journal:
    """Hashes the inputs into DVC and makes the source commit."""
    workspace = opened(repo, run.key)
    versioned = steps.version_data(workspace, run.key)
    for pointer in versioned.run.data:
        workspace.report.say(f"{pointer.path} is {pointer.md5} ({pointer.size:,} bytes)")
    workspace.report.say(f"source commit {versioned.run.git.source_commit}")
    return versioned


@task(name="push_data", task_run_name="dvc push data", **RETRIED)
def push_data(repo: RepoChoice, run: Journal) -> Journal:
    """Brings the inputs to the DVC remote and sees every object there."""
    workspace = opened(repo, run.key)
    outcome = steps.push_data(workspace, run.key)
    workspace.report.say(f"{outcome.objects} objects seen in the remote, {outcome.sent} sent")
    return workspace.journal(run.key)
