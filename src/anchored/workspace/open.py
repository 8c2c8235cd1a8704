"""A training repo with all its ports, opened at a path on this machine or a Git URL.

Imports what it wires where it does so: a tracker that loads aside shall have begun before.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from anchored.workspace.repos import address_of, root_of
from anchored.workspace.trackers import TRACKERS, checked_name
from anchored.workspace.trackers_aside import tracker_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from anchored.adapters.git.repo import GitRepo
    from anchored.config import Config
    from anchored.journal import Journal, Places
    from anchored.ports import Report
    from anchored.setup.init import Initialized
    from anchored.training_repo import OtherTracker, TrainingRepo


def open_repo(
    repo: str | Path | None = None,
    report: Report | None = None,
    tracker: str | None = None,
    run: str = "",
) -> TrainingRepo:
    """The training repo around a folder (default: `ANCHORED_REPO`, else the current one).

    `tracker` is the kind to use in place of the configured one, with the settings that it had when
    it was the configured one. With the key of a `run` that is under way, tracker, remotes and
    configuration are those that were fixed when it opened.

    Opens no connection and changes nothing, but for a URL, as `root_of` does. Raises `NotReady`,
    `ConfigError`, `WrongUse` for no kind of tracker, and `GitRemoteFailed` for a URL.
    """
    from anchored.adapters.git.managed_clone import code_at
    from anchored.history.tracker_history import config_with, past_configs
    from anchored.journal import Journals
    from anchored.ports import Silent
    from anchored.training_repo import config_from

    root, report = root_of(repo, report), report or Silent()
    journal = Journals(root).read(run) if run else None
    if journal is not None and journal.places is not None:
        return _bound(root, report, journal, journal.places)
    code = code_at(root)
    configured = config = config_from(code.read_now, code.root.name, os.environ)
    if tracker is not None:
        config = config_with(checked_name(tracker), configured, past_configs(code, os.environ))
    return _wired(code, config, report, elsewhere=lambda: _others(code, configured, config))


def _bound(root: Path, report: Report, journal: Journal, places: Places) -> TrainingRepo:
    """The training repo as it was when a run of it opened."""
    from anchored.adapters.git.managed_clone import code_at
    from anchored.config import Tracker as Settings
    from anchored.history.tracker_history import with_tracker
    from anchored.training_repo import config_from, readable_config

    code = code_at(root, places.git_remote, places.checkout)
    folder = code.root.name
    config = readable_config(lambda path: code.read(journal.pinned, path), folder, os.environ)
    # A run that was made without a configuration is reproduced with today's.
    config = config or config_from(code.read_now, folder, os.environ)
    settings = Settings.model_validate(dict(places.tracker))
    config = with_tracker(config, settings, places.experiment)
    return _wired(code, config, report, dvc_remote=places.dvc_remote)


def _wired(
    code: GitRepo,
    config: Config,
    report: Report,
    *,
    elsewhere: Callable[[], Iterable[OtherTracker]] = tuple,
    dvc_remote: Mapping[str, Any] | None = None,
) -> TrainingRepo:
    from anchored.adapters.dvc.store import DvcStore
    from anchored.adapters.git.command import without_misleading
    from anchored.adapters.uv.environments import UvEnvironments
    from anchored.journal import Journals
    from anchored.training_repo import TrainingRepo

    root, variables = code.root, without_misleading(os.environ)

    def bound(journal: Journal) -> TrainingRepo:
        return _bound(root, report, journal, journal.places) if journal.places else repo

    repo = TrainingRepo(
        root=root,
        config=config,
        code=code,
        store=DvcStore(root, managed=code.managed, remote=dvc_remote),
        tracker=tracker_at(config, root),
        tracker_settings=TRACKERS[config.tracker.kind].settings(config.tracker),
        environments=UvEnvironments(variables),
        journals=Journals(root),
        report=report,
        variables=variables,
        elsewhere=elsewhere,
        bound=bound,
    )
    return repo


def _others(code: GitRepo, configured: Config, opened: Config) -> Iterable[OtherTracker]:
    from anchored.workspace.other_trackers import other_trackers

    return other_trackers(code, configured, opened)


def init(repo: str | Path | None, *, remote: str | None, untrack: bool) -> Initialized:
    """Makes the Git repository around a folder ready for Anchored, if it is not ready yet."""
    from anchored.adapters.dvc.store import DvcStore
    from anchored.adapters.git.repo import GitRepo
    from anchored.errors import NotReady
    from anchored.setup.init import init_repo

    if address_of(repo):
        raise NotReady(
            "`init` writes files for you to commit: it needs a clone of your own",
            hint="run `git clone` with that URL, and `anchored init` in the clone",
        )
    code = GitRepo(root_of(repo))
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    return init_repo(code, DvcStore(code.root), remote=remote, untrack=untrack, tracker_uri=uri)
