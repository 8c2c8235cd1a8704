"""Which run is the one of its attempt."""

from __future__ import annotations

import itertools

from anchored.decisions.tags import ATTEMPT, DOUBLES, STATE
from anchored.decisions.twins import run_of_attempt, twins
from anchored.records import TrackedRun


def run(run_id: str, state: str = "running", started: int = 5, **tags: str) -> TrackedRun:
    said = {ATTEMPT: "key", STATE: state} | tags
    return TrackedRun(run_id, "one", "e", said, {}, {}, url="", started=started)


def test_every_process_chooses_the_same_run() -> None:
    sealed, early, small, late = (
        run("d", "sealed", 9), run("c", started=4), run("a"), run("b"),
    )  # fmt: skip
    closed = run("0", "failed", 1, **{DOUBLES: "d"})
    for left in ([closed, sealed, early, small, late], [closed, early, small, late], [small, late]):
        for order in itertools.permutations(left):
            first = run_of_attempt(order)
            assert first == next(one for one in left if one is not closed)
            found = twins(order)
            assert all(twin.of == first for twin in found)
            assert {twin.run.run_id for twin in found} == {
                one.run_id for one in left if one not in (first, closed)
            }
            assert all(twin.certain == (first == sealed) for twin in found)


def test_the_run_is_the_one_that_its_journal_knows() -> None:
    runs = [run("a", started=1), run("b")]
    assert run_of_attempt(runs, known="b") == runs[1]
    assert [twin.run for twin in twins(runs, known="b")] == [runs[0]]


def test_a_failed_run_is_the_run_and_its_twin_that_still_runs_is_not() -> None:
    failed, twin = run("b", "failed"), run("a")
    (found,) = twins([twin, failed])
    assert (found.run, found.of, found.certain) == (twin, failed, True)


def test_runs_of_other_attempts_and_of_none_are_no_twins() -> None:
    runs = [run("a"), run("b", **{ATTEMPT: "other"}), run("c", **{ATTEMPT: ""})]
    assert twins(runs) == []
    assert run_of_attempt([]) is None
