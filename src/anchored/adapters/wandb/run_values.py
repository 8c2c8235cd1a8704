"""What Anchored makes of a W&B run: a `TrackedRun`, and the other way round for what it writes.

W&B has no tags with values: a run's one config holds the tags beside the params. Tags are known
by their grammar, and every string in the config counts as a tag that was asked for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from anchored.adapters.wandb.runs import OWN, WandbRun
from anchored.decisions.decoding import DEPTH
from anchored.decisions.tags import is_tag
from anchored.records import Ended, TrackedRun

# W&B takes neither from a client, and a run is written by several of its runs of the SDK.
STARTED, ENDED, ENDING = "anchored.started", "anchored.ended", "anchored.ending"


def tracked(run: WandbRun) -> TrackedRun:
    """The run, with its tags, params and metrics."""
    ours = STARTED in run.config
    return TrackedRun(
        run_id=run.run_id,
        name=run.name,
        experiment=run.project,
        tags={key: value for key, value in run.config.items() if isinstance(value, str)},
        params=params_of(run),
        metrics=metrics_of(run),
        url=run.url,
        started=start_of(run),
        ended=milliseconds(run.config.get(ENDED)) if ours else run.ended,
        ending=ending_of(run),
    )


def ending_of(run: WandbRun) -> Ended | None:
    """How a run ended: of ours, W&B says only how our last entry ended."""
    if STARTED not in run.config:
        return run.ending
    said = run.config.get(ENDING)
    return Ended(said) if isinstance(said, str) and said in set(Ended) else None


def newest_first(runs: Iterable[WandbRun]) -> list[TrackedRun]:
    """The runs in the order in which they are listed."""
    return [tracked(run) for run in sorted(runs, key=start_of, reverse=True)]


def start_of(run: WandbRun) -> int:
    """When the run began, in milliseconds since the epoch; 0 if that is unknown."""
    return milliseconds(run.config.get(STARTED)) or run.started or 0


def params_of(run: WandbRun) -> dict[str, str]:
    """The config but for its tags: as strings, with the keys of what is nested joined by dots."""
    flat = dict(_flattened(run.config))
    return {key: _shown(value) for key, value in flat.items() if not is_tag(key)}


def metrics_of(run: WandbRun) -> dict[str, float]:
    """The finite numbers of the summary, with the keys of what is nested joined by dots."""
    return {
        key: float(value)
        for key, value in _flattened(run.summary)
        if isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)
    }


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer that is beyond them all
        return False


def _flattened(
    values: Mapping[str, Any], above: str = "", depth: int = DEPTH
) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if not above and key in OWN:
            continue
        if isinstance(value, Mapping):
            if "_type" not in value and depth:  # a picture, a table: W&B's, not a value
                yield from _flattened(value, f"{above}{key}.", depth - 1)
        else:
            yield f"{above}{key}", value


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)


def time_text(moment: datetime) -> str:
    """A moment as it is written into a config."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def milliseconds(text: Any) -> int | None:
    """A moment in milliseconds since the epoch, of a string in ISO 8601; None for anything else."""
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except (TypeError, ValueError, OverflowError):
        return None
