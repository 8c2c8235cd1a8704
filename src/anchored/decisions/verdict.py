"""Does a reproduction still give the run's result? The verdict, and what it rests on.

`identical`: every model hash and every metric equal. `equivalent`: metrics within tolerance or
noise, bytes differ. `different`: a metric is off by more, or there is none to judge by. `failed`:
the run could not be trained again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from anchored.decisions.margin import Margin, parse_margin
from anchored.errors import BadParam
from anchored.records import Check, Pointer, Verdict


class Tolerance(Margin):
    """How far a metric may be off from what was recorded."""

    __slots__ = ()

    def allows(self, recorded: float, reproduced: float) -> bool:
        limit, off = self.at(recorded), abs(recorded - reproduced)
        # 0.8 is off from 0.7 by 0.1, whatever binary fractions make of it.
        return off <= limit or math.isclose(off, limit, rel_tol=1e-9)


EXACT = Tolerance(0.0)


@dataclass(frozen=True, slots=True)
class Result:
    """What one training gave."""

    model: tuple[Pointer, ...]
    metrics: Mapping[str, float]


def parse_tolerances(texts: Iterable[str]) -> dict[str, Tolerance]:
    """Tolerances by metric from `METRIC=0.01` and `METRIC=1%`; a metric may be a glob, as `time_*`.

    Raises `BadParam`.
    """
    return dict(map(_parsed_tolerance, texts))


def _parsed_tolerance(text: str) -> tuple[str, Tolerance]:
    metric, equals, value = text.rpartition("=")
    try:
        margin = parse_margin(value)
    except ValueError:
        margin = None
    if margin is None or not equals or not metric:
        raise BadParam(
            f"tolerance {text!r} is not METRIC=NUMBER",
            hint="for example rmse=0.01, or rmse=1% of what was recorded",
        )
    return metric, Tolerance(margin.amount, relative=margin.relative)


def check_tolerances(tolerances: Mapping[str, Tolerance], metrics: Iterable[str]) -> None:
    """Raises `BadParam` for a tolerance of a metric that the run does not have."""
    known = sorted(metrics)
    for pattern in tolerances:
        # By its very name too: `rmse[0]` is a glob that does not fit itself.
        if not any(metric == pattern or fnmatchcase(metric, pattern) for metric in known):
            raise BadParam(
                f"the run has no metric {pattern!r}", hint=f"it has {', '.join(known) or 'none'}"
            )


def judge(
    recorded: Result, results: Sequence[Result], tolerances: Mapping[str, Tolerance]
) -> tuple[Verdict, tuple[Check, ...]]:
    """The verdict over one training or more, and its checks, those of the first training.

    A metric is within noise where what was recorded is no further from the trainings than these
    are from each other.
    """
    checks = [_model_check(pointer, results) for pointer in recorded.model]
    metrics = [_metric_check(n, v, results, tolerances) for n, v in recorded.metrics.items()]
    all_checks = (*checks, *metrics)
    if all_checks and all(check.equal for check in all_checks):
        return Verdict.IDENTICAL, all_checks
    if metrics and all(check.within for check in metrics):
        return Verdict.EQUIVALENT, all_checks
    return Verdict.DIFFERENT, all_checks


def agree(results: Sequence[Result]) -> bool:
    """Whether trainings of the same gave the same."""
    return all(result == results[0] for result in results)


def _model_check(pointer: Pointer, results: Sequence[Result]) -> Check:
    hashes = [next((p.md5 for p in r.model if p.path == pointer.path), None) for r in results]
    equal = all(md5 == pointer.md5 for md5 in hashes)
    return Check(f"model {pointer.path}", pointer.md5, hashes[0], equal=equal)


def _metric_check(
    name: str, recorded: float, results: Sequence[Result], tolerances: Mapping[str, Tolerance]
) -> Check:
    values = [result.metrics.get(name) for result in results]
    numbers = [value for value in values if value is not None]
    whole = len(numbers) == len(values)
    equal = whole and all(value == recorded for value in numbers)
    tolerance = _tolerance_of(name, tolerances)
    within = whole and (
        all(tolerance.allows(recorded, value) for value in numbers) or _in_noise(recorded, numbers)
    )
    return Check(f"metric {name}", recorded, values[0], equal=equal, within=within)


def _tolerance_of(name: str, tolerances: Mapping[str, Tolerance]) -> Tolerance:
    fitting = (t for pattern, t in tolerances.items() if fnmatchcase(name, pattern))
    return tolerances.get(name) or next(fitting, EXACT)


def _in_noise(recorded: float, values: Sequence[float]) -> bool:
    floor = max(values) - min(values)
    return floor > 0 and min(values) - floor <= recorded <= max(values) + floor
