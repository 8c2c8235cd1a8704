"""Seal the run: the tracker learns, last of all, that everything is where it belongs."""

from __future__ import annotations

from dataclasses import dataclass

from anchored.decisions.tags import render_tags
from anchored.journal import Step
from anchored.ports import Advance, BranchOutcome, LoggedFiles
from anchored.records import RUN_DOCUMENT, Ended, RunRecord, State, rendered
from anchored.run.model_content import log_model
from anchored.training_repo import TrainingRepo, moment, now


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed run, and what became of the user's branch."""

    run: RunRecord
    branch: BranchOutcome


def seal(repo: TrainingRepo, key: str) -> Sealed:
    """Writes the tags, reads them back, and brings the branch forward where Git allows it."""
    journal = repo.journal(key)
    if journal.step < Step.SEALED:
        ended = journal.run.ended or now().isoformat(timespec="milliseconds")
        run = journal.run.with_(state=State.SEALED, ended=ended)
        log_model(repo, run, journal.environment)
        document = {RUN_DOCUMENT: rendered(run.to_json())}
        repo.tracker.log(run.run_id, files=LoggedFiles(texts=document), tags=render_tags(run))
        repo.tracker.end_run(run.run_id, Ended.FINISHED, name=run.name, ended=moment(ended))
        journal = repo.journals.write(journal.at(Step.SEALED, state=run.state, ended=ended))
    run = journal.run
    if journal.snapshot:
        branch = BranchOutcome(Advance.LEFT, reason="--snapshot pins the run without moving it")
    else:
        with repo.journals.locked("branch"):  # of two that end at once, the second has to merge
            branch = repo.code.advance(
                run.git.branch,
                base=journal.base,
                commit=run.git.commit,
                message=f"Merge run {run.name}\n\nAnchored-Run: {run.run_id}\n",
            )
    repo.forget(key)
    return Sealed(run=run, branch=branch)
