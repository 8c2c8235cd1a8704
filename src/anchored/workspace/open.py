"""The only wiring: a path on this machine, or a Git URL, becomes a training repo with its ports.

Imports what it wires where it does so: the tracker, loading aside, shall have begun before.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from anchored.adapters.git.clones import Clones
    from anchored.adapters.git.repo import GitRepo
    from anchored.config import Config
    from anchored.config import Tracker as Settings
    from anchored.decisions.git_address import GitAddress
    from anchored.journal import Journal, Places
    from anchored.ports import CodeRepo, Report, Tracker
    from anchored.records import TrackerLink
    from anchored.setup.init import Initialized
    from anchored.training_repo import OtherTracker, TrainingRepo
    from anchored.workspace.tracker_process import TrackerProcess

TrackerKind = Literal["mlflow", "wandb"]
ADAPTERS = {
    "mlflow": "anchored.adapters.mlflow.tracker",
    "wandb": "anchored.adapters.wandb.tracker",
}


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
        config = config_with(_checked(tracker), configured, past_configs(code, os.environ))
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
        tracker=_tracker(config, root),
        tracker_settings=SETTINGS[config.tracker.kind](config.tracker),
        environments=UvEnvironments(variables),
        journals=Journals(root),
        report=report,
        variables=variables,
        elsewhere=elsewhere,
        bound=bound,
    )
    return repo


def load_tracker_aside(repo: str | Path | None = None, tracker: str | None = None) -> None:
    """Lets the tracker load in a process of its own, for every later opening of this repo.

    `tracker` is as for `open_repo`. Does nothing where this process has loaded it already. Only
    looks at what the configuration says of the tracker; whether it is right, opening tells.
    """
    for folder in _folders(repo):
        file = folder / "anchored.toml"
        if file.is_file():
            kind, uri = _said_of_tracker(file)
            if tracker not in {None, kind}:
                kind, uri = str(tracker), ""
            if kind in ADAPTERS and ADAPTERS[kind] not in sys.modules:
                from anchored.workspace.tracker_process import TrackerProcess

                _LOADING.append(TrackerProcess(ADAPTERS[kind], uri))
            return


def init(repo: str | Path | None, *, remote: str | None, untrack: bool) -> Initialized:
    """Makes the Git repository around a folder ready for Anchored, as far as it is not yet."""
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


def root_of(repo: str | Path | None, report: Report | None = None) -> Path:
    """The top level of the Git repository that is meant; of a URL's, in the clone kept for it.

    That clone is made where there is none, and brought to the tip of its branch where there is
    one. Raises `NotReady` where there is no such repository, `GitRemoteFailed` for a URL, and
    `WrongUse` for one that this process does not take.
    """
    from anchored.ports import Silent

    _check_taken(repo)
    if address := address_of(repo):
        return _clones().opened(address, report or Silent())
    from anchored.adapters.git.repo import GitRepo

    root = GitRepo.top_level(_start(repo))
    _check_taken(repo, root)  # a folder that is allowed may be in a repository that is not
    return root


def folder_of(repo: str | Path | None) -> Path:
    """As `root_of`, but asks no server: a URL's clone is where it is, and as it is.

    Raises `NotReady` where none has been made yet.
    """
    if (address := address_of(repo)) is None:
        return root_of(repo)
    _check_taken(repo)
    folder = _clones().folder(address)
    if not folder.is_dir():
        from anchored.errors import NotReady

        raise NotReady(
            f"there is no clone of {address.shown} here",
            hint="`anchored up` makes one, and so does a run",
        )
    return folder


def served_as(repo: str | Path | None) -> str:
    """What another process is to be given for the same repo: the URL, or the path of its root."""
    address = address_of(repo)
    return address.given if address else str(root_of(repo))


def named_by(repo: str) -> str:
    """What names the same repo once more, on this machine; without credentials."""
    address = address_of(repo)
    return address.public if address else repo


def address_of(repo: str | Path | None) -> GitAddress | None:
    """The URL that is meant; None where it is a folder on this machine."""
    from anchored.decisions.git_address import git_address

    given = repo or os.environ.get("ANCHORED_REPO") or ""
    return git_address(given) if isinstance(given, str) else None


def _check_taken(repo: str | Path | None, root: Path | None = None) -> None:
    """Raises `WrongUse` for a repo that `ANCHORED_REPOS`, if it is set, does not let us open.

    What comes from outside is a string; a `Path` is what we have opened before. `root` is where a
    folder turned out to belong.
    """
    allowed = os.environ.get("ANCHORED_REPOS")
    if allowed is None or isinstance(repo, Path):
        return
    from anchored.decisions.allowed_repos import check_taken
    from anchored.decisions.git_address import git_address

    own = os.environ.get("ANCHORED_REPO")
    served = own and (git_address(own) or str(_start(own)))
    check_taken(
        address_of(repo) or str(root or _start(repo)), served=served or None, allowed=allowed
    )


def _clones() -> Clones:
    from anchored.adapters.git.clones import Clones

    return Clones()


def _start(repo: str | Path | None) -> Path:
    return Path(repo or os.environ.get("ANCHORED_REPO") or Path.cwd()).expanduser().resolve()


def _folders(repo: str | Path | None) -> Sequence[Path]:
    """Where the configuration may lie, in the order in which it is looked for."""
    if address := address_of(repo):
        return [_clones().folder(address)]
    return [start := _start(repo), *start.parents]


def _said_of_tracker(file: Path) -> tuple[str, str]:
    """Kind and URI as they stand in a configuration that nobody has checked yet."""
    from anchored.decisions.decoding import toml_value

    with suppress(OSError, ValueError, AttributeError):
        said = toml_value(file.read_bytes()).get("tracker", {})
        return str(said.get("kind", "mlflow")), str(said.get("uri", ""))
    return "", ""


# Processes that load a tracker, and those that became one: of this kind, place and experiment.
_LOADING: list[TrackerProcess] = []
_ASIDE: dict[tuple[str, str, str, Path], TrackerProcess] = {}


def _checked(kind: str) -> str:
    if kind in WIRED:
        return kind
    from anchored.errors import WrongUse

    raise WrongUse(f"no kind of tracker is called {kind!r}", hint=f"name {' or '.join(WIRED)}")


def _tracker(config: Config, root: Path) -> Tracker:
    tracker = WIRED[config.tracker.kind](config, root)
    key = (tracker.kind, tracker.uri, config.experiment, root)
    if key not in _ASIDE and _LOADING:
        _ASIDE[key] = _LOADING.pop()
        _ASIDE[key].take(tracker)
    return cast("Tracker", _ASIDE.get(key, tracker))


def _mlflow(config: Config, root: Path) -> Tracker:
    from anchored.adapters.mlflow.place import resolved
    from anchored.adapters.mlflow.tracker import MlflowTracker
    from anchored.stack.record import page_of_tracker

    return MlflowTracker(
        config.tracker.uri,
        experiment=config.experiment,
        root=root,
        # Where looking may leave a file: Git overlooks it, and nobody misses it.
        lock=root / ".dvc" / "tmp" / "anchored" / "tracker.lock",
        page=page_of_tracker(root, resolved(config.tracker.uri, root)),
    )


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


def _of_mlflow(asked: Settings) -> dict[str, Any]:
    return {"kind": asked.kind, "uri": asked.uri, "join": asked.join}


def _of_wandb(asked: Settings) -> dict[str, Any]:
    from anchored.adapters.wandb.place import resolved

    place = resolved(os.environ, entity=asked.entity, mode=asked.mode, base_url=asked.base_url)
    return {"kind": asked.kind, "join": asked.join} | place


WIRED = {"mlflow": _mlflow, "wandb": _wandb}
# `[tracker]` as it would lead to the same place without the environment of now.
SETTINGS = {"mlflow": _of_mlflow, "wandb": _of_wandb}


def _others(code: CodeRepo, configured: Config, opened: Config) -> Iterator[OtherTracker]:
    """The trackers that the repo has used, but for the one it was opened with.

    They are those that its configuration names or has named, and those that have a place here
    without one. Servers that nobody has named are left alone, and so are those that do not answer.
    """
    from anchored.config import Tracker as Settings
    from anchored.history.tracker_history import config_with, past_configs, with_tracker
    from anchored.system.sockets import is_reachable
    from anchored.training_repo import OtherTracker

    past = tuple(past_configs(code, os.environ))
    by_option = [_place(config_with(kind, configured, past), code.root) for kind in WIRED]
    here = (Settings(kind="mlflow"), Settings(kind="wandb", mode="offline"))
    local = (with_tracker(configured, settings, configured.experiment) for settings in here)
    seen = {_place(opened, code.root)}
    for config in (configured, *past, *local):
        place = _place(config, code.root)
        if place and place not in seen and is_reachable(place.uri):
            way = f"add --tracker {place.kind}" if place in by_option else _way(config.tracker)
            yield OtherTracker(WIRED[place.kind](config, code.root), way)
        seen.add(place)


def _place(config: Config, root: Path) -> TrackerLink | None:
    """Where the tracker that a configuration means is; None where it cannot be had now."""
    from anchored.errors import WrongUse
    from anchored.records import TrackerLink

    with suppress(WrongUse):
        tracker = WIRED[config.tracker.kind](config, root)
        return TrackerLink(tracker.kind, tracker.uri)
    return None


def _way(tracker: Settings) -> str:
    """How a tracker is reached that `--tracker` does not lead to."""
    found = f"{tracker.as_toml()} under [tracker] in anchored.toml looks there"
    if tracker.mode == "offline":
        return f"`wandb sync` brings it to the server; {found}"
    return found
