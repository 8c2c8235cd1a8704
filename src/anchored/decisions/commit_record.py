"""What a snapshot commit records of its run, in its message: rendered and parsed back.

Git is the authority: what is run again, restored or promoted is read from here, and the tracker is
how a run is found. Format 1 of a message: a subject, the record, and the trailer `Anchored-Run`,
with blank lines between them. The record is canonical JSON: ASCII, keys sorted, one space deep, so
that equal records are equal bytes and no terminal that shows a log is steered by them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from anchored.decisions.command import checked_value
from anchored.decisions.decoding import Unreadable, json_value
from anchored.decisions.objects import is_object
from anchored.decisions.paths import normalized
from anchored.records import (
    GitFacts,
    ParamValue,
    Pointer,
    RunRecord,
    State,
    TrackerLink,
)

FORMAT = 1
LONGEST = 1 << 20  # bytes of a record; Git keeps messages of any length
SUBJECT, TRAILER = "Version model of run ", "Anchored-Run: "
TEXTS = ("run_id", "name", "experiment", "branch", "command", "environment", "started")


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """A sealed run as its commit has it, the DVC remote that holds its objects, and what made it.

    `remote` has `name` and `url`, without credentials; `versions` are those of libraries by name.
    """

    run: RunRecord
    remote: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def render_message(record: CommitRecord) -> str:
    """The message of a run's snapshot commit. Raises `ValueError` for a record that is too long."""
    run = record.run
    facts = {
        "anchored": FORMAT,
        "branch": run.git.branch,
        "command": run.command,
        "data": [pointer.to_json() for pointer in run.data],
        "dvc_remote": dict(record.remote),
        "environment": str(run.environment.get("md5", "")),
        "experiment": run.experiment,
        "metrics": dict(run.metrics),
        "model": [pointer.to_json() for pointer in run.model],
        "name": run.name,
        "params": dict(run.params),
        "run_id": run.run_id,
        "started": run.started,
        "tracker": {"kind": run.tracker.kind, "uri": run.tracker.uri},
        "versions": dict(record.versions),
    }
    text = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=True, allow_nan=False)
    if len(text) > LONGEST:
        raise ValueError(
            f"the run's record has {len(text):,} bytes, and a commit takes {LONGEST:,}: "
            "log fewer or shorter params and metrics"
        )
    return f"{SUBJECT}{run.name}\n\n{text}\n\n{TRAILER}{run.run_id}\n"


def parse_message(message: str, *, commit: str = "", parent: str = "") -> CommitRecord | None:
    """The record in a commit's message; None where it holds none.

    `commit` and its first parent, the source commit, become part of it. Raises `Unreadable` for a
    record of another format, of wrong types, or beyond what can be one.
    """
    _, _, rest = message.partition("\n\n")
    if not rest.startswith("{\n"):
        return None
    text, end, trailer = rest.rpartition("\n}\n")
    if not end or not trailer.strip().startswith(TRAILER):
        return None
    value = json_value(f"{text}\n}}", longest=LONGEST)
    if not isinstance(value, dict) or value.get("anchored") != FORMAT:
        raise Unreadable(f"its record is not of format {FORMAT}: it was made by another version")
    texts = {key: _text(value.get(key, ""), key) for key in TEXTS}
    tracker = _texts(value.get("tracker", {}), "tracker")
    run = RunRecord(
        run_id=texts["run_id"],
        name=texts["name"],
        experiment=texts["experiment"],
        state=State.SEALED,
        git=GitFacts(commit=commit, source_commit=parent, branch=texts["branch"]),
        data=_pointers(value.get("data"), "data"),
        model=_pointers(value.get("model"), "model"),
        params=_params(value.get("params")),
        metrics=_metrics(value.get("metrics")),
        command=texts["command"],
        environment={"md5": texts["environment"]} if texts["environment"] else {},
        tracker=TrackerLink(kind=tracker.get("kind", ""), uri=tracker.get("uri", "")),
        started=texts["started"],
    )
    return CommitRecord(
        run=run,
        remote=_texts(value.get("dvc_remote", {}), "dvc_remote"),
        versions=_texts(value.get("versions", {}), "versions"),
    )


def is_snapshot(message: str) -> bool:
    """Whether a commit was made to add a model's pointer, with or without a record."""
    return message.startswith(SUBJECT) and f"\n{TRAILER}" in message


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise Unreadable(f"{key} is no string")
    return value


def _mapping(value: Any, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unreadable(f"{key} is no object")
    return value


def _texts(value: Any, key: str) -> dict[str, str]:
    return {name: _text(item, key) for name, item in _mapping(value, key).items()}


def _params(value: Any) -> dict[str, ParamValue]:
    try:
        return {name: checked_value(item) for name, item in _mapping(value, "params").items()}
    except ValueError as error:
        raise Unreadable(f"a param {error}") from error


def _metrics(value: Any) -> dict[str, float]:
    metrics = _mapping(value, "metrics")
    for item in metrics.values():
        plain = isinstance(item, int | float) and not isinstance(item, bool)
        if not plain or not math.isfinite(item):
            raise Unreadable("a metric is no finite number")
    return {name: float(item) for name, item in metrics.items()}


def _pointers(value: Any, key: str) -> tuple[Pointer, ...]:
    if not isinstance(value, list):
        raise Unreadable(f"{key} is no list")
    return tuple(_pointer(item, key) for item in value)


def _pointer(value: Any, key: str) -> Pointer:
    facts = _mapping(value, key)
    path, md5 = _text(facts.get("path"), key), _text(facts.get("md5"), key)
    counts = [facts.get("size", 0), facts.get("nfiles", 1)]
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in counts):
        raise Unreadable(f"{key}: a size is no number")
    try:
        is_plain = normalized(path) == path
    except ValueError as error:
        raise Unreadable(f"{key}: {error}") from error
    if not is_plain or not is_object(md5):
        raise Unreadable(f"{key}: {path!r} is no path from the root, or {md5!r} no hash")
    return Pointer(path, md5, *counts)
