"""Tasks `version_model`, `push_model`, `push_refs`: the model into DVC, its pointer into Git."""

from __future__ import annotations

from anchored.journal import Journal
from anchored.run import version_model as steps
from tasks.reporting import RepoChoice, opened
from tasks.step import step


@step("version_model", title="version model", retried=False)
def version_model(repo: RepoChoice, run: Journal) -> Journal:
    """Hashes the model into DVC."""
    workspace = opened(repo, run.key)
    versioned = steps.version_model(workspace, run.key)
    for pointer in versioned.run.model:
        workspace.report.say(f"{pointer.path} is {pointer.md5} ({pointer.size:,} bytes)")
    return versioned


@step("push_model", title="dvc push model")
def push_model(repo: RepoChoice, run: Journal) -> Journal:
    """Brings the model to the DVC remote and sees every object there."""
    workspace = opened(repo, run.key)
    outcome = steps.push_model(workspace, run.key)
    workspace.report.say(f"{outcome.objects} objects seen in the remote, {outcome.sent} sent")
    return workspace.journal(run.key)


@step("push_refs", title="git push run ref")
def push_refs(repo: RepoChoice, run: Journal) -> Journal:
    """Makes the snapshot commit and brings it to the Git remote under its run ref."""
    workspace = opened(repo, run.key)
    steps.commit_snapshot(workspace, run.key)
    published = steps.publish_run(workspace, run.key)
    git = published.run.git
    workspace.report.say(f"snapshot commit {git.commit} stands under {git.ref}")
    return published
