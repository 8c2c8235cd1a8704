"""What an error says where nothing but its text is shown, as on Prefect's pages."""

from __future__ import annotations

import pickle

from anchored.decisions.audit import Audit, Finding, Problem, RunsLost
from anchored.errors import ServiceFailed, TrainingFailed


def test_the_way_out_is_part_of_the_text() -> None:
    assert str(ServiceFailed("no answer")) == "no answer"
    assert str(ServiceFailed("no answer", hint="wait")) == "no answer\nhint: wait"


def test_a_failed_training_says_its_last_words() -> None:
    error = TrainingFailed("training ended", tail=[f"line {n}" for n in range(9)], hint="mend it")
    last = "\n".join(f"  | line {n}" for n in range(4, 9))
    assert str(error) == f"training ended\n{last}\nhint: mend it"
    assert str(TrainingFailed("training ended")) == "training ended"


def test_lost_runs_are_counted_once_and_those_never_sealed_not_at_all() -> None:
    problems = [("a", Problem.OBJECT_MISSING), ("a", Problem.OBJECT_CORRUPT),
                ("b", Problem.OBJECT_MISSING), ("c", Problem.UNSEALED)]  # fmt: skip
    findings = tuple(Finding(run, run, problem, "") for run, problem in problems)
    lost = RunsLost(Audit(runs=4, reproducible=1, findings=findings))
    assert lost.message == (
        "2 of 4 runs are not as they were sealed (1 object-corrupt, 2 object-missing)"
    )
    assert pickle.loads(pickle.dumps(lost)).audit == lost.audit
