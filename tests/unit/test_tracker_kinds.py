"""The kinds of trackers are the same wherever they are named."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from anchored.config import Config
from anchored.errors import WrongUse
from anchored.ports import Tracker
from anchored.tracker_names import DEFAULT, KNOWN, TrackerName, title_of
from anchored.workspace.trackers import TRACKERS, checked_name


def test_every_kind_has_its_facts_and_its_row() -> None:
    assert tuple(KNOWN) == tuple(TRACKERS) == get_args(TrackerName)
    assert DEFAULT in KNOWN


@pytest.mark.parametrize("kind", KNOWN)
def test_a_row_makes_trackers_of_its_kind(kind: TrackerName, tmp_path: Path) -> None:
    row = TRACKERS[kind]
    config = Config.model_validate({
        "experiment": "sums",
        "data": {"inputs": ["a.csv"]},
        "train": {"command": "python train.py", "model": "model.bin"},
        "tracker": {"kind": kind, **row.own_place},
    })  # fmt: skip
    tracker: Tracker = row.make(config, tmp_path)
    assert tracker.kind == kind
    assert row.settings(config.tracker)["kind"] == kind
    assert str(tmp_path) in tracker.uri
    assert title_of(kind) != kind


def test_another_name_is_refused_and_shown_as_it_is() -> None:
    with pytest.raises(WrongUse, match="no kind of tracker is called 'neptune'") as refused:
        checked_name("neptune")
    assert refused.value.hint == "name mlflow or wandb"
    assert title_of("neptune") == "neptune"
