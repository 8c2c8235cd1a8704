"""The verdict on a reproduction and its causes, decided without training anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchored.decisions.causes import (
    UNEXPLAINED,
    UNRECORDED,
    causes_of,
    environment_checks,
    imported_packages,
)
from anchored.decisions.verdict import (
    Result,
    Tolerance,
    agree,
    check_tolerances,
    judge,
    parse_tolerances,
)
from anchored.errors import BadParam
from anchored.records import Environment, Pointer, Verdict

MODEL, OTHER = "a" * 32, "b" * 32
TODAY = Environment(
    python="3.12.1", cpu="Xeon", packages={"numpy": "2.0", "scipy": "1.0"},
    variables={"OMP_NUM_THREADS": "4"},
)  # fmt: skip
finite = st.floats(allow_nan=False, allow_infinity=False)


def result(model: str = MODEL, **metrics: float) -> Result:
    return Result((Pointer("m", model),), metrics)


def verdict(recorded: Result, *results: Result, **tolerances: Tolerance) -> Verdict:
    return judge(recorded, results, tolerances)[0]


def test_equal_bytes_and_metrics_are_identical() -> None:
    assert verdict(result(r=1), result(r=1)) == "identical"
    assert verdict(result(), result()) == "identical", "a model alone is enough"


def test_other_bytes_with_equal_metrics_are_equivalent() -> None:
    assert verdict(result(r=1), result(OTHER, r=1)) == "equivalent"


def test_other_bytes_without_a_metric_to_judge_by_are_different() -> None:
    assert verdict(result(), result(OTHER)) == "different"


def test_a_metric_that_is_off_or_absent_makes_it_different() -> None:
    assert verdict(result(r=1, s=2), result(r=1, s=2.1)) == "different"
    assert verdict(result(r=1, s=2), result(r=1)) == "different"


def test_metrics_that_came_new_are_nobodys_business() -> None:
    assert verdict(result(r=1), result(r=1, s=2)) == "identical"


def test_a_tolerance_allows_what_it_says_and_no_more() -> None:
    assert verdict(result(r=0.7), result(r=0.8), r=Tolerance(0.1)) == "equivalent"
    assert verdict(result(r=0.7), result(r=0.81), r=Tolerance(0.1)) == "different"
    assert verdict(result(r=-200), result(r=-202), r=Tolerance(0.01, relative=True)) == "equivalent"
    assert verdict(result(r=-200), result(r=-203), r=Tolerance(0.01, relative=True)) == "different"
    _, checks = judge(result(r=1), [result(OTHER, r=2)], {"r*": Tolerance(math.inf)})
    assert [(c.what, c.equal, c.within) for c in checks] == [
        ("model m", False, None), ("metric r", False, True),
    ]  # fmt: skip


@given(recorded=finite, other=finite, amount=st.floats(0, 1e300))
def test_a_tolerance_is_the_same_in_both_directions(
    recorded: float, other: float, amount: float
) -> None:
    tolerance = Tolerance(amount)
    assert tolerance.allows(recorded, other) == tolerance.allows(other, recorded)
    assert tolerance.allows(recorded, recorded)


def test_noise_is_what_trainings_differ_by() -> None:
    noisy = [result(OTHER, r=1.0), result(OTHER, r=1.2)]
    assert verdict(result(r=1.35), *noisy) == "equivalent"
    assert verdict(result(r=1.45), *noisy) == "different"
    assert not agree(noisy)
    assert agree([result(r=1), result(r=1)])


def test_one_training_of_several_that_is_off_is_not_identical() -> None:
    assert verdict(result(r=1), result(r=1), result(OTHER, r=1)) == "equivalent"


@pytest.mark.parametrize(
    ("text", "metric", "tolerance"),
    [
        ("r=0.5", "r", Tolerance(0.5)),
        ("a=b=1%", "a=b", Tolerance(0.01, relative=True)),
        ("time_*=inf", "time_*", Tolerance(math.inf)),
        ("r=0", "r", Tolerance(0)),
    ],
)
def test_tolerances_are_read(text: str, metric: str, tolerance: Tolerance) -> None:
    assert parse_tolerances([text]) == {metric: tolerance}


@pytest.mark.parametrize("text", ["", "r", "r=", "=1", "r=one", "r=-1", "r=nan", "r=1%%"])
def test_what_is_no_tolerance_is_refused(text: str) -> None:
    with pytest.raises(BadParam, match="METRIC=NUMBER"):
        parse_tolerances([text])


def test_a_tolerance_may_call_a_metric_by_its_very_name() -> None:
    check_tolerances({"rmse[0]": Tolerance(1)}, ["rmse[0]"])


def test_a_tolerance_of_no_metric_is_refused_with_those_there_are() -> None:
    check_tolerances({"r*": Tolerance(1)}, ["rmse", "bias"])
    with pytest.raises(BadParam, match="accuracy") as refused:
        check_tolerances({"accuracy": Tolerance(1)}, ["rmse", "bias"])
    assert refused.value.hint == "it has bias, rmse"


def causes(recorded: Environment | None, **options: object) -> tuple[str, ...]:
    checks = environment_checks(recorded, TODAY)
    return causes_of(Verdict.DIFFERENT, checks, **options)  # type: ignore[arg-type]


def changed(**facts: str | Mapping[str, str]) -> Environment:
    return replace(TODAY, **facts)  # type: ignore[arg-type]


def test_causes_come_most_telling_first() -> None:
    past = changed(
        python="3.11.0", cpu="EPYC", variables={}, packages={"numpy": "1.9", "pandas": "2.0"}
    )
    assert causes(past, lost=["data/x is another"], agrees=False) == (
        "packages differ: numpy 1.9 → 2.0, pandas 2.0 → none, scipy none → 1.0",
        "python differs: 3.11.0 → 3.12.1",
        "cpu differs: EPYC → Xeon",
        "variables differ: OMP_NUM_THREADS none → 4",
        "data/x is another",
        "training is not deterministic: it does not agree with itself, in two fresh trainings",
    )


def test_packages_that_the_code_imports_come_first() -> None:
    imported = imported_packages([
        "import os, sys as system", "  from sklearn.linear_model import Ridge", "import numpy as np",
        "from . import helpers", "# import nothing", "import my_tool.sub", "imports = 3",
    ])  # fmt: skip
    assert imported == {"os", "sys", "scikit-learn", "numpy", "my-tool"}
    past = changed(packages={"a": "1", "b": "1", "numpy": "1", "scikit-learn": "1"})
    today = changed(packages={"a": "2", "c": "1", "scikit-learn": "2", "numpy": "2"})
    named = [check.what for check in environment_checks(past, today, imported)]
    assert named == [
        "environment",
        *(f"packages/{n}" for n in ("numpy", "scikit-learn", "a", "b", "c")),
    ]


def test_many_packages_are_named_in_part() -> None:
    past = changed(packages={f"p{n:02}": "1" for n in range(20)})
    (cause,) = causes(past)
    assert cause.endswith("p07 1 → none, and 14 more")


def test_what_nothing_explains_is_said() -> None:
    assert causes(TODAY) == (UNEXPLAINED,)
    assert causes(TODAY, agrees=True) == (UNRECORDED,)
    assert causes(None) == ("the run recorded no environment, so what differs in it is unknown",)


def test_an_identical_result_needs_no_cause() -> None:
    past = changed(python="3.11.0")
    assert causes_of(Verdict.IDENTICAL, environment_checks(past, TODAY)) == ()


def test_why_it_failed_comes_before_all_else() -> None:
    checks = environment_checks(changed(python="3.11.0"), TODAY)
    told = causes_of(Verdict.FAILED, checks, lost=["commit missing"])
    assert told == ("commit missing", "python differs: 3.11.0 → 3.12.1")
