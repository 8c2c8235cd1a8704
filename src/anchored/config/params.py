"""Parameters in the types that `[train.params]` gives them."""

from __future__ import annotations

import re

from anchored.decisions.command import checked_value
from anchored.decisions.decoding import Unreadable, toml_value
from anchored.errors import BadParam
from anchored.records import ParamValue


def as_type_of(example: ParamValue, value: ParamValue, name: str) -> ParamValue:
    """The value in the type of an example. Raises `BadParam` where it has none in that type."""
    try:
        value = checked_value(value)
    except ValueError as error:
        raise BadParam(f"parameter {name!r} {error}") from error
    if isinstance(example, str):
        return value if isinstance(value, str) else str(value)
    if isinstance(value, str):
        value = _parsed(value)
    wanted = type(example).__name__
    if isinstance(example, bool) or isinstance(value, bool):
        fits = isinstance(example, bool) and isinstance(value, bool)
    elif isinstance(example, int):
        fits = isinstance(value, int)
    else:
        fits = isinstance(value, int | float)
        value = _float_of(value, name) if isinstance(value, int) else value
    if not fits:
        raise BadParam(f"parameter {name!r} is {wanted} in anchored.toml, {value!r} is not")
    return value


def _float_of(number: int, name: str) -> float:
    try:
        return float(number)
    except OverflowError as error:
        raise BadParam(f"parameter {name!r} is too large for a number") from error


def _parsed(text: str) -> ParamValue:
    """A `-p` value read as TOML reads a number or boolean; else the text itself."""
    if re.search(r"[\s#]", text):  # TOML would take a comment or a second line
        return text
    try:
        value = toml_value(f"value = {text}")["value"]
    except Unreadable:
        return text
    finite = isinstance(value, bool | int) or (isinstance(value, float) and value - value == 0)
    return value if finite and not isinstance(value, dict) else text
