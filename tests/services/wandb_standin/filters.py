"""The filters and orders of `wandb.Api().runs`: MongoDB's words, on a run's fields.

https://docs.wandb.ai/models/ref/python/public-api/api#method-apiruns
"""

import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

from tests.services.wandb_standin.documents import Unknown
from tests.services.wandb_standin.state import Run

_FIELDS: dict[str, Callable[[Run], Any]] = {
    "name": lambda run: run.name,
    "displayname": lambda run: run.display_name,
    "state": lambda run: run.state,
    "tags": lambda run: run.tags,
    "group": lambda run: run.group,
    "jobtype": lambda run: run.job_type,
    "notes": lambda run: run.notes,
    "username": lambda run: run.user,
    "createdat": lambda run: run.created_at,
    "heartbeatat": lambda run: run.heartbeat_at,
}


def fits(run: Run, wanted: dict[str, Any]) -> bool:
    """Whether the run is one of those wanted; Unknown for a field or operator not known here."""
    return all(_condition(run, key, value) for key, value in wanted.items())


def ordered(runs: Iterable[Run], order: str | None) -> list[Run]:
    """The runs by `+field` or `-field`; those of equal or no value stay in the order of creation."""
    order = order or "+created_at"
    key, runs = order.lstrip("+-"), list(runs)
    with_value = [run for run in runs if _value(run, key) is not None]
    with_value.sort(key=lambda run: _value(run, key), reverse=order.startswith("-"))
    return with_value + [run for run in runs if _value(run, key) is None]


def _condition(run: Run, key: str, value: Any) -> bool:
    if key == "$and":
        return all(fits(run, part) for part in value)
    if key == "$or":
        return any(fits(run, part) for part in value)
    if key == "$nor":
        return not any(fits(run, part) for part in value)
    if key.startswith("$"):
        raise Unknown(f"the filter {key}")
    return _holds(_value(run, key), value)


def _value(run: Run, key: str) -> Any:
    """`config.KEY.value`, `config.KEY`, `summary_metrics.KEY` or a plain field.

    A dot leads into a nested value; a key that has a dot of its own is not found by it.
    """
    head, _, rest = key.partition(".")
    if head == "config" and rest:
        name, _, inner = rest.partition(".")
        return _inside(run.config.get(name), inner or "value")
    if head in ("summary_metrics", "summaryMetrics") and rest:
        return _inside(run.summary, rest)
    plain = key.replace("_", "").lower()
    if plain not in _FIELDS:
        raise Unknown(f"the filter or order by {key!r}")
    return _FIELDS[plain](run)


def _inside(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _holds(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and any(key.startswith("$") for key in wanted):
        return all(_operator(value, name, operand) for name, operand in wanted.items())
    return wanted in value if isinstance(value, list) else value == wanted


def _operator(value: Any, name: str, operand: Any) -> bool:
    if name not in _OPERATORS:
        raise Unknown(f"the filter {name}")
    return _OPERATORS[name](value, operand)


def _comparing(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """A number is compared with a number, a text with a text; nothing else is more or less."""

    def compared(value: Any, operand: Any) -> bool:
        alike = str if isinstance(operand, str) else (int, float)
        return isinstance(value, alike) and compare(value, operand)

    return compared


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": _holds,
    "$ne": lambda value, operand: not _holds(value, operand),
    "$not": lambda value, operand: not _holds(value, operand),
    "$in": lambda value, operand: any(_holds(value, one) for one in operand),
    "$nin": lambda value, operand: not any(_holds(value, one) for one in operand),
    "$exists": lambda value, operand: (value is not None) == operand,
    "$regex": lambda value, operand: isinstance(value, str) and bool(re.search(operand, value)),
    "$gt": _comparing(operator.gt),
    "$gte": _comparing(operator.ge),
    "$lt": _comparing(operator.lt),
    "$lte": _comparing(operator.le),
}
