"""A training repo with everything that the steps of a run act through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from anchored.config import FILE, NOTHING, PYPROJECT, Config, has_table, parse_config
from anchored.decisions.naming import generated_name, open_ref
from anchored.decisions.redaction import url_without_credentials
from anchored.errors import ConfigError, UnknownRun
from anchored.journal import Journal, Journals
from anchored.ports import CodeRepo, DataStore, Environments, Report, Tracker
from anchored.tracker_names import title_of

ConfigReader = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class OtherTracker:
    """A tracker that the repo is known to have used, but is not opened with; `way` leads there."""

    tracker: Tracker
    way: str


class Placed(Protocol):
    """What is at a place: a tracker, or a record's link to one."""

    @property
    def kind(self) -> str: ...

    @property
    def uri(self) -> str: ...


def place_of(tracker: Placed) -> str:
    """Which tracker it is, in words."""
    return f"{title_of(tracker.kind)} at {url_without_credentials(tracker.uri)}"


def _nowhere() -> Iterable[OtherTracker]:
    return ()


@dataclass(frozen=True, slots=True)
class TrainingRepo:
    """The user's repository, its configuration, and the ports behind which Git, DVC and the
    tracker are. `variables` is the environment that Anchored itself was started with.

    `tracker_settings` is `[tracker]` as it would lead to the same place whatever the environment.
    `elsewhere` gives the other trackers whose runs may be meant, those that answer; finding them
    creates nothing. `bound` gives this repo with the tracker and remotes of a run that is under
    way: those that were fixed when it opened.
    """

    root: Path
    config: Config
    code: CodeRepo
    store: DataStore
    tracker: Tracker
    tracker_settings: Mapping[str, Any]
    environments: Environments
    journals: Journals
    report: Report
    variables: Mapping[str, str]
    elsewhere: Callable[[], Iterable[OtherTracker]] = _nowhere
    bound: Callable[[Journal], TrainingRepo] = field(kw_only=True)

    def config_at(self, commit: str) -> Config:
        """The configuration as a commit has it: what a run does is decided by its commit."""
        return config_from(
            lambda path: self.code.read(commit, path), self.root.name, self.variables
        )

    def journal(self, key: str) -> Journal:
        """The journal of a run that is under way. Raises `UnknownRun`."""
        journal = self.journals.read(key)
        if journal is None:
            raise UnknownRun(f"no run is under way under the key {key}")
        return journal

    def forget(self, key: str) -> None:
        """Removes what kept a run that was under way: it has come to its end."""
        self.code.forget(open_ref(key))
        self.journals.close(key)


def config_from(read: ConfigReader, folder: str, variables: Mapping[str, str] = NOTHING) -> Config:
    """The configuration among a repo's files: `anchored.toml`, else `[tool.anchored]`.

    What that leaves open the name of the folder and the variables say.

    Raises `ConfigError` where there is none, or a broken one.
    """
    if (text := read(FILE)) is not None:
        return parse_config(text, FILE, default_experiment=folder, variables=variables)
    if (text := read(PYPROJECT)) is not None and has_table(text):
        return parse_config(text, PYPROJECT, default_experiment=folder, variables=variables)
    raise ConfigError(
        "not found in this repository", file=FILE, hint="run `anchored init` to have one written"
    )


def readable_config(
    read: ConfigReader, folder: str, variables: Mapping[str, str] = NOTHING
) -> Config | None:
    """The configuration among the files of a commit of history; None for none, or a broken one."""
    try:
        return config_from(read, folder, variables)
    except ConfigError:
        return None


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def name_or_generated(name: str | None, experiment: str) -> str:
    """The run's name, or one made of the experiment and the time."""
    return generated_name(experiment, now()) if name is None else name


def moment(text: str) -> datetime:
    """The moment that a record's `started` or `ended` names."""
    return datetime.fromisoformat(text)
