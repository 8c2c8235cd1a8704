"""What a tracker has: runs, and versions of registered models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from anchored.display import html


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version in a registry of models, made of a run's model; `aliases` are those it has.

    `run_id` is empty where the registry names no run. `usage` is the Python that brings the model
    back, empty where that is not known.
    """

    model: str
    version: str
    run_id: str
    aliases: tuple[str, ...] = ()
    url: str = ""
    usage: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "aliases": list(self.aliases)}

    def _repr_html_(self) -> str:
        aliases = ", ".join(f"@{alias}" for alias in self.aliases)
        rows = [
            ("aliases", aliases),
            ("run", self.run_id),
            ("page", self.url),
            ("load", self.usage),
        ]
        return html.facts(f"{self.model} version {self.version}", rows)


class Ended(StrEnum):
    """How a tracker run ended, in the trackers' common words."""

    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A run as the tracker has it, but for metrics that are no finite numbers: JSON has none.

    Times are in milliseconds since the epoch; None is unknown. `artifacts` is the URI under which
    the tracker keeps them. `deleted`: it can be restored there, and is in no listing.
    """

    run_id: str
    name: str
    experiment: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    url: str
    started: int | None = None
    ended: int | None = None
    ending: Ended | None = None
    artifacts: str = ""
    deleted: bool = False
