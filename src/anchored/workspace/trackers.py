"""The kinds of trackers, one row each: how a tracker of the kind is made of a configuration.

A further kind is a package of `anchored.adapters`, a row here and its name in
`anchored.tracker_names`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchored.tracker_names import TrackerName

if TYPE_CHECKING:
    from anchored.config import Config
    from anchored.config import Tracker as Settings
    from anchored.ports import Tracker


@dataclass(frozen=True, slots=True)
class TrackerKind:
    """How trackers of a kind are made.

    `module` is the adapter's: its function `load` imports what the first call to a tracker would,
    given a guess at the tracker's URI. `make` gives the tracker that a configuration means for the
    repo at a root; it opens no connection. `settings` are those of `[tracker]` that lead to the
    same place without the environment of now. `own_place` are settings with which a tracker of the
    kind has its place in the repo.
    """

    module: str
    make: Callable[[Config, Path], Tracker]
    settings: Callable[[Settings], Mapping[str, Any]]
    own_place: Mapping[str, Any] = field(default_factory=dict)


def _mlflow(config: Config, root: Path) -> Tracker:
    from anchored.adapters.mlflow.place import resolved
    from anchored.adapters.mlflow.tracker import MlflowTracker
    from anchored.stack.record import page_of_tracker

    return MlflowTracker(
        config.tracker.uri,
        experiment=config.experiment,
        root=root,
        # Where looking may leave a file: Git ignores it, and nobody misses it.
        lock=root / ".dvc" / "tmp" / "anchored" / "tracker.lock",
        page=page_of_tracker(root, resolved(config.tracker.uri, root)),
    )


def _mlflow_settings(asked: Settings) -> Mapping[str, Any]:
    return {"kind": asked.kind, "uri": asked.uri, "join": asked.join}


def _wandb(config: Config, root: Path) -> Tracker:
    from anchored.adapters.wandb.place import runs_at
    from anchored.adapters.wandb.tracker import WandbTracker

    asked = config.tracker
    return WandbTracker(
        runs_at(
            root,
            os.environ,
            project=config.experiment,
            entity=asked.entity,
            mode=asked.mode,
            base_url=asked.base_url,
        )
    )


def _wandb_settings(asked: Settings) -> Mapping[str, Any]:
    from anchored.adapters.wandb.place import resolved

    place = resolved(os.environ, entity=asked.entity, mode=asked.mode, base_url=asked.base_url)
    return {"kind": asked.kind, "join": asked.join} | place


TRACKERS: Mapping[TrackerName, TrackerKind] = {
    "mlflow": TrackerKind("anchored.adapters.mlflow.tracker", _mlflow, _mlflow_settings),
    "wandb": TrackerKind(
        "anchored.adapters.wandb.tracker", _wandb, _wandb_settings, own_place={"mode": "offline"}
    ),
}


def known_name(kind: str) -> TrackerName | None:
    """The kind of this name; None for a kind that does not exist."""
    return next((name for name in TRACKERS if name == kind), None)


def checked_name(kind: str) -> TrackerName:
    """The kind of this name. Raises `WrongUse` for a kind that does not exist."""
    if (name := known_name(kind)) is not None:
        return name
    from anchored.errors import WrongUse

    names = " or ".join(TRACKERS)
    raise WrongUse(f"no kind of tracker is called {kind!r}", hint=f"name {names}")
