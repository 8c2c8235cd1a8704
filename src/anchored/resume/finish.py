"""Bring runs that were interrupted to their end: sealed, or closed as failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from anchored.errors import AnchoredError, UnknownRun
from anchored.records import RunRecord, State
from anchored.resume.close import (
    Unfinished,
    check_here,
    claim_unfinished,
    close_lost,
    fail_interrupted,
)
from anchored.training_repo import TrainingRepo

# Runs the flow that seals a run, and returns the run.
Finish = Callable[[Unfinished], RunRecord]


@dataclass(frozen=True, slots=True)
class Resumed:
    """An interrupted run as it is now. With an `error` it could not be finished.

    It `is_lost` where nothing is left here of its work but what the tracker says.
    """

    run: RunRecord
    error: AnchoredError | None = None
    is_lost: bool = False

    @property
    def exit_code(self) -> int:
        """What it makes of a command: a run that is over needs nothing more."""
        over = self.error is None or self.run.state == State.FAILED
        return 0 if over or self.error is None else self.error.exit_code


def resume_runs(repo: TrainingRepo, wanted: str | None, finish: Finish) -> Iterator[Resumed]:
    """Ends one interrupted run after the other; or the one that is wanted, by id, prefix or name.

    Raises `UnknownRun` where there is no such run, and `AmbiguousRun`.
    """
    try:
        for unfinished in claim_unfinished(repo, wanted):
            yield _ended(repo, unfinished, finish)
    except UnknownRun:
        if wanted is None:
            raise
        yield Resumed(close_lost(repo, wanted).with_(state=State.FAILED), is_lost=True)


def _ended(repo: TrainingRepo, unfinished: Unfinished, finish: Finish) -> Resumed:
    run = unfinished.run
    try:
        check_here(repo, repo.journal(unfinished.key))
        if unfinished.resumable:
            return Resumed(finish(unfinished))
        fail_interrupted(repo, unfinished.key)
        return Resumed(run.with_(state=State.FAILED))
    except AnchoredError as error:
        repo.journals.release(unfinished.key)
        is_over = repo.journals.read(unfinished.key) is None
        return Resumed(run.with_(state=State.FAILED) if is_over else run, error)
