"""A W&B run, and what a tracker needs of the place where such runs are: a folder, or a server."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from anchored.ports import LoggedFiles, Pages
from anchored.records import Ended

OWN = frozenset({"_wandb", "_step", "_runtime", "_timestamp"})  # W&B's, in config and summary


@dataclass(frozen=True, slots=True)
class WandbRun:
    """A run as W&B has it: one `config` of params and tags, one `summary` of last values.

    Times are in milliseconds since the epoch; None is unknown.
    """

    run_id: str
    name: str
    project: str
    config: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    started: int | None = None
    ended: int | None = None
    ending: Ended | None = None
    url: str = ""


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A model as a W&B artifact: its files by their paths in it."""

    name: str
    files: Mapping[str, Path]
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be said of a run in one go; with an `ending`, that it has ended.

    A config value of None takes the key away.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    files: LoggedFiles = field(default_factory=LoggedFiles)
    model: LoggedModel | None = None
    ending: Ended | None = None


@dataclass(frozen=True, slots=True)
class LinkedVersion:
    """A version of a registered model, with the metadata that it was linked with."""

    version: str
    aliases: tuple[str, ...]
    metadata: Mapping[str, Any]
    url: str = ""


class WandbRuns(Protocol):
    """Where runs are written and found. Errors are W&B's own."""

    place: str  # as it may be shown, and as a run's record has it
    project: str

    def pages(self) -> Pages:
        """Where people look at the project's runs. Asks nobody."""

    def find(self, run_id: str) -> WandbRun | None:
        """The run of this id; None where there is none."""

    def of_ids(self, ids: Collection[str]) -> Iterable[WandbRun]:
        """The runs of these ids in any project, in no order."""

    def named(self, name: str, *, everywhere: bool) -> Iterable[WandbRun]:
        """The project's runs of this name, or those of any project, in no order."""

    def starting_with(self, prefix: str) -> Iterable[WandbRun]:
        """The project's runs whose id starts so, in no order."""

    def configured(self, key: str, value: str) -> Iterable[WandbRun]:
        """The project's runs with this value in their config, in no order."""

    def newest(self, limit: int | None) -> Iterable[WandbRun]:
        """The project's runs in no order, the `limit` newest among them."""

    def write(self, run: WandbRun, entry: Entry) -> None:
        """Adds to a run, and gives it the name that it has here; makes it if there is none."""

    def file(self, run: WandbRun, path: str) -> bytes | None:
        """The bytes of a file of the run; None where it has none of that path."""

    def has_model(self, run: WandbRun, model: LoggedModel) -> bool:
        """Whether the run has logged a model of this name and hash."""

    def versions(self, model: str) -> Sequence[LinkedVersion]:
        """All versions of a registered model, oldest first."""

    def link(self, run: WandbRun, logged: LoggedModel, *, to: str) -> None:
        """Makes a model that a run has logged a version of a registered model."""

    def set_alias(self, model: str, alias: str, version: str) -> None:
        """Gives an alias to a version and takes it from any other."""

    def usage(self, model: str, version: str) -> str:
        """The Python that brings a version back, by its number or alias; empty if none does."""

    def training_variables(self) -> Mapping[str, str]:
        """Environment variables that send a script's own runs to this place."""
