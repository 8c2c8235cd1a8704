"""`anchored.toml`: what a training repo says of its data, its training and its tracker."""

from __future__ import annotations

from anchored.config.parsing import (
    NOTHING,
    PYPROJECT,
    has_table,
    line_of,
    named_paths,
    parse_config,
)
from anchored.config.sections import FILE, Config, Retrain, Tracker

__all__ = [
    "FILE", "NOTHING", "PYPROJECT", "Config", "Retrain", "Tracker", "has_table", "line_of",
    "named_paths", "parse_config",
]  # fmt: skip
