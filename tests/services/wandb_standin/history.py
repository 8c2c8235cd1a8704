"""A run's history, read from the lines of its file stream."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.services.wandb_standin.graphql import Node


def keys(lines: Sequence[str]) -> dict[str, Any]:
    """Which keys were logged how often, and the last step; -1 where there is none."""
    rows = [json.loads(line) for line in lines]
    counts = Counter(key for row in rows for key in row)
    return {
        "lastStep": max((row.get("_step", -1) for row in rows), default=-1),
        "keys": {
            key: {"typeCounts": [{"type": "number", "count": n}]} for key, n in counts.items()
        },
    }


def between(
    lines: Sequence[str], samples: int = 500, min_step: int = 0, max_step: int | None = None
) -> list[str]:
    """The lines of the steps from `min_step` until before `max_step`; no more than `samples`."""
    steps = [json.loads(line)["_step"] for line in lines]
    end = max(steps, default=0) + 1 if max_step is None else max_step
    return [line for line, step in zip(lines, steps, strict=True) if min_step <= step < end][
        :samples
    ]


def live(lines: Sequence[str], live_keys: Sequence[str]) -> Node:
    """All of the history is what the service calls live; none of it was exported to Parquet."""
    return Node("ParquetHistory", {"parquetUrls": [], "liveData": _rows_having(lines, live_keys)})


def sampled(lines: Sequence[str], spec: str) -> list[dict[str, Any]]:
    wanted = json.loads(spec)
    return _rows_having(lines, wanted["keys"])[: wanted.get("samples", 500)]


def _rows_having(lines: Sequence[str], keys: Sequence[str]) -> list[dict[str, Any]]:
    """The rows that have every one of the keys, and those keys only."""
    rows = [json.loads(line) for line in lines]
    return [{key: row[key] for key in keys} for row in rows if all(key in row for key in keys)]
