"""Close a run that will not be sealed, and take up those that were cut off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from anchored.decisions import tags
from anchored.errors import (
    AnchoredError,
    RunFailed,
    ServiceFailed,
    TrainingFailed,
    UnknownRun,
    WrongUse,
)
from anchored.journal import Journal, Step
from anchored.ports import LoggedFiles
from anchored.records import Ended, RunRecord, State
from anchored.steps.log_run import logged_files
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
        reason = error.message if isinstance(error, AnchoredError) else str(error)
        document = json.dumps(run.to_json(), indent=2, ensure_ascii=False).encode() + b"\n"
        repo.tracker.log(run.run_id, params=run.params, metrics=run.metrics)
        files = logged_files(repo, journal)
        files = LoggedFiles(files.files, {**files.texts, "anchored/run.json": document})
        repo.tracker.log_files(run.run_id, files)
        repo.tracker.set_tags(
            run.run_id, tags.render_tags(run) | {tags.ERROR: reason[:LONGEST_REASON]}
        )
        ending = Ended.KILLED if killed else Ended.FAILED
        repo.tracker.end_run(run.run_id, ending, name=run.name, ended=moment(run.ended))
    repo.journals.close(key)


def may_be_resumed(repo: TrainingRepo, key: str, error: BaseException) -> bool:
    """Whether a run that an error or an interruption stopped can go on later, from where it was.

    A service that failed costs nothing: its work waits. A run whose training or outcome is at
    fault, or that cannot be right as it was asked for, is over.
    """
    journal = repo.journals.read(key)
    if journal is None:
        return True
    if isinstance(error, RunFailed | WrongUse):
        return False
    return isinstance(error, ServiceFailed) or journal.step != Step.TRAINING


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run that was cut off; `resumable` unless training itself was."""

    key: str
    run: RunRecord
    step: Step

    @property
    def resumable(self) -> bool:
        return self.step != Step.TRAINING


def claim_unfinished(repo: TrainingRepo, wanted: str | None = None) -> Iterator[Unfinished]:
    """Makes this process the owner of the runs that were cut off, one after the other.

    Runs that another live process works on are passed over. A run that was cut off while it was
    being opened is looked for in the tracker, and forgotten where the tracker never had it.
    Raises `UnknownRun` where a run is named that is not unfinished here.
    """
    found = False
    repo.journals.sweep()
    for seen in list(repo.journals.all()):
        if wanted is not None and not _is_meant(seen.run, wanted):
            continue
        found = True
        journal = repo.journals.claim(seen.key)
        if journal is None:
            name = seen.run.name
            repo.report.say(f"{name} is being worked on by another process, left to it")
            continue
        if journal.step == Step.OPENING:
            journal = _adopted(repo, journal)
        if journal is not None:
            yield Unfinished(key=journal.key, run=journal.run, step=journal.step)
    if wanted is not None and not found:
        raise UnknownRun(f"no unfinished run here answers to {wanted!r}")


def fail_cut_off(repo: TrainingRepo, key: str) -> None:
    """Closes a run whose training was cut off."""
    fail_run(repo, key, TrainingFailed("training was cut off"), killed=True)


def _adopted(repo: TrainingRepo, journal: Journal) -> Journal | None:
    """The journal with the run that the tracker opened for it; None, and closed, without one."""
    for tracked in repo.tracker.runs_tagged(tags.ATTEMPT, journal.key):
        record = tags.record_of(tracked, kind=repo.tracker.kind, uri=repo.tracker.uri)
        run = journal.run.with_(run_id=tracked.run_id, tracker=record.tracker)
        return repo.journals.write(replace(journal, step=Step.OPENED, run=run))
    repo.journals.close(journal.key)
    return None


def _is_meant(run: RunRecord, wanted: str) -> bool:
    return run.name == wanted or (len(wanted) >= 6 and run.run_id.startswith(wanted))
