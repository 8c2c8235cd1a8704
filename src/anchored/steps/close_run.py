"""Close a run that will not be sealed, and take up those that were cut off."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from anchored.decisions import tags
from anchored.decisions.naming import (
    Reference,
    is_whole_id,
    may_have_ref,
    reference_of,
    run_ref,
)
from anchored.decisions.redaction import redact, url_without_credentials
from anchored.decisions.twins import twins
from anchored.errors import (
    AmbiguousRun,
    AnchoredError,
    BadInput,
    DeletedExperiment,
    RunFailed,
    ServiceFailed,
    TrainingFailed,
    UnknownRun,
    WrongUse,
)
from anchored.journal import Journal, Step
from anchored.ports import LoggedFiles
from anchored.process import end_training
from anchored.records import RUN_DOCUMENT, Ended, FlowLink, RunRecord, State, rendered
from anchored.steps.find_runs import found
from anchored.steps.log_run import logged_files
from anchored.steps.open_run import adopted
from anchored.steps.train import end_orphans
from anchored.steps.training_repo import TrainingRepo, moment, now, place_of
from anchored.steps.twins import close_certain_twins, close_twins

LONGEST_REASON = 1_000
DYING = 10.0  # seconds that a process which was killed may take to be gone


def fail_run(repo: TrainingRepo, key: str, error: BaseException, *, killed: bool = False) -> None:
    """Records a run as failed, with its log; takes away what it left. Nothing is committed."""
    journal = repo.journals.read(key)
    if journal is None:
        return
    repo = repo.bound(journal)
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
        asked = repo.bound(journal).tracker
        return journal.run.tracker.uri != url_without_credentials(asked.uri)
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
                wanted, lines, hint="name one by its whole id, or finish all without RUN"
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
                opened = adopted(asked, journal)
            else:
                same = asked.tracker.runs_tagged(tags.ATTEMPT, journal.key)
                close_twins(asked, twins(same, known=journal.run.run_id))
    if opened is None:
        repo.forget(journal.key)
        return None
    return Unfinished(key=opened.key, run=opened.run, step=opened.step)


def sweep(repo: TrainingRepo) -> None:
    """Takes away what dead processes left in passing: private trees, and what runs in them."""

    def take_away(tree: Path) -> None:
        end_training(tree.parent.name)
        repo.code.remove_worktree(tree)

    repo.journals.sweep(take_away)


def fail_cut_off(repo: TrainingRepo, key: str, reason: str | None = None) -> None:
    """Closes a run whose training was cut off, or that was being closed as failed already."""
    journal, said = repo.journal(key), None
    run, repo = journal.run, repo.bound(journal)
    with suppress(UnknownRun):
        said = repo.tracker.run(run.run_id).tags.get(tags.ERROR)
    what = "training" if run.reproduces is None else "the reproduction"
    reason = reason or f"{what} was cut off"
    fail_run(repo, key, TrainingFailed(said or reason), killed=said in {None, reason})


def close_flow_runs(
    repo: TrainingRepo, flow_runs: Collection[str], reason: str, ending: Ended = Ended.KILLED
) -> list[str]:
    """Closes what flow runs that were cancelled, crashed or failed have left; says what, in words.

    A run cut off in training is closed as failed. Any other is left for `resume`, and the tracker
    says so instead of going on saying `running`. Runs that the flow run itself has closed, or that
    a live process works on, are none of its business: it may be called at any time, and again.
    """
    sweep(repo)
    ours = (j for j in repo.journals.all() if not is_elsewhere(repo, j))
    seen = [j for j in ours if j.run.prefect.flow_run_id in flow_runs]
    claimed = [journal for j in seen if (journal := _claimed_dying(repo, j.key))]
    return [_closed(repo, left, reason, ending) for j in claimed if (left := _opened(repo, j))]


def close_dead(repo: TrainingRepo) -> list[str]:
    """Closes the runs that were cut off in training and that nobody owns; says which, in words.

    Those that can be resumed are left alone, and those of another tracker. Asks no server unless
    there is a run to close.
    """
    sweep(repo)
    said = []
    for seen in repo.journals.all():
        if seen.step != Step.TRAINING or repo.journals.owns(seen.key):
            continue
        if is_elsewhere(repo, seen):
            continue
        if (journal := repo.journals.claim(seen.key)) and journal.step == Step.TRAINING:
            fail_cut_off(repo, journal.key)
            said.append(f"{journal.run.name} was cut off in training, and is closed as failed")
    return said


def dead_flow_runs(repo: TrainingRepo) -> list[str]:
    """The flow runs whose runs are not at their end and that no live process works on."""
    dead = []
    for seen in repo.journals.all():
        flow_run = seen.run.prefect.flow_run_id
        if flow_run and not repo.journals.owns(seen.key) and repo.journals.claim(seen.key):
            repo.journals.release(seen.key)
            dead.append(flow_run)
    return dead


def _claimed_dying(repo: TrainingRepo, key: str) -> Journal | None:
    """The journal of a run whose process is dead or dying; None where it lives or is done."""
    deadline = time.monotonic() + DYING
    while (journal := repo.journals.claim(key)) is None:
        if repo.journals.read(key) is None or time.monotonic() > deadline:
            return None
        time.sleep(0.1)
    return journal


def _closed(repo: TrainingRepo, left: Unfinished, reason: str, ending: Ended) -> str:
    """Closes one run, or leaves it for `resume`."""
    if not left.resumable:
        fail_cut_off(repo, left.key, reason)
        return f"{left.run.name} is closed as failed: {reason}"
    try:
        leave_open(repo, left.key, reason, ending)
    finally:
        repo.journals.release(left.key)
    return f"{left.run.name} is left for `anchored resume`: {reason}"


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


def take_up(repo: TrainingRepo, key: str, flow: FlowLink) -> Journal:
    """Makes this process the owner of a run that was cut off; the tracker says that it goes on.

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
        raise UnknownRun(f"{begun.run.name} was cut off before the tracker knew of it")
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
    """By id, id prefix or name; a whole id is no name, and nothing unfinished has an alias."""
    kind = reference_of(wanted)
    by_id = run.run_id.startswith(wanted) if kind == Reference.ID_PREFIX else run.run_id == wanted
    is_name = kind in {Reference.ID_PREFIX, Reference.NAME} and not is_whole_id(wanted)
    return by_id or (is_name and run.name == wanted)
