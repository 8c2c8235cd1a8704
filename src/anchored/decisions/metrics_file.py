"""The metrics file that training wrote: names, and finite numbers."""

from __future__ import annotations

import math
from typing import Any

from anchored.decisions.decoding import MEBIBYTE, Unreadable, json_value
from anchored.errors import BadOutcome


def parse_metrics(text: bytes, file: str) -> dict[str, float]:
    """The metrics in a flat JSON object of finite numbers.

    Raises `BadOutcome` naming the first entry that is none.
    """
    try:
        document = json_value(text, longest=16 * MEBIBYTE, finite=False)
    except Unreadable as error:
        raise BadOutcome(f"{file} is not valid JSON: {error.why}") from error
    if not isinstance(document, dict):
        raise BadOutcome(f"{file} must hold one flat JSON object, not {_kind(document)}")
    metrics = {}
    for name, value in document.items():
        if not name.strip():
            raise BadOutcome(f"{file} holds a metric without a name")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadOutcome(f"{file}: metric {name!r} is {_kind(value)}, not a number")
        try:
            number = float(value)
        except OverflowError as error:
            raise BadOutcome(f"{file}: metric {name!r} is too large for a number") from error
        if not math.isfinite(number):
            raise BadOutcome(f"{file}: metric {name!r} is {number}, not a finite number")
        metrics[name] = number
    return metrics


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else kinds.get(type(value), "a number")
