"""Close a run that will not be sealed, and take up those that were cut off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from anchored.decisions import tags
from anchored.decisions.redaction import redact, url_without_credentials
from anchored.errors import (
    AmbiguousRun,
    AnchoredError,
    BadInput,
    RunFailed,
    ServiceFailed,
    TrainingFailed,
    UnknownRun,
    WrongUse,
)
from anchored.journal import Journal, Step
from anchored.ports import LoggedFiles
from anchored.records import RUN_DOCUMENT, Ended, RunRecord, State, rendered
from anchored.steps.log_run import logged_files
from anchored.steps.open_run import adopted
from anchored.steps.train import end_orphans
from anchored.steps.training_repo import TrainingRepo, moment, now

LONGEST_REASON = 1_000


def fail_run(repo: TrainingRepo, key: str, error: BaseException, *, killed: bool = False) -> None:
    """Records a run as failed, with its log; takes away what it left. Nothing is committed."""
    journal = repo.journals.read(key)
    if journal is None:
        return
    end_orphans(journal)
    repo.code.remove_worktree(repo.journals.tree(key))
    if journal.step == Step.TRAINING:
        # Cut off in training, nobody has compared the inputs: what it could write to is hashed.
        repo.store.mend(journal.run.data, repo.report)
    run = journal.run.with_(state=State.FAILED, ended=now().isoformat(timespec="milliseconds"))
    if run.run_id:
        # Nobody is left to tell of a run that was deleted meanwhile.
        with suppress(UnknownRun):
            _tell(repo, journal, run, error, killed=killed)
    repo.forget(key)


def _tell(
    repo: TrainingRepo, journal: Journal, run: RunRecord, error: BaseException, *, killed: bool
) -> None:
    """Tells the tracker how the run failed."""
    reason = error.message if isinstance(error, AnchoredError) else redact(str(error))
    document = rendered(run.to_json())
    repo.tracker.log(run.run_id, params=run.params, metrics=run.metrics)
    files = logged_files(repo, journal)
    files = LoggedFiles(files.files, {**files.texts, RUN_DOCUMENT: document})
    repo.tracker.log_files(run.run_id, files)
    repo.tracker.set_tags(run.run_id, tags.render_tags(run) | {tags.ERROR: reason[:LONGEST_REASON]})
    ending = Ended.KILLED if killed else Ended.FAILED
    repo.tracker.end_run(run.run_id, ending, name=run.name, ended=moment(run.ended))


def may_be_resumed(repo: TrainingRepo, key: str, error: BaseException) -> bool:
    """Whether a run that an error or an interruption stopped can go on later, from where it was.

    A service that failed costs nothing: its work waits. A run whose training or outcome is at
    fault, that cannot be right as it was asked for, or that the tracker has lost, is over.
    """
    journal = repo.journals.read(key)
    if journal is None:
        return True
    if isinstance(error, UnknownRun):
        # Deleted where it was opened, it is over; not so where another tracker was asked.
        return journal.run.tracker.uri != url_without_credentials(repo.tracker.uri)
    if isinstance(error, RunFailed | BadInput):
        return False
    if isinstance(error, WrongUse):
        # Before training, nothing is lost with the run; after it, the model would be.
        return journal.step >= Step.TRAINED
    return isinstance(error, ServiceFailed) or journal.step != Step.TRAINING


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run that was cut off; `resumable` unless training itself was, or it is a reproduction:
    that is begun anew, and stands for nothing else.
    """

    key: str
    run: RunRecord
    step: Step

    @property
    def resumable(self) -> bool:
        return self.step != Step.TRAINING and self.run.reproduces is None


def claim_unfinished(repo: TrainingRepo, wanted: str | None = None) -> Iterator[Unfinished]:
    """Makes this process the owner of the runs that were cut off, one after the other.

    Runs that another live process works on are passed over. A run that was cut off while it was
    being opened is looked for in the tracker, and forgotten where the tracker never had it.
    Raises `UnknownRun` where a run is named that is not unfinished here, and `AmbiguousRun`.
    """
    repo.journals.sweep(repo.code.remove_worktree)
    meant = [j for j in repo.journals.all() if wanted is None or _is_meant(j.run, wanted)]
    if wanted is not None and not meant:
        raise UnknownRun(f"no unfinished run here answers to {wanted!r}")
    if wanted is not None and len(meant) > 1:
        raise AmbiguousRun(wanted, [f"{j.run.run_id}  {j.run.started[:19]}" for j in meant])
    for seen in meant:
        journal = repo.journals.claim(seen.key)
        if journal is None:
            name = seen.run.name
            repo.report.say(f"{name} is being worked on by another process, left to it")
            continue
        if journal.step == Step.OPENING and (journal := adopted(repo, journal)) is None:
            repo.forget(seen.key)
            continue
        yield Unfinished(key=journal.key, run=journal.run, step=journal.step)


def fail_cut_off(repo: TrainingRepo, key: str) -> None:
    """Closes a run whose training was cut off, or that was being closed as failed already."""
    run, said = repo.journal(key).run, None
    with suppress(UnknownRun):
        said = repo.tracker.run(run.run_id).tags.get(tags.ERROR)
    what = "training" if run.reproduces is None else "the reproduction"
    fail_run(repo, key, TrainingFailed(said or f"{what} was cut off"), killed=said is None)


def _is_meant(run: RunRecord, wanted: str) -> bool:
    return run.name == wanted or (len(wanted) >= 6 and run.run_id.startswith(wanted))
