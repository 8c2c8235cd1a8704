"""Tasks `version_data` and `push_data`: inputs into DVC and its remote, pointers into Git."""

from __future__ import annotations

from anchored.journal import Journal
from anchored.run import version_data as steps
from tasks.reporting import RepoChoice, opened
from tasks.step import step


@step("version_data", title="version data")
def version_data(repo: RepoChoice, run: Journal) -> Journal:
    """Hashes the inputs into DVC and makes the source commit."""
    workspace = opened(repo, run.key)
    versioned = steps.version_data(workspace, run.key)
    for pointer in versioned.run.data:
        workspace.report.say(f"{pointer.path} is {pointer.md5} ({pointer.size:,} bytes)")
    workspace.report.say(f"source commit {versioned.run.git.source_commit}")
    return versioned


@step("push_data", title="dvc push data")
def push_data(repo: RepoChoice, run: Journal) -> Journal:
    """Brings the inputs to the DVC remote and sees every object there."""
    workspace = opened(repo, run.key)
    outcome = steps.push_data(workspace, run.key)
    workspace.report.say(f"{outcome.objects} objects seen in the remote, {outcome.sent} sent")
    return workspace.journal(run.key)
