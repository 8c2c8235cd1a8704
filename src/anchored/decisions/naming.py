"""Names of runs, models and aliases: what may be one, and what is made of them elsewhere."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from datetime import datetime
from enum import StrEnum

from anchored.display.shown import shown
from anchored.errors import BadName

LONGEST, LONGEST_ALIAS = 200, 255
RUNS = "refs/anchored/runs/"
LATEST = "latest"
ID_LENGTH = 32  # hex digits of the ids that MLflow and we give to runs
UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # Unicode's categories: control, format, lines


class Reference(StrEnum):
    """What a user's RUN refers to, by its form alone."""

    ALIAS = "an alias of the registered model"
    LATEST = "the newest run"
    ID_PREFIX = "a run id or the beginning of one"
    NAME = "a run name"


def reference_of(wanted: str) -> Reference:
    """What is referred to: letter case and every other character count."""
    if wanted.startswith("@"):
        return Reference.ALIAS
    if wanted == LATEST:
        return Reference.LATEST
    return Reference.ID_PREFIX if re.fullmatch("[0-9a-fA-F]{6,}", wanted) else Reference.NAME


def is_whole_id(wanted: str) -> bool:
    """Whether this can be nothing shorter than a run's id."""
    return len(wanted) == ID_LENGTH and reference_of(wanted) == Reference.ID_PREFIX


def checked_name(name: str) -> str:
    """The name of a new run, if every tracker, tag and file can carry it and it reads as a name.

    Quotes, spaces, slashes and accents are fine. Raises `BadName` for an empty name, one of more
    than 200 characters, one with characters that nobody sees or that are not valid Unicode, and
    one that looks like another kind of reference to a run, or the same as another name.
    """
    if not name.strip():
        raise BadName("a run name must not be empty")
    if len(name) > LONGEST:
        raise BadName(f"a run name has at most {LONGEST} characters, this one has {len(name)}")
    for character in name:
        if unicodedata.category(character) in UNSEEN:
            raise BadName(f"a run name must not contain {character!a}, which nobody sees")
    if name != (plain := unicodedata.normalize("NFC", name).strip()):
        raise BadName(
            f"the run name {name!a} is not spelled as it looks",
            hint=f"without outer spaces and in Unicode's composed form it is {plain!a}",
        )
    looks_like = reference_of(unicodedata.normalize("NFKC", name).casefold())
    if looks_like != Reference.NAME:
        raise BadName(
            f"the run name {name!r} looks like {looks_like}",
            hint=f'add a word to it, as in "run {name.lstrip("@")}"',
        )
    return name


def is_alias(alias: str) -> bool:
    """Whether a registry may have an alias of these characters."""
    return bool(re.fullmatch(r"[\w-]+", alias)) and len(alias) <= LONGEST_ALIAS


def checked_alias(alias: str) -> str:
    """The alias, if every registry can carry it. Raises `BadName`.

    `latest` and `v1`, `v2`, … are names that registries give to versions by themselves.
    """
    if not is_alias(alias):
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
    """A name for a run that was given none: experiment and second of its start, in UTC.

    Never one that is refused, whatever the experiment (by default a folder) is called.
    """
    for start in (unicodedata.normalize("NFC", experiment).strip()[:150], "run"):
        with suppress(BadName):
            return checked_name(f"{start}-{now:%Y%m%d-%H%M%S}")
    raise AssertionError("the last one is a good name")


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
