"""The trackers that a repo has used, but for the one that it was opened with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from anchored.config import Config, Tracker
from anchored.errors import WrongUse
from anchored.history.tracker_history import config_with, past_configs, with_tracker
from anchored.ports import CodeRepo
from anchored.records import TrackerLink
from anchored.system.sockets import is_reachable
from anchored.training_repo import OtherTracker
from anchored.workspace.trackers import TRACKERS
from anchored.workspace.trackers_aside import tracker_at


def other_trackers(code: CodeRepo, configured: Config, opened: Config) -> Iterator[OtherTracker]:
    """The trackers that the configuration names or has named, and those with a place in the repo.

    Servers that nobody has named are left alone, and so are those that do not answer.
    """
    past = tuple(past_configs(code, os.environ))
    by_option = [_place(config_with(kind, configured, past), code.root) for kind in TRACKERS]
    local = (
        with_tracker(configured, _settings(kind, row.own_place), configured.experiment)
        for kind, row in TRACKERS.items()
    )
    seen = {_place(opened, code.root)}
    for config in (configured, *past, *local):
        place = _place(config, code.root)
        if place and place not in seen and is_reachable(place.uri):
            way = f"add --tracker {place.kind}" if place in by_option else _way(config.tracker)
            yield OtherTracker(tracker_at(config, code.root), way)
        seen.add(place)


def _settings(kind: str, own_place: Mapping[str, Any]) -> Tracker:
    return Tracker.model_validate({"kind": kind, **own_place})


def _place(config: Config, root: Path) -> TrackerLink | None:
    """Where the tracker that a configuration means is; None where it cannot be made now."""
    with suppress(WrongUse):
        tracker = TRACKERS[config.tracker.kind].make(config, root)
        return TrackerLink(tracker.kind, tracker.uri)
    return None


def _way(tracker: Tracker) -> str:
    """How a tracker is reached that `--tracker` does not lead to."""
    found = f"{tracker.as_toml()} under [tracker] in anchored.toml looks there"
    if tracker.mode == "offline":
        return f"`wandb sync` brings it to the server; {found}"
    return found
