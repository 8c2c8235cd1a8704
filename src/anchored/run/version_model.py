"""Version the model: into DVC, into the remote, and its pointer into the snapshot commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from anchored.decisions.commit_record import CommitRecord, render_message
from anchored.decisions.naming import run_ref
from anchored.errors import BadOutcome
from anchored.journal import Journal, Step
from anchored.ports import PushOutcome
from anchored.run.version_data import pointer_files
from anchored.training_repo import TrainingRepo, moment


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
    """Makes the snapshot commit, which records the run, and keeps it under the run ref, here.

    Raises `BadOutcome` for a record that is too long for a commit.
    """
    journal = repo.journal(key)
    if journal.step >= Step.COMMITTED:
        return journal
    run = journal.run
    source = run.git.source_commit
    commit = repo.code.commit(
        source,
        pointer_files(repo, run.model, source, here=not journal.retrain),
        message=_message(journal),
        when=moment(run.started),
        always=True,
    )
    ref = run_ref(run.run_id)
    repo.code.create(ref, commit)
    return repo.journals.write(
        journal.at(Step.COMMITTED, git=run.git.with_(commit=commit, ref=ref))
    )


def _message(journal: Journal) -> str:
    remote = journal.places.dvc_remote if journal.places else {}
    named = {key: str(remote[key]) for key in ("name", "url") if key in remote}
    try:
        return render_message(CommitRecord(journal.run, named, dict(_versions())))
    except ValueError as error:
        raise BadOutcome(str(error)) from error


def _versions() -> Iterator[tuple[str, str]]:
    for library in ("anchored", "dvc", "mlflow", "wandb"):
        with suppress(PackageNotFoundError):
            yield library, version(library)


def publish_run(repo: TrainingRepo, key: str) -> Journal:
    """Pushes the run ref to the Git remote and sees it there."""
    journal = repo.journal(key)
    if journal.step >= Step.PUBLISHED:
        return journal
    repo.code.publish(journal.run.git.ref)
    return repo.journals.write(journal.at(Step.PUBLISHED))
