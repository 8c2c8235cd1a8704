"""Names of runs, models and aliases: what may be one, and what is made of them elsewhere."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime

from anchored.decisions.shown import shown
from anchored.errors import BadName

LONGEST, LONGEST_ALIAS = 200, 255
RUNS = "refs/anchored/runs/"


def checked_name(name: str) -> str:
    """The name, if every tracker, tag and file can carry it.

    Quotes, spaces, slashes and accents are fine. Raises `BadName` for an empty name, one of more
    than 200 characters, and one with control characters or text that is not valid Unicode.
    """
    if not name.strip():
        raise BadName("a run name must not be empty")
    if len(name) > LONGEST:
        raise BadName(f"a run name has at most {LONGEST} characters, this one has {len(name)}")
    for character in name:
        if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}:
            raise BadName(f"a run name must not contain {character!r}, a control character")
    return name


def checked_alias(alias: str) -> str:
    """The alias, if every registry can carry it. Raises `BadName`.

    `latest` and `v1`, `v2`, … are names that registries give to versions by themselves.
    """
    if not re.fullmatch(r"[\w-]+", alias) or len(alias) > LONGEST_ALIAS:
        raise BadName(
            f"{alias!r} cannot be an alias",
            hint=f"letters, digits, _ and - can, up to {LONGEST_ALIAS} of them",
        )
    if alias.lower() == "latest" or re.fullmatch(r"[vV]\d+", alias):
        raise BadName(
            f"{alias!r} is an alias that registries keep for themselves",
            hint='name one such as "champion" or "challenger"',
        )
    return alias


def checked_model_name(name: str) -> str:
    """The name of a registered model, if every registry can carry it. Raises `ValueError`."""
    if not name.strip() or name == "." or name.startswith("..") or re.search(r"[/:]", name):
        raise ValueError("must be a plain name, without / and :")
    return name


def generated_name(experiment: str, now: datetime) -> str:
    """A name for a run that was given none: experiment and second of its start, in UTC."""
    return f"{experiment[:150]}-{now:%Y%m%d-%H%M%S}"


def reproduction_name(name: str) -> str:
    """The name of a run that reproduces another: not its own, which would become ambiguous."""
    return f"reproduction of {name}"[:LONGEST]


def may_have_ref(run_id: str) -> bool:
    """Whether a run's id can be a part of a ref: scripts may choose an id in W&B."""
    return re.fullmatch(r"[A-Za-z0-9_-]+", run_id) is not None


def run_ref(run_id: str) -> str:
    """The Git ref that keeps a run's snapshot commit."""
    return f"{RUNS}{run_id}"


def open_ref(key: str) -> str:
    """The Git ref that keeps, here alone, the commit of a run that is under way."""
    return f"refs/anchored/open/{key}"


def flow_tags(*, name: str, commit: str, data: str, model: str) -> list[str]:
    """The tags of a Prefect flow run: name, and the first twelve digits of commit and hashes."""
    facts = {"commit": commit[:12], "data": data[:12], "model": model[:12]}
    tags = [f"run:{name}", *(f"{key}:{value}" for key, value in facts.items() if value)]
    return [shown(tag) for tag in tags]
