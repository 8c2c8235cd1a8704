"""Close what Prefect's flow runs have left: cancelled, failed, or without a live process."""

from __future__ import annotations

import time
from collections.abc import Collection

from anchored.journal import Journal, Step
from anchored.records import Ended
from anchored.resume.close import Unfinished, _opened, fail_interrupted, is_elsewhere
from anchored.run.fail import leave_open
from anchored.run.worktree import sweep
from anchored.training_repo import TrainingRepo

DYING = 10.0  # seconds that a process which was killed may take to be gone


def close_flow_runs(
    repo: TrainingRepo, flow_runs: Collection[str], reason: str, ending: Ended = Ended.KILLED
) -> list[str]:
    """Closes what flow runs that were cancelled, crashed or failed have left; says what, in words.

    A run interrupted in training is closed as failed. Any other is left for `resume`, and the
    tracker says so instead of going on saying `running`. Runs that the flow run itself has closed,
    or that a live process works on, are left alone: it may be called at any time, and again.
    """
    sweep(repo)
    ours = (j for j in repo.journals.all() if not is_elsewhere(repo, j))
    seen = [j for j in ours if j.run.prefect.flow_run_id in flow_runs]
    claimed = [journal for j in seen if (journal := _claimed_dying(repo, j.key))]
    return [_closed(repo, left, reason, ending) for j in claimed if (left := _opened(repo, j))]


def close_dead(repo: TrainingRepo) -> list[str]:
    """Closes the runs that were interrupted in training and that nobody owns; says which, in words.

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
            fail_interrupted(repo, journal.key)
            said.append(f"{journal.run.name} was interrupted in training, and is closed as failed")
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
        fail_interrupted(repo, left.key, reason)
        return f"{left.run.name} is closed as failed: {reason}"
    try:
        leave_open(repo, left.key, reason, ending)
    finally:
        repo.journals.release(left.key)
    return f"{left.run.name} is left for `anchored resume`: {reason}"
