"""The configuration in a text.

Every error names the file, the key and, where the text has it, the line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import (
    ValidationError,
)

from anchored.config.sections import Config
from anchored.decisions.decoding import Unreadable, toml_value
from anchored.errors import ConfigError
from anchored.tracker_names import KNOWN

PYPROJECT = "pyproject.toml"
LINE = 1_000  # characters of a line in which a key is looked for
NOTHING: Mapping[str, str] = MappingProxyType({})


def parse_config(
    text: bytes | str,
    file: str,
    *,
    default_experiment: str,
    variables: Mapping[str, str] = NOTHING,
) -> Config:
    """The configuration in the text of `anchored.toml`, or of a `pyproject.toml`.

    An experiment that it leaves open is as the tracker's own variable says, if it has one, else the
    default.

    Raises `ConfigError` with the place for what is not TOML, unknown keys, wrong types, paths
    that leave the repo, inputs that overlap and placeholders without a parameter.
    """
    source = text.decode("utf-8-sig", errors="replace") if isinstance(text, bytes) else text
    try:
        document: Any = toml_value(text)
    except Unreadable as error:
        raise ConfigError(
            f"not valid TOML: {error.why}", file=file, line=_line_said(error.why, source)
        ) from error
    table = document["tool"]["anchored"] if file == PYPROJECT else document
    prefix = "tool.anchored." if file == PYPROJECT else ""
    try:
        config = Config.model_validate(table)
    except ValidationError as error:
        raise _config_error(error, source, file, prefix) from error
    if config.experiment:
        return config
    named = variables.get(KNOWN[config.tracker.kind].experiment_variable)
    return config.model_copy(update={"experiment": named or default_experiment})


def has_table(text: bytes) -> bool:
    """Whether a `pyproject.toml` has a table `[tool.anchored]`."""
    try:
        tool = toml_value(text).get("tool")
    except Unreadable:
        return False
    return isinstance(tool, dict) and "anchored" in tool


def named_paths(text: bytes) -> tuple[str, ...]:
    """The inputs and the model that a configuration names, even if it is incomplete otherwise."""
    try:
        document = toml_value(text)
        paths = [*document["data"]["inputs"], document["train"]["model"]]
    except (Unreadable, KeyError, TypeError):
        return ()
    return tuple(path for path in paths if isinstance(path, str) and path)


def _line_said(why: str, source: str) -> int | None:
    """The line that is not valid, where a parser names one."""
    if place := re.search(r"at line (\d+)", why):
        return int(place[1])
    return len(source.splitlines()) if "at end of document" in why else None


def _config_error(error: ValidationError, source: str, file: str, prefix: str) -> ConfigError:
    # A misspelt key is a missing one too: what is there and unknown says more.
    errors = error.errors(include_url=False)
    first = min(errors, key=lambda e: e["type"] != "extra_forbidden")
    keys = [str(part) for part in first["loc"] if not isinstance(part, int)]
    problem = first["msg"].removeprefix("Value error, ")
    named = re.match(r"([a-z_.]+): (.*)", problem, re.DOTALL)
    if first["type"] == "value_error" and named:
        keys, problem = [*keys, *named[1].split(".")], named[2]
    if first["type"] == "extra_forbidden":
        problem = "unknown key"
    elif first["type"] == "missing":
        problem = "required, but missing"
    elif first["type"] == "model_type":
        problem = "must be a table"
    line = line_of(source, [*prefix.strip(".").split("."), *keys] if prefix else keys)
    return ConfigError(problem, file=file, key=prefix + ".".join(keys), line=line)


def line_of(source: str, keys: list[str]) -> int | None:
    """The line (from 1) where a dotted key is, or the table nearest above it."""
    best: int | None = None
    table: list[str] = []
    in_text = False
    for number, whole in enumerate(source.splitlines(), start=1):
        line = whole[:LINE]
        began_in_text = in_text
        in_text ^= len(re.findall(r"\"{3}|'{3}", whole)) % 2 == 1
        if began_in_text:
            continue
        if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line):
            table = [part.strip(" \"'") for part in header[1].split(".")]
            if keys[: len(table)] == table:
                best = number
        elif assignment := re.match(r"\s*([\w\"'.-]+)\s*=", line):
            path = table + [part.strip("\"'") for part in assignment[1].split(".")]
            if path == keys[: len(path)]:
                return number
    return best
