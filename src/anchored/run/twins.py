"""Close the runs that a tracker made twice."""

from __future__ import annotations

from collections.abc import Iterable

from anchored.decisions import tags
from anchored.decisions.twins import Twin, twins
from anchored.records import Ended, State
from anchored.training_repo import TrainingRepo, now


def close_twins(repo: TrainingRepo, found: Iterable[Twin]) -> None:
    """Ends runs that double another one, with a word on which; may be repeated."""
    for twin in found:
        said = {
            tags.STATE: str(State.FAILED),
            tags.ERROR: f"doubles the run {twin.of.run_id}: the tracker made two of one attempt",
            tags.DOUBLES: twin.of.run_id,
        }
        repo.tracker.end_run(twin.run.run_id, Ended.KILLED, name=twin.run.name, ended=now())
        repo.tracker.log(twin.run.run_id, tags=said)  # the last: what has it is closed
        repo.report.warn(
            f"the tracker made the run {twin.of.name!r} twice: {twin.run.run_id} is closed"
        )


def close_certain_twins(repo: TrainingRepo) -> None:
    """Closes what is called running although another run of its attempt has come to an end."""
    for seen in repo.tracker.runs_tagged(tags.STATE, str(State.RUNNING)):
        if attempt := seen.tags.get(tags.ATTEMPT):
            same = repo.tracker.runs_tagged(tags.ATTEMPT, attempt)
            close_twins(repo, (twin for twin in twins(same) if twin.certain))
