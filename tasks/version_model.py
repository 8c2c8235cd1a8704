"""Tasks `version_model`, `push_model`, `push_refs`: the model into DVC, its pointer into Git."""

from __future__ import annotations

from prefect import task

from anchored.journal import Journal
from anchored.run import version_model as steps
from tasks.reporting import RepoChoice, opened
from tasks.retrying import ONCE, RETRIED


@task(name="version_model", task_run_name="version model", **ONCE)
def version_model(repo: RepoChoice, run: Journal) -> Journal:
    """Hashes the model into DVC."""
    workspace = opened(repo, run.key)
    versioned = steps.version_model(workspace, run.key)
    for pointer in versioned.run.model:
        workspace.report.say(f"{pointer.path} is {pointer.md5} ({pointer.size:,} bytes)")
    return versioned


@task(name="push_model", task_run_name="dvc push model", **RETRIED)
def push_model(repo: RepoChoice, run: Journal) -> Journal:
    """Brings the model to the DVC remote and sees every object there."""
    workspace = opened(repo, run.key)
    outcome = steps.push_model(workspace, run.key)
    workspace.report.say(f"{outcome.objects} objects seen in the remote, {outcome.sent} sent")
    return workspace.journal(run.key)


@task(name="push_refs", task_run_name="git push run ref", **RETRIED)
def push_refs(repo: RepoChoice, run: Journal) -> Journal:
    """Makes the snapshot commit and brings it to the Git remote under its run ref."""
    workspace = opened(repo, run.key)
    steps.commit_snapshot(workspace, run.key)
    published = steps.publish_run(workspace, run.key)
    git = published.run.git
    workspace.report.say(f"snapshot commit {git.commit} stands under {git.ref}")
    return published
