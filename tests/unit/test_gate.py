"""The gate's decision, its numbers and its words."""

from __future__ import annotations

import json

import pytest

from anchored.decisions.gate import Candidate, Decision, Gate, Outcome, Retrained
from anchored.decisions.margin import Margin, parse_margin
from anchored.records import RunRecord


def decision(
    new: float | None, best: float | None, *, goal: str = "min", margin: str = "0"
) -> Decision:
    def candidate(name: str, value: float | None) -> Candidate:
        return Candidate(name * 8, name, {} if value is None else {"rmse": value})

    gate = Gate("rmse", goal, parse_margin(margin))
    return gate.decision(candidate("new", new), candidate("old", best))


@pytest.mark.parametrize(
    ("new", "best", "goal", "margin", "passed"),
    [
        (0.4, 0.5, "min", "0", True),
        (0.5, 0.4, "min", "0", False),
        (0.5, 0.4, "max", "0", True),
        (0.5, 0.5, "min", "0", False),  # equal is not better
        (0.5, 0.5, "max", "0%", False),
        (0.4, 0.5, "min", "0.1", True),  # binary fractions make it 0.09999999999999998
        (0.41, 0.5, "min", "0.1", False),
        (0.99, 1.0, "min", "1%", True),
        (0.995, 1.0, "min", "1%", False),
        (-202.0, -200.0, "min", "1%", True),  # of the amount, whatever its sign
        (-201.0, -200.0, "min", "1%", False),
    ],
)
def test_a_model_passes_if_it_is_better_by_enough(
    new: float, best: float, goal: str, margin: str, passed: bool
) -> None:
    made = decision(new, best, goal=goal, margin=margin)
    assert made.passed is passed
    assert made.improvement == pytest.approx(best - new if goal == "min" else new - best)
    assert f"{new:.6g}" in made.reason
    assert f"{best:.6g}" in made.reason


def test_what_cannot_be_compared_does_not_pass() -> None:
    assert not decision(None, 0.5).passed
    assert "'new' has no rmse" in decision(None, 0.5).reason
    assert not decision(0.4, None).passed
    assert "champion 'old' has no rmse" in decision(0.4, None).reason


def test_the_first_model_that_has_the_metric_passes() -> None:
    gate = Gate("rmse", "min", Margin(0.1))
    first = gate.decision(Candidate("1" * 8, "first", {"rmse": 9.0}), None)
    assert (first.passed, first.champion, first.reason) == (True, "", "there is no champion yet")
    assert not gate.decision(Candidate("1" * 8, "first", {"bias": 0.0}), None).passed


def test_a_champion_judged_again_stays_one() -> None:
    same = Candidate("1" * 8, "one", {"rmse": 1.0})
    assert Gate("rmse", "min", Margin(0.0)).decision(same, same).passed


def test_a_decision_survives_json() -> None:
    made = decision(0.4, 0.5)
    assert Decision(**json.loads(json.dumps(made.to_json()))) == made


def test_an_outcome_is_said_in_a_sentence() -> None:
    run = RunRecord("ab" * 16, "nightly", "sums")
    assert (
        Retrained(Outcome.SKIPPED, run).reason
        == f"nothing changed since run 'nightly' ({run.run_id})"
    )
    refused = Retrained(Outcome.REFUSED, run, decision(0.5, 0.4))
    assert refused.reason == "rmse 0.5, the champion's 0.4: worse"
    assert refused.to_json()["equals"] is None
    assert Retrained(Outcome.SKIPPED, run).to_json()["equals"] == run.run_id


@pytest.mark.parametrize("text", ["-1", "nan", "one", "", "%"])
def test_a_margin_is_a_number_from_zero_up(text: str) -> None:
    with pytest.raises(ValueError):
        parse_margin(text)
