"""Where runs are recorded: MLflow, or W&B in its place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from anchored.records import (
    Ended,
    Environment,
    ModelVersion,
    ParamValue,
    TrackedRun,
)


@dataclass(frozen=True, slots=True)
class LoggedFiles:
    """Artifacts to log: a path in the run for each local file, or for bytes made here."""

    files: Mapping[str, Path] = field(default_factory=dict)
    texts: Mapping[str, bytes] = field(default_factory=dict)

    def put_below(self, folder: Path, put: Callable[[Path, Path], object]) -> list[str]:
        """Puts them at their paths below a folder, local files by `put`; returns the paths."""
        paths = [*self.files, *self.texts]
        for path in paths:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        for path, file in self.files.items():
            put(file, folder / path)
        for path, content in self.texts.items():
            (folder / path).write_bytes(content)
        return paths


NO_FILES = LoggedFiles()
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ModelContent:
    """A run's model, every byte hashed: the file or folder at `place`, whose hash is `md5`.

    It is in a folder made for it alone, where more may be written. `environment` is the one it
    was trained in; None where that was not recorded.
    """

    place: Path
    md5: str
    environment: Environment | None = None


@dataclass(frozen=True, slots=True)
class PageServer:
    """A module of ours that serves pages at 127.0.0.1, on the port that is its first argument.

    What may hold a password is in `settings`, for its environment: `ps` shows arguments.
    """

    module: str
    arguments: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Pages:
    """Where people look at a tracker's runs: a URL, without credentials, of pages or of a folder.

    Without a URL it is on pages that a `server` would serve. `hint` is a command that shows what
    no browser does.
    """

    url: str = ""
    hint: str = ""
    server: PageServer | None = None


class RunWriter(Protocol):
    """Writes runs. Every call may be repeated."""

    def open_run(self, *, name: str, tags: Mapping[str, str], started: datetime) -> TrackedRun:
        """A new run in the state running."""

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, ParamValue] = NOTHING,
        metrics: Mapping[str, float] = NOTHING,
        files: LoggedFiles = NO_FILES,
        tags: Mapping[str, str] = NOTHING,
    ) -> tuple[str, ...]:
        """Logs what it is given, tags last; returns the params that the script logged otherwise.

        Those stay as they are. Tags are seen by reading them back; raises `TrackerFailed` where one
        was not kept.
        """

    def log_model(self, run_id: str, content: ModelContent, *, tags: Mapping[str, str]) -> None:
        """Logs a run's model; once, however often it is called. Nothing is unpickled."""

    def end_run(self, run_id: str, ending: Ended, *, name: str, ended: datetime) -> None:
        """Marks the run as ended, under the name that it was opened with."""

    def reopen_run(self, run_id: str, *, without: Sequence[str] = ()) -> None:
        """Marks an ended run as running again, and removes those of these tags that it has."""


class RunReader(Protocol):
    """Finds runs and reads them. Creates nothing: whoever only looks changes nothing."""

    def run(self, run_id: str) -> TrackedRun:
        """The run of this id. Raises `UnknownRun`: `DeletedRun` where it can be brought back."""

    def runs(self, limit: int | None = None) -> Iterable[TrackedRun]:
        """The experiment's runs, newest first."""

    def runs_by_id(self, ids: Collection[str]) -> list[TrackedRun]:
        """The runs of these ids in any experiment, deleted ones too, in no order.

        Of an id that is none of the tracker's, or that it no longer knows, nothing.
        """

    def runs_tagged(self, tag: str, value: str) -> list[TrackedRun]:
        """The experiment's runs that have a tag of this value."""

    def runs_named(self, name: str, *, everywhere: bool = False) -> list[TrackedRun]:
        """The experiment's runs of this name, or those of any experiment, newest first."""

    def runs_starting_with(self, prefix: str) -> list[TrackedRun]:
        """The experiment's runs whose id starts so, newest first."""

    def artifact(self, run_id: str, path: str) -> bytes | None:
        """The bytes of one artifact; None where the run has none of that path."""

    def artifacts(self, runs: Sequence[TrackedRun], path: str) -> dict[str, bytes]:
        """The bytes of one artifact by run id, for those of the runs that have it."""


class ModelRegistry(Protocol):
    """Versions of registered models, and their aliases. Every call may be repeated."""

    def registered(self, run_id: str, *, model: str, md5: str) -> ModelVersion | None:
        """The version of a registered model that was made of a run's model with this hash."""

    def register(
        self, run_id: str, content: ModelContent, *, model: str, tags: Mapping[str, str]
    ) -> ModelVersion:
        """A version of a registered model, made of a run's model; an existing one if there is one.

        The registered model is made if it does not exist. The tags go to a new version, and so does
        the model's hash. Nothing is unpickled.
        """

    def version_of_alias(self, model: str, alias: str) -> ModelVersion | None:
        """The version of a registered model that has an alias; None where none has it."""

    def set_alias(self, model: str, alias: str, version: str) -> ModelVersion:
        """Gives an alias to a version and takes it from any other; returns it with its aliases."""


class TrainingSession(Protocol):
    """What a training script's own tracker calls have to do with the run."""

    def training_variables(self, run_id: str) -> dict[str, str]:
        """Environment variables by which a script's own tracker calls join the run."""

    def refuses_to_join(self, run_id: str, output: Sequence[str]) -> bool:
        """Whether training's last lines say that the script keeps a tracker of its own."""

    def metrics_kept_in(self, tree: Path) -> dict[str, float]:
        """Metrics that a script logged to a store of its own in the tree where it ran."""


class TrackerPages(Protocol):
    """Where people look at runs. Asks nobody."""

    def pages(self) -> Pages:
        """Where people look at the experiment's runs."""

    def picture_url(self, run_id: str, path: str) -> str:
        """Where any browser gets an artifact as it is; empty where none does, or not without login.

        It is not known whether the run has it.
        """


class Tracker(RunWriter, RunReader, ModelRegistry, TrainingSession, TrackerPages, Protocol):
    """One experiment of a tracker: MLflow, or W&B in its place."""

    kind: str
    uri: str
    takes_runs: bool  # False: only runs from before, and what is found out about them
    keeps_models: bool  # whether a run's model is logged with it; else only once it is registered
