"""The trackers that a repo has used: by its history, what each tracker's settings were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from anchored.config import FILE, NOTHING, PYPROJECT, Config, Tracker
from anchored.ports import CodeRepo
from anchored.training_repo import readable_config


def past_configs(code: CodeRepo, variables: Mapping[str, str] = NOTHING) -> Iterator[Config]:
    """The configurations that commits of the repo have, newest first, each once.

    HEAD's history comes before commits that only other refs hold. One that cannot be read is
    passed over.
    """
    commits = code.commits_changing((FILE, PYPROJECT))
    contents = code.read_many([(commit, file) for commit in commits for file in (FILE, PYPROJECT)])
    pairs = zip(contents[::2], contents[1::2], strict=True)
    for own, pyproject in dict.fromkeys(pairs):
        config = readable_config({FILE: own, PYPROJECT: pyproject}.get, code.root.name, variables)
        if config is not None:
            yield config


def config_with(kind: str, configured: Config, past: Iterable[Config]) -> Config:
    """The configuration with a kind of tracker in place of the configured one.

    Its settings are those that the newest of the `past` configurations with that kind has, with
    the experiment that it recorded its runs in; its defaults where it was never configured.
    """
    # The past is looked up only where it is needed: that takes a process of Git's.
    for config in chain((configured,), past):
        if config.tracker.kind == kind:
            return with_tracker(configured, config.tracker, config.experiment)
    return with_tracker(configured, Tracker.model_validate({"kind": kind}), configured.experiment)


def with_tracker(config: Config, tracker: Tracker, experiment: str) -> Config:
    """The configuration with another tracker and the experiment there."""
    return config.model_copy(update={"tracker": tracker, "experiment": experiment})
