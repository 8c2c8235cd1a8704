"""The `anchored.toml` that `anchored init` writes, made of what it found in the repository."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from anchored.decisions.redaction import url_without_credentials

MODEL_FOLDERS = {"model", "models", "checkpoint", "checkpoints", "weights"}
MODEL_SUFFIXES = {
    ".joblib", ".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".h5", ".keras", ".onnx", ".safetensors",
    ".cbm", ".bst", ".model", ".rds",
}  # fmt: skip
DATA_SUFFIXES = {
    ".csv", ".tsv", ".parquet", ".feather", ".arrow", ".nc", ".nc4", ".h5", ".hdf5", ".zarr",
    ".npy", ".npz", ".xlsx", ".jsonl", ".grib", ".tif", ".tiff",
}  # fmt: skip
DATA_FOLDERS = {"data", "dataset", "datasets", "input", "inputs", "raw"}
SCRIPTS = ("train.py", "src/train.py", "scripts/train.py", "training.py", "main.py")


@dataclass(frozen=True, slots=True)
class Found:
    """What a repository has: versioned outputs, data in Git or in nobody's hands, scripts."""

    outputs: tuple[str, ...] = ()
    tracked: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    tracker_uri: str = ""
    uses_wandb: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        """Paths that look like data, best evidence first: DVC's, then Git's, then loose files."""
        versioned = tuple(p for p in self.outputs if not looks_like_model(p))
        return versioned or self.data_in_git or _data_among(self.untracked)

    @property
    def data_in_git(self) -> tuple[str, ...]:
        """Data that Git tracks and DVC should."""
        return _data_among(self.tracked)

    @property
    def model(self) -> str:
        """The model's path; empty if unknown."""
        return next((p for p in self.outputs if looks_like_model(p)), "")

    @property
    def script(self) -> str:
        """The training script; empty if unknown."""
        return next((s for s in SCRIPTS if s in {*self.tracked, *self.untracked}), "")


@dataclass(frozen=True, slots=True)
class Starter:
    """The text of an `anchored.toml`, and the keys that its owner has to fill in."""

    text: str
    to_fill_in: tuple[str, ...]


def starter_config(found: Found, experiment: str) -> Starter:
    """A configuration whose comments explain each line; what cannot be known is left empty."""
    open_keys = []
    if not found.inputs:
        open_keys.append("data.inputs")
    if not found.script:
        open_keys.append("train.command")
    if not found.model:
        open_keys.append("train.model")
    command = f"python {found.script}" if found.script else ""
    text = _TEMPLATE.format(
        experiment=_quoted(experiment),
        inputs=", ".join(map(_quoted, found.inputs)),
        inputs_mark=_mark("data.inputs", open_keys, 'for example ["data/measurements.csv"]'),
        command=_quoted(command),
        command_mark=_mark("train.command", open_keys, 'for example "python train.py --lr {lr}"'),
        model=_quoted(found.model),
        model_mark=_mark("train.model", open_keys, 'for example "models/model.joblib"'),
        tracker=_tracker(found),
    )
    return Starter(text, tuple(open_keys))


def imports_wandb_alone(script: str) -> bool:
    """Whether a script logs to W&B, by what it imports, and not to MLflow as well."""
    imported = re.findall(r"^\s*(?:import|from)\s+(mlflow|wandb)\b", script, re.MULTILINE)
    return "wandb" in imported and "mlflow" not in imported


def looks_like_model(path: str) -> bool:
    """Whether an output is a model by its folder or its suffix."""
    place = PurePosixPath(path)
    return place.suffix.lower() in MODEL_SUFFIXES or bool(
        MODEL_FOLDERS & {part.lower() for part in place.parts}
    )


def _data_among(paths: Iterable[str]) -> tuple[str, ...]:
    """Files with a suffix of data in a folder of data, at most ten: more is for a person."""
    chosen = [
        path
        for path in paths
        if PurePosixPath(path).suffix.lower() in DATA_SUFFIXES
        and DATA_FOLDERS & {part.lower() for part in PurePosixPath(path).parts[:-1]}
        and not looks_like_model(path)
    ]
    return tuple(sorted(chosen)) if len(chosen) <= 10 else ()


def _tracker(found: Found) -> str:
    if found.uses_wandb and not found.tracker_uri:
        return _WANDB
    uri = url_without_credentials(found.tracker_uri) or "sqlite:///mlflow.db"
    return _MLFLOW.format(uri=_quoted(uri))


def _mark(key: str, open_keys: list[str], example: str) -> str:
    return f"  # FILL IN: {example}" if key in open_keys else ""


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are a part of TOML's."""
    return json.dumps(text, ensure_ascii=False)


_TEMPLATE = """\
# What Anchored needs to know to make every training run a fact that can be checked again.

experiment = {experiment}  # the tracker's experiment

[data]
# Files or folders that training reads, versioned by DVC. The first is "the" data.
inputs = [{inputs}]{inputs_mark}
# refresh = "python fetch.py"  # brings new data; `anchored retrain` runs it first

[train]
# Run from the repository's root, in a private checkout of the commit. {{param}} is filled in from
# [train.params] below, quoted for the shell.
command = {command}{command_mark}
# The file or folder that training writes.
model = {model}{model_mark}
# metrics = "metrics.json"     # a flat JSON object of numbers that training writes
# artifacts = ["plots/*.png"]  # further files to keep with the run
# timeout = 3600               # seconds
# environment = "inherit"      # the Python on your PATH
# pass_env = ["CUDA_VISIBLE_DEVICES"]  # further variables that training may see; they are recorded

[train.params]                 # logged with every run; overridden by `anchored run -p lr=0.1`
# lr = 0.01

[tracker]
{tracker}"""

_MLFLOW = """\
kind = "mlflow"
# A relative path is taken from the repository's root.
uri = {uri}
"""

_WANDB = """\
kind = "wandb"
# Without an API key runs are written into wandb/, and `wandb sync` uploads them.
# mode = "offline"             # or "online", whatever the environment says
# entity = "my-team"
"""
