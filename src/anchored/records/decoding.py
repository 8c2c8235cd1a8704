"""Checks on values that others wrote, before a record is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any


def checked(value: Any, kind: Any) -> Any:
    """The value, if it is of this kind. Raises `ValueError`."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise ValueError(f"a {type(value).__name__} is where none is expected")
    return value


def checked_mapping(value: Any, kinds: Any) -> dict[str, Any]:
    """The mapping, if its values are of these kinds. Raises `ValueError`."""
    return {key: checked(item, kinds) for key, item in checked(value, Mapping).items()}


@cache  # of a hundred thousand runs
def field_names(kind: Any) -> frozenset[str]:
    """The fields of a dataclass."""
    return frozenset(f.name for f in fields(kind))
