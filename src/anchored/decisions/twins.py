"""Which run is the one of its attempt, where a tracker has made several.

A request whose answer was lost may have been repeated by whatever is between us and a tracker's
server: then there are two runs of one attempt, and nobody ever hears of the other one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby

from anchored.decisions.tags import ATTEMPT, DOUBLES, STATE
from anchored.records import State, TrackedRun


@dataclass(frozen=True, slots=True)
class Twin:
    """A run of an attempt that has another one, which is the run.

    `certain` where what became of that one says so. As long as both are running, only the journal
    of the process that opened them tells.
    """

    run: TrackedRun
    of: TrackedRun

    @property
    def certain(self) -> bool:
        return _progress(self.of) < len(PROGRESS)


# Of these states the run is, rather than in any other.
PROGRESS = (State.SEALED, State.TRAINED, State.FAILED)


def without_facts(run: TrackedRun) -> TrackedRun:
    """All of a run that these decisions go by: of many thousands it takes a tenth of the memory."""
    tags = {key: run.tags[key] for key in (ATTEMPT, DOUBLES, STATE) if key in run.tags}
    return replace(run, tags=tags, params={}, metrics={}, artifacts="")


def run_of_attempt(runs: Iterable[TrackedRun], known: str = "") -> TrackedRun | None:
    """The run among those of one attempt: every process chooses the same. None without any.

    It is the one that its journal knows; else the one that has come furthest, then the earliest,
    then that of the smallest id. One that was closed as a twin it never is.
    """
    ranked = sorted(
        (run for run in runs if DOUBLES not in run.tags),
        key=lambda run: (run.run_id != known, _progress(run), run.started or 0, run.run_id),
    )
    return ranked[0] if ranked else None


def twins(runs: Iterable[TrackedRun], known: str = "") -> list[Twin]:
    """The runs that double another one of their attempt, but for those closed as such already.

    A sealed run never does, whatever attempt somebody has written to its tags.
    """
    of_attempts = sorted(
        (run for run in runs if run.tags.get(ATTEMPT) and DOUBLES not in run.tags),
        key=lambda run: run.tags[ATTEMPT],
    )
    found = []
    for _, same in groupby(of_attempts, key=lambda run: run.tags[ATTEMPT]):
        alike = list(same)
        first = run_of_attempt(alike, known)
        unsealed = (run for run in alike if run.tags.get(STATE) != State.SEALED)
        found += [Twin(run, first) for run in unsealed if first and run.run_id != first.run_id]
    return found


def _progress(run: TrackedRun) -> int:
    state = run.tags.get(STATE)
    return next((n for n, known in enumerate(PROGRESS) if state == known), len(PROGRESS))
