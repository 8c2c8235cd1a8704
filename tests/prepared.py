"""Training repos that were brought into some state once, and are copied for every test.

A run takes most of a second of the processor's time, its copy a few hundredths.
"""

from __future__ import annotations

import json
import pickle
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from anchored.records import RunRecord
from anchored.system.file_lock import locked
from tests.repos import Repo

T = TypeVar("T")
# Where MLflow keeps addresses of artifacts: absolute ones, where it writes files itself.
_ADDRESSES = (
    ("experiments", "artifact_location"), ("runs", "artifact_uri"),
    ("model_versions", "source"), ("model_versions", "storage_location"),
)  # fmt: skip


def made(folder: Path, template: Path, make: Callable[[Repo], Any]) -> None:
    """Copies the template into the folder and brings it into a state, once for all workers."""
    with locked(folder.with_name(f"{folder.name}.lock")):
        if (folder / "result").exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(template, folder, symlinks=True)
        result = make(Repo(folder / "work"))
        (folder / "result").write_bytes(pickle.dumps(result))


def copied(folder: Path, target: Path) -> tuple[Repo, Any]:
    """A copy of what was made, and what its maker returned, told of the copy."""
    ignored = shutil.ignore_patterns("result")
    shutil.copytree(folder, target, symlinks=True, ignore=ignored)
    _moved_tracker(target / "work", str(folder), str(target))
    result = pickle.loads((folder / "result").read_bytes())
    return Repo(target / "work"), _moved(result, str(folder), str(target))


def _moved_tracker(root: Path, old: str, new: str) -> None:
    with closing(sqlite3.connect(root / "mlflow.db")) as database, database:
        for table, column in _ADDRESSES:
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (old, new))
    for document in root.glob("mlruns/*/artifacts/anchored/run.json"):
        document.write_text(document.read_text().replace(old, new))


def _moved(result: T, old: str, new: str) -> T:
    """Records of runs name their tracker by its place; all else that makers return does not."""
    if isinstance(result, RunRecord):
        document = json.dumps(result.to_json()).replace(old, new)
        environment = result.environment
        return RunRecord.from_json(json.loads(document)).with_(environment=environment)  # type: ignore[return-value]
    if isinstance(result, tuple | list):
        return type(result)(_moved(item, old, new) for item in result)
    return result
