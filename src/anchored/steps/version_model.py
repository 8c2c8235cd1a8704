"""Version the model: into DVC, into the remote, and its pointer into the snapshot commit."""

from __future__ import annotations

from anchored.decisions.naming import run_ref
from anchored.journal import Journal, Step
from anchored.ports import PushOutcome
from anchored.steps.training_repo import TrainingRepo, moment
from anchored.steps.version_data import pointer_files


def version_model(repo: TrainingRepo, key: str) -> Journal:
    """Hashes the model that training left into the cache."""
    journal = repo.journal(key)
    if journal.step >= Step.MODEL_VERSIONED:
        return journal
    path = repo.config_at(journal.run.git.source_commit).train.model
    file = repo.journals.outputs(key) / "model" / path
    pointer = repo.store.add(file, path, repo.report, move=True)
    return repo.journals.write(journal.at(Step.MODEL_VERSIONED, model=(pointer,)))


def push_model(repo: TrainingRepo, key: str) -> PushOutcome:
    """Brings the model's objects to the remote and sees them there."""
    journal = repo.journal(key)
    if journal.step >= Step.MODEL_PUSHED:
        return PushOutcome(objects=0, sent=0)
    outcome = repo.store.push(journal.run.model, repo.report)
    repo.journals.write(journal.at(Step.MODEL_PUSHED))
    return outcome


def commit_snapshot(repo: TrainingRepo, key: str) -> Journal:
    """Makes the snapshot commit and keeps it under the run ref, here.

    Where the source commit holds this very model already, it is the snapshot commit too.
    """
    journal = repo.journal(key)
    if journal.step >= Step.COMMITTED:
        return journal
    run = journal.run
    source = run.git.source_commit
    commit = repo.code.commit(
        source,
        pointer_files(repo, run.model, source, here=not journal.retrain),
        message=f"Version model of run {run.name}\n\nAnchored-Run: {run.run_id}\n",
        when=moment(run.started),
    )
    ref = run_ref(run.run_id)
    repo.code.keep(ref, commit)
    return repo.journals.write(
        journal.at(Step.COMMITTED, git=run.git.with_(commit=commit, ref=ref))
    )


def publish_run(repo: TrainingRepo, key: str) -> Journal:
    """Pushes the run ref to the Git remote and sees it there."""
    journal = repo.journal(key)
    if journal.step >= Step.PUBLISHED:
        return journal
    repo.code.publish(journal.run.git.ref)
    return repo.journals.write(journal.at(Step.PUBLISHED))
