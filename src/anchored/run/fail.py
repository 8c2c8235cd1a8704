"""Close a run that will not be sealed: as failed, or left to be resumed."""

from __future__ import annotations

from contextlib import suppress

from anchored.decisions import tags
from anchored.decisions.redaction import redact, url_without_credentials
from anchored.errors import (
    AnchoredError,
    BadInput,
    RunFailed,
    ServiceFailed,
    UnknownRun,
    WrongUse,
)
from anchored.journal import Journal, Step
from anchored.ports import LoggedFiles
from anchored.records import RUN_DOCUMENT, Ended, RunRecord, State, rendered
from anchored.run.log import logged_files
from anchored.run.train import end_orphans
from anchored.training_repo import TrainingRepo, moment, now

LONGEST_REASON = 1_000


def fail_run(repo: TrainingRepo, key: str, error: BaseException, *, killed: bool = False) -> None:
    """Records a run as failed, with its log; removes what it left. Nothing is committed."""
    journal = repo.journals.read(key)
    if journal is None:
        return
    repo = repo.bound(journal)
    end_orphans(journal)
    repo.code.remove_worktree(repo.journals.tree(key))
    if journal.step == Step.TRAINING:
        # Interrupted in training, nobody has compared the inputs: what it could write to is hashed.
        repo.store.repair(journal.run.data, repo.report)
    run = journal.run.with_(state=State.FAILED, ended=now().isoformat(timespec="milliseconds"))
    if run.run_id:
        # There is nobody to inform of a run that was deleted meanwhile.
        with suppress(UnknownRun):
            _tell(repo, journal, run, error, killed=killed)
    repo.forget(key)


def _tell(
    repo: TrainingRepo, journal: Journal, run: RunRecord, error: BaseException, *, killed: bool
) -> None:
    """Tells the tracker how the run failed."""
    reason = error.message if isinstance(error, AnchoredError) else redact(str(error))
    document = rendered(run.to_json())
    files = logged_files(repo, journal)
    repo.tracker.log(
        run.run_id,
        params=run.params,
        metrics=run.metrics,
        files=LoggedFiles(files.files, {**files.texts, RUN_DOCUMENT: document}),
        tags=tags.render_tags(run) | {tags.ERROR: reason[:LONGEST_REASON]},
    )
    ending = Ended.KILLED if killed else Ended.FAILED
    repo.tracker.end_run(run.run_id, ending, name=run.name, ended=moment(run.ended))


def may_be_resumed(repo: TrainingRepo, key: str, error: BaseException) -> bool:
    """Whether a run that an error or an interruption stopped can go on later, from where it was.

    A service that failed costs nothing: its work waits. A run whose training or outcome is at
    fault, that cannot be right as it was asked for, or that the tracker has lost, is over. So is
    any reproduction: it is begun anew, and nothing else needs it.
    """
    journal = repo.journals.read(key)
    if journal is None:
        return True
    if journal.run.reproduces is not None:
        return False
    if isinstance(error, UnknownRun):
        # Deleted where it was opened, it is over; not so where another tracker was asked.
        asked = repo.bound(journal).tracker
        return journal.run.tracker.uri != url_without_credentials(asked.uri)
    if isinstance(error, RunFailed | BadInput):
        return False
    if isinstance(error, WrongUse):
        # Before training, nothing is lost with the run; after it, the model would be.
        return journal.step >= Step.TRAINED
    return isinstance(error, ServiceFailed) or journal.step != Step.TRAINING


def leave_open(repo: TrainingRepo, key: str, reason: str, ending: Ended = Ended.KILLED) -> None:
    """Tells the tracker that nobody works on the run any more, and that it can be resumed."""
    journal = repo.journal(key)
    repo, run = repo.bound(journal), journal.run
    repo.code.remove_worktree(repo.journals.tree(key))
    run_id = run.run_id
    said = f"{reason[:LONGEST_REASON]}; `anchored resume` finishes the run"
    with suppress(UnknownRun):
        known = repo.tracker.run(run_id).tags
        if known.get(tags.STATE) == State.SEALED or known.get(tags.ERROR):
            return  # all that is left to do is the branch; or it was said already
        repo.tracker.log(run_id, tags={tags.ERROR: said, tags.STATE: str(State.FAILED)})
        repo.tracker.end_run(run_id, ending, name=run.name, ended=now())
