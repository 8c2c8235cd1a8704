"""Tasks `version_data` and `push_data`: inputs into DVC and its remote, pointers into Git."""

from __future__ import annotations

from anchored.journal import Journal
from anchored.run import version_data as steps
from tasks.reporting import RepoChoice, open_training_repo
from tasks.step import step


@step("version_data", title="version data")
def version_data(choice: RepoChoice, run: Journal) -> Journal:
    """Hashes the inputs into DVC and makes the source commit."""
    repo = open_training_repo(choice, run.key)
    versioned = steps.version_data(repo, run.key)
    for pointer in versioned.run.data:
        repo.report.say(f"{pointer.path} is {pointer.md5} ({pointer.size:,} bytes)")
    repo.report.say(f"source commit {versioned.run.git.source_commit}")
    return versioned


@step("push_data", title="dvc push data")
def push_data(choice: RepoChoice, run: Journal) -> Journal:
    """Brings the inputs to the DVC remote and sees every object there."""
    repo = open_training_repo(choice, run.key)
    outcome = steps.push_data(repo, run.key)
    repo.report.say(f"{outcome.objects} objects seen in the remote, {outcome.sent} sent")
    return repo.journal(run.key)
