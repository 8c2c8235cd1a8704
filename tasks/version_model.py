"""Tasks `version_model`, `push_model`, `push_refs`: the model into DVC, its pointer into Git."""

from __future__ import annotations

from anchored.journal import Journal
from anchored.run import version_model as steps
from tasks.reporting import RepoChoice, open_training_repo
from tasks.step import step


@step("version_model", title="version model", retried=False)
def version_model(choice: RepoChoice, run: Journal) -> Journal:
    """Hashes the model into DVC."""
    repo = open_training_repo(choice, run.key)
    versioned = steps.version_model(repo, run.key)
    for pointer in versioned.run.model:
        repo.report.say(f"{pointer.path} is {pointer.md5} ({pointer.size:,} bytes)")
    return versioned


@step("push_model", title="dvc push model")
def push_model(choice: RepoChoice, run: Journal) -> Journal:
    """Brings the model to the DVC remote and sees every object there."""
    repo = open_training_repo(choice, run.key)
    outcome = steps.push_model(repo, run.key)
    repo.report.say(f"{outcome.objects} objects seen in the remote, {outcome.sent} sent")
    return repo.journal(run.key)


@step("push_refs", title="git push run ref")
def push_refs(choice: RepoChoice, run: Journal) -> Journal:
    """Makes the snapshot commit and brings it to the Git remote under its run ref."""
    repo = open_training_repo(choice, run.key)
    steps.commit_snapshot(repo, run.key)
    published = steps.publish_run(repo, run.key)
    git = published.run.git
    repo.report.say(f"snapshot commit {git.commit} is under {git.ref}")
    return published
