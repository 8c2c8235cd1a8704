"""The record in a snapshot commit's message: what goes in comes out, and nothing else is believed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchored.decisions.authority import agreed
from anchored.decisions.commit_record import LONGEST, CommitRecord, parse_message, render_message
from anchored.decisions.decoding import Unreadable
from anchored.records import FlowLink, GitFacts, Pointer, RunRecord, State, TrackerLink

RUN = RunRecord(
    run_id="a" * 32,
    name="one",
    experiment="sums",
    state=State.SEALED,
    git=GitFacts(commit="c" * 40, source_commit="b" * 40, branch="main"),
    data=(Pointer("data/set", f"{'d' * 32}.dir", size=9, nfiles=3),),
    model=(Pointer("models/model.bin", "e" * 32, size=4),),
    params={"lags": 6, "rate": 0.1, "on": True, "kind": "ridge"},
    metrics={"rmse": 0.25, "n": 3.0},
    command="python train.py --lags 6",
    environment={"md5": "f" * 32},
    tracker=TrackerLink(kind="mlflow", uri="sqlite:///mlflow.db"),
    started="2026-11-24T20:00:00.000+00:00",
)
RECORD = CommitRecord(
    RUN, {"name": "store", "url": "s3://bucket/x"}, {"anchored": "0.1.0", "dvc": "3.67.1"}
)


def parsed(message: str) -> CommitRecord | None:
    return parse_message(message, commit=RUN.git.commit, parent=RUN.git.source_commit)


def changed(**facts: Any) -> str:
    """The message with some of its facts replaced."""
    head, _, rest = render_message(RECORD).partition("\n\n")
    body, _, trailer = rest.rpartition("\n\n")
    text = json.dumps(json.loads(body) | facts, indent=1)
    return f"{head}\n\n{text}\n\n{trailer}"


def test_what_is_recorded_is_read_back() -> None:
    message = render_message(RECORD)
    assert parsed(message) == RECORD
    assert message.isascii()
    assert message == render_message(RECORD)


@given(
    st.dictionaries(
        st.text(), st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    ),
    st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
)
def test_params_and_metrics_of_any_name_are_read_back(
    params: dict[str, Any], metrics: dict[str, float]
) -> None:
    run = RUN.with_(
        params={k: v for k, v in params.items() if "\0" not in k},
        metrics={k: v for k, v in metrics.items() if "\0" not in k},
    )
    assert parsed(render_message(replace(RECORD, run=run))) == replace(RECORD, run=run)


@pytest.mark.parametrize("message", [
    "", "Fix a typo\n", "Version model of run one\n\nAnchored-Run: abc\n",
    "Add\n\n{\n a list of things\n}\n", '{"anchored": 1}',
])  # fmt: skip
def test_another_message_holds_no_record(message: str) -> None:
    assert parsed(message) is None


@pytest.mark.parametrize("facts", [
    {"anchored": 2},
    {"anchored": None},
    {"name": 7},
    {"params": []},
    {"params": {"lags": {"deep": 1}}},
    {"metrics": {"rmse": "0.1"}},
    {"metrics": {"rmse": True}},
    {"data": {}},
    {"data": [{"path": "../../etc/passwd", "md5": "d" * 32}]},
    {"data": [{"path": "data", "md5": "../x"}]},
    {"model": [{"path": "m", "md5": "d" * 32, "size": -1}]},
    {"model": [{"path": "m", "md5": "d" * 32, "size": "9"}]},
    {"tracker": {"kind": ["x"]}},
    {"versions": 1},
    {"command": "x" * LONGEST},
])  # fmt: skip
def test_a_record_of_other_types_is_unreadable(facts: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        parsed(changed(**facts))


def test_a_record_that_no_commit_should_carry_is_refused() -> None:
    run = RUN.with_(metrics={f"metric {n} {'x' * 100}": 1.0 for n in range(10_000)})
    with pytest.raises(ValueError, match="fewer or shorter"):
        render_message(replace(RECORD, run=run))


def test_the_commit_is_right_and_the_tracker_adds_what_only_it_knows() -> None:
    flow = FlowLink("f1", "http://127.0.0.1/f1")
    tracked = RUN.with_(prefect=flow, verdict="identical", ended="later", experiment="renamed")
    run, mismatches = agreed(tracked, RUN)
    assert (run.prefect, run.verdict, run.ended, run.experiment) == (
        flow, "identical", "later", "renamed",
    )  # fmt: skip
    assert mismatches == ()


@pytest.mark.parametrize(("change", "said"), [
    ({"name": "two"}, "name"),
    ({"command": "rm -rf /"}, "command"),
    ({"params": {**RUN.params, "lags": 7}}, "param lags"),
    ({"params": {**RUN.params, "more": 7}}, "param more"),
    ({"metrics": {"rmse": 0.1}}, "metric rmse"),
    ({"environment": {"md5": "0" * 32}}, "anchored.environment_md5"),
    ({"reproduces": "x"}, "anchored.reproduces"),
    ({"git": replace(RUN.git, commit="0" * 40)}, "git_commit"),
    ({"git": replace(RUN.git, source_commit="0" * 40)}, "git_source_commit"),
    ({"model": (Pointer("models/model.bin", "0" * 32),)}, "dvc_model_md5/models/model.bin"),
    ({"data": (Pointer("", "0" * 32),)}, "dvc_data_md5"),
])  # fmt: skip
def test_what_the_tracker_says_otherwise_is_told_and_does_not_count(
    change: dict[str, Any], said: str
) -> None:
    run, mismatches = agreed(RUN.with_(**change), RUN)
    assert run == RUN
    (mismatch,) = mismatches
    assert mismatch.startswith(f"{said} is ")


def test_a_tracker_without_details_says_nothing_of_command_and_params() -> None:
    bare = RUN.with_(command="", params={"lags": "6"}, metrics={}, model=(), data=())
    assert agreed(bare, RUN) == (RUN, ())
