"""Close a run that will not be sealed, and resume those that were interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from anchored.decisions import tags
from anchored.decisions.naming import (
    Reference,
    is_whole_id,
    may_have_ref,
    reference_of,
    run_ref,
)
from anchored.decisions.twins import twins
from anchored.errors import (
    AmbiguousRun,
    DeletedExperiment,
    TrainingFailed,
    UnknownRun,
    WrongUse,
)
from anchored.history.find import found
from anchored.journal import Journal, Step
from anchored.records import Ended, FlowLink, RunRecord, State
from anchored.run.fail import fail_run, may_be_resumed
from anchored.run.open import adopt
from anchored.run.twins import close_certain_twins, close_twins
from anchored.run.worktree import sweep
from anchored.training_repo import TrainingRepo, now, place_of


def is_elsewhere(repo: TrainingRepo, journal: Journal) -> bool:
    """Whether a run was opened in another kind of tracker than the one that is asked now.

    So it can be where its journal, of an earlier version, does not fix the tracker. Then nothing
    can be said of it here, and it must not be forgotten.
    """
    return journal.run.tracker.kind not in {"", repo.bound(journal).tracker.kind}


def check_here(repo: TrainingRepo, journal: Journal) -> None:
    """Raises `WrongUse`, naming the tracker, for a run that was opened in another one."""
    run = journal.run
    if is_elsewhere(repo, journal):
        raise WrongUse(
            f"{run.name} was opened in {place_of(run.tracker)}, not in {place_of(repo.tracker)}",
            hint=f"add --tracker {run.tracker.kind}",
        )


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run that was interrupted; `resumable` unless training itself was, or it is a reproduction:
    that is begun anew, and replaces nothing else.
    """

    key: str
    run: RunRecord
    step: Step

    @property
    def resumable(self) -> bool:
        return self.step != Step.TRAINING and self.run.reproduces is None


def claim_unfinished(repo: TrainingRepo, wanted: str | None = None) -> Iterator[Unfinished]:
    """Makes this process the owner of the runs that were interrupted, one after the other.

    Runs that another live process works on are passed over. A run that was interrupted while it was
    being opened is looked for in the tracker, and forgotten where the tracker never had it.
    One of another tracker is passed on as its journal has it. Raises `UnknownRun` where a run is
    named that is not unfinished here, and `AmbiguousRun`.
    """
    sweep(repo)
    if wanted is None:
        with suppress(DeletedExperiment):
            close_certain_twins(repo)
    meant = [*repo.journals.all()]
    if wanted is not None:
        meant = [j for j in meant if _is_meant(j.run, wanted)]
        if not meant:
            raise UnknownRun(f"no unfinished run here answers to {wanted!r}")
        if len(meant) > 1:
            lines = [f"{j.run.run_id}  {j.run.started[:19]}  {j.run.name!r}" for j in meant]
            raise AmbiguousRun(
                wanted, lines, hint="name one by its full id, or finish all without RUN"
            )
    for seen in meant:
        journal = repo.journals.claim(seen.key)
        if journal is None:
            name = seen.run.name
            repo.report.say(f"{name} is being worked on by another process, left to it")
            continue
        if unfinished := _opened(repo, journal):
            yield unfinished


def _opened(repo: TrainingRepo, journal: Journal) -> Unfinished | None:
    """A claimed run as the tracker has it; one that it never had is forgotten, and None."""
    opened: Journal | None = journal
    if not is_elsewhere(repo, journal):
        asked = repo.bound(journal)
        # Of a deleted experiment, every run was deleted: there is none to go on with.
        with suppress(DeletedExperiment):
            if journal.step == Step.OPENING:
                opened = None
                opened = adopt(asked, journal)
            else:
                same = asked.tracker.runs_tagged(tags.ATTEMPT, journal.key)
                close_twins(asked, twins(same, known=journal.run.run_id))
    if opened is None:
        repo.forget(journal.key)
        return None
    return Unfinished(key=opened.key, run=opened.run, step=opened.step)


def fail_interrupted(repo: TrainingRepo, key: str, reason: str | None = None) -> None:
    """Closes a run whose training was interrupted, or that was being closed as failed already."""
    journal, said = repo.journal(key), None
    run, repo = journal.run, repo.bound(journal)
    with suppress(UnknownRun):
        said = repo.tracker.run(run.run_id).tags.get(tags.ERROR)
    what = "training" if run.reproduces is None else "the reproduction"
    reason = reason or f"{what} was interrupted"
    fail_run(repo, key, TrainingFailed(said or reason), killed=said in {None, reason})


def continue_run(repo: TrainingRepo, key: str, flow: FlowLink) -> Journal:
    """Makes this process the owner of a run that was interrupted; the tracker says that it goes on.

    From now on it is the run of this flow run. Raises `UnknownRun`, the run then being forgotten
    where the tracker has lost it, and `WrongUse` where another process works on it or it is another
    tracker's.
    """
    begun = repo.journal(key)
    check_here(repo, begun)
    repo = repo.bound(begun)
    claimed = repo.journals.claim(key)
    if claimed is None:
        raise WrongUse(f"{begun.run.name} is being worked on by another process")
    if _opened(repo, claimed) is None:
        raise UnknownRun(f"{begun.run.name} was interrupted before the tracker knew of it")
    journal = repo.journal(key)
    try:
        return _going_on(repo, journal, flow)
    except UnknownRun as error:
        if not may_be_resumed(repo, key, error):
            fail_run(repo, key, error)
        raise


def _going_on(repo: TrainingRepo, journal: Journal, flow: FlowLink) -> Journal:
    """Tells the tracker that a run goes on, unless it is sealed and but the branch is left."""
    run_id = journal.run.run_id
    known = repo.tracker.run(run_id).tags
    if known.get(tags.STATE) == State.SEALED:
        return journal
    if flow.flow_run_id:
        journal = repo.journals.write(replace(journal, run=journal.run.with_(prefect=flow)))
    if tags.ERROR in known:
        repo.tracker.reopen_run(run_id, without=[tags.ERROR])
    repo.tracker.log(run_id, tags=tags.state_tags(journal.run))
    return journal


def close_lost(repo: TrainingRepo, wanted: str) -> RunRecord:
    """Closes a run as failed that is open in the tracker and of which no journal is here.

    Only one that is named: its machine may be gone, or be another one that still works on it and
    will say so. Raises `UnknownRun` where no such run is open, and `AmbiguousRun`.
    """
    unknown = UnknownRun(
        f"no unfinished run here answers to {wanted!r}",
        hint="without RUN, `anchored resume` finishes all that were interrupted",
    )
    try:
        run = found(repo, wanted)
    except UnknownRun:
        raise unknown from None
    sealed = may_have_ref(run.run_id) and repo.code.bring_ref(run_ref(run.run_id))
    if run.state not in {State.RUNNING, State.TRAINED} or run.reproduces or sealed:
        raise unknown
    said = {tags.ERROR: "closed by `anchored resume`: nothing is left of its work"}
    repo.tracker.log(run.run_id, tags={**said, tags.STATE: str(State.FAILED)})
    repo.tracker.end_run(run.run_id, Ended.KILLED, name=run.name, ended=now())
    return run


def _is_meant(run: RunRecord, wanted: str) -> bool:
    """By id, id prefix or name; a full id is no name, and nothing unfinished has an alias."""
    kind = reference_of(wanted)
    by_id = run.run_id.startswith(wanted) if kind == Reference.ID_PREFIX else run.run_id == wanted
    is_name = kind in {Reference.ID_PREFIX, Reference.NAME} and not is_whole_id(wanted)
    return by_id or (is_name and run.name == wanted)
