"""Params of past runs, in the types that a configuration gives them: a tracker knows texts only."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from anchored.config import Config
from anchored.decisions.command import checked_value
from anchored.errors import BadParam
from anchored.records import ParamValue


def typed(params: Mapping[str, ParamValue], config: Config) -> dict[str, ParamValue]:
    """The params, texts read as what the configuration has in their place."""
    typed = dict(params)
    for name, value in params.items():
        if isinstance(value, str) and name in config.train.params:
            typed[name] = _of_text(name, value, config)
    return typed


def _of_text(name: str, text: str, config: Config) -> ParamValue:
    """A configured param's value; what is not of the configured type is a number or a string."""
    for spelled in (text, text.lower()):  # Python's True is a boolean, as TOML's true
        with suppress(BadParam):
            return config.params_with({name: spelled})[name]
    for kind in (int, float):
        with suppress(ValueError):
            return checked_value(kind(text))
    return text
