"""What training leaves, judged: each outcome that cannot be recorded is named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from anchored.config import parse_config
from anchored.decisions.metrics_file import parse_metrics
from anchored.errors import BadOutcome
from anchored.run.outputs import OutputFiles

CONFIG = """\
[data]
inputs = ["data/numbers.csv"]

[train]
command = "python train.py"
model = "models/model.bin"
metrics = "metrics.json"
"""


@pytest.mark.parametrize(("text", "match"), [
    (b"nonsense", "not valid JSON"), (b"[1]", "flat JSON object"), (b'{"a": NaN}', "'a' is nan"),
    (b'{"a": -Infinity}', "'a' is -inf"), (b'{"ok": 1, "a": true}', "'a' is a boolean"),
    (b'{"a": "0.5"}', "'a' is a string"), (b'{"a": {"b": 1}}', "'a' is an object"),
    (b'{"a": null}', "'a' is null"), (b'{" ": 1}', "without a name"),
])  # fmt: skip
def test_metrics_that_are_no_numbers_are_named(text: bytes, match: str) -> None:
    with pytest.raises(BadOutcome, match=f"metrics.json.*{match}"):
        parse_metrics(text, "metrics.json")


@pytest.fixture
def outputs(tmp_path: Path) -> OutputFiles:
    """Of a training in the folder `tree` that has not begun."""
    config = parse_config(CONFIG, "anchored.toml", default_experiment="x")
    files = OutputFiles(tmp_path / "tree", config)
    files.prepare()
    return files


@pytest.mark.parametrize("make", [lambda _: None, lambda file: file.mkdir()])
def test_metrics_that_are_not_there_are_named(
    outputs: OutputFiles, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (tmp_path / "tree").mkdir(exist_ok=True)
    make(tmp_path / "tree/metrics.json")
    with pytest.raises(BadOutcome, match=r"training wrote no metrics\.json"):
        outputs.metrics()


@pytest.mark.parametrize(("make", "match"), [
    (lambda _: None, "no models/model.bin"),
    (lambda file: file.touch(), "empty models/model.bin"),
    (lambda file: file.mkdir(), "empty models/model.bin"),
    (lambda file: file.symlink_to("/etc/passwd"), "leaves the repo"),
    (os.mkfifo, "models/model.bin"),
])  # fmt: skip
def test_a_model_that_is_none_is_named(
    outputs: OutputFiles, tmp_path: Path, make: Callable[[Path], None], match: str
) -> None:
    make(tmp_path / "tree/models/model.bin")
    with pytest.raises(BadOutcome, match=match):
        outputs.set_aside(tmp_path / "aside")
