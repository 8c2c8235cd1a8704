"""The only wiring: a path on this machine becomes a training repo with its ports."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol, cast

from anchored.config import Config
from anchored.errors import ConfigError
from anchored.journal import FOLDER, Journals
from anchored.ports import Report, Silent, Tracker
from anchored.steps.init_repo import Initialized, init_repo
from anchored.steps.training_repo import TrainingRepo, config_from


class LoadableTracker(Tracker, Protocol):
    """A tracker that can load its libraries before it is first used."""

    def load(self) -> None: ...


def open_repo(
    repo: str | Path | None = None, report: Report | None = None, *, aside: bool = False
) -> TrainingRepo:
    """The training repo around a folder (default: `ANCHORED_REPO`, else the current one).

    Opens no connection and changes nothing. With `aside` the tracker loads in a process of its
    own from now on, for every later opening of this repo too. Raises `NotReady`, `ConfigError`.
    """
    from anchored.adapters.git_repo import GitRepo

    code = GitRepo(root_of(repo))
    root = code.root
    config = config_from(lambda path: _read(root / path), root.name)
    tracker = _tracker(config, root)
    key = (tracker.kind, tracker.uri, config.experiment, root)
    if aside and key not in _ASIDE:
        from anchored.adapters.tracker_process import TrackerProcess

        _ASIDE[key] = cast("Tracker", TrackerProcess(tracker))
    from anchored.adapters.dvc_store import DvcStore
    from anchored.adapters.uv_environments import UvEnvironments

    return TrainingRepo(
        root=root,
        config=config,
        code=code,
        store=DvcStore(root),
        tracker=_ASIDE.get(key, tracker),
        environments=UvEnvironments(os.environ),
        journals=Journals(root),
        report=report or Silent(),
        variables=dict(os.environ),
    )


def init(repo: str | Path | None, *, remote: str | None, untrack: bool) -> Initialized:
    """Makes the Git repository around a folder ready for Anchored, as far as it is not yet."""
    from anchored.adapters.dvc_store import DvcStore
    from anchored.adapters.git_repo import GitRepo

    code = GitRepo(root_of(repo))
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    return init_repo(code, DvcStore(code.root), remote=remote, untrack=untrack, tracker_uri=uri)


def root_of(repo: str | Path | None) -> Path:
    """The top level of the Git repository that is meant. Raises `NotReady` where there is none."""
    from anchored.adapters.git_repo import GitRepo

    start = repo or os.environ.get("ANCHORED_REPO") or Path.cwd()
    return GitRepo.top_level(Path(start).expanduser().resolve())


# Trackers that run in a process of their own, which belongs to this one.
_ASIDE: dict[tuple[str, str, str, Path], Tracker] = {}


def _tracker(config: Config, root: Path) -> LoadableTracker:
    if config.tracker.kind == "mlflow":
        from anchored.adapters.mlflow_tracker import MlflowTracker

        return MlflowTracker(
            config.tracker.uri,
            experiment=config.experiment,
            root=root,
            lock=root / FOLDER / "tracker.lock",
        )
    raise ConfigError(
        "W&B is not supported yet", file="anchored.toml", key="tracker.kind", hint="use mlflow"
    )


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
