"""Metrics that a script logged to an MLflow store of its own, in the tree where it ran.

Read as plain files, without MLflow: the script's may be of another version than ours, and its
database would be refused or migrated. Tables `runs`, `tags` and `latest_metrics` and the layout of
a file store (`mlruns/EXPERIMENT/RUN/metrics/NAME`, lines of time, value and step) are those of
MLflow 1.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from anchored.decisions.tags import PARENT

SQLITE = b"SQLite format 3\0"
NEWEST = (
    "SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active' AND run_uuid NOT IN "
    "(SELECT run_uuid FROM tags WHERE key = ?) ORDER BY start_time DESC LIMIT 1"
)
METRICS = "SELECT key, value FROM latest_metrics WHERE is_nan = 0 AND run_uuid = ?"


def metrics_kept_in(tree: Path) -> dict[str, float]:
    """Metrics, of finite numbers, of the newest run in a store in a folder, not inside another."""
    for file in sorted(p for p in tree.iterdir() if p.is_file() and not p.is_symlink()):
        if found := _of_database(file):
            return found
    return _of_file_store(tree / "mlruns")


def _of_database(file: Path) -> dict[str, float]:
    with file.open("rb") as stream:
        if stream.read(len(SQLITE)) != SQLITE:
            return {}
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as db,
    ):
        if (newest := db.execute(NEWEST, [PARENT]).fetchone()) is not None:
            return {k: v for k, v in db.execute(METRICS, newest) if math.isfinite(v)}
    return {}


def _of_file_store(store: Path) -> dict[str, float]:
    found = (p for p in store.glob("*/*/metrics") if not (p.parent / "tags" / PARENT).exists())
    runs = sorted(found, key=lambda p: p.parent.stat().st_mtime_ns)
    return dict(_logged_files(runs[-1])) if runs else {}


def _logged_files(folder: Path) -> Iterator[tuple[str, float]]:
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        with suppress(ValueError, IndexError):
            value = float(file.read_text().splitlines()[-1].split()[1])
            if math.isfinite(value):
                yield file.relative_to(folder).as_posix(), value
