"""Find runs in the tracker: one by what the user calls it, or all of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from anchored.decisions.decoding import Unreadable, json_value
from anchored.decisions.objects import md5_of_bytes
from anchored.decisions.tags import (
    COMMIT,
    LONGEST_DOCUMENT,
    PARENT,
    RECORD,
    REPRODUCES,
    record_of,
    unreadable_details,
)
from anchored.errors import AmbiguousRun, AnchoredError, DeletedRun, UnknownRun
from anchored.records import (
    ENVIRONMENT_DOCUMENT,
    RUN_DOCUMENT,
    Environment,
    RunRecord,
    TrackedRun,
)
from anchored.steps.training_repo import TrainingRepo, place_of

LATEST = "latest"
SHORTEST_PREFIX = 6
# W&B lets a script choose its run's id; nothing with other characters is looked up as one.
ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
CANDIDATES = 10
FEW = 20  # runs to look at before all of them are asked for


def found(repo: TrainingRepo, wanted: str, *, latest: bool = False) -> RunRecord:
    """The one run that is meant by a name, an id, six or more of its first digits, `latest`, or
    `@alias` of the registered model.

    `latest` is the newest run that is no reproduction of another, nor a part of one (a fold that a
    script logged by itself).

    Raises `UnknownRun`, which names another tracker of this repo that has such a run, and
    `AmbiguousRun` with the candidates where several fit; with `latest` the newest of them is taken.
    """
    try:
        candidates = _known(repo, wanted)
    except UnknownRun as unknown:
        if told := known_elsewhere(repo, wanted):
            raise told from unknown
        raise
    if len(candidates) > 1 and not latest:
        raise AmbiguousRun(wanted, [_line(repo, run) for run in candidates[:CANDIDATES]])
    return _whole(repo, candidates[0])


def known_elsewhere(repo: TrainingRepo, wanted: str) -> UnknownRun | None:
    """What is to be said where another tracker of this repo has the run that is meant."""
    for other in repo.elsewhere():
        # Of a tracker that nobody asked for, nobody wants to hear that it fails.
        with suppress(AnchoredError):
            if known := _candidates(replace(repo, tracker=other.tracker), wanted):
                has = "one" if len(known) == 1 else str(len(known))
                here, there = place_of(repo.tracker), place_of(other.tracker)
                return UnknownRun(
                    f"no run answers to {wanted!r} in {here}; {there} has {has}", hint=other.way
                )
    return None


def listed(repo: TrainingRepo, limit: int | None = None) -> Iterator[RunRecord]:
    """The experiment's runs, newest first."""
    return (record(repo, run) for run in repo.tracker.runs(limit))


def detailed(repo: TrainingRepo, tracked: TrackedRun) -> TrackedRun:
    """The run with its details, which stand in an artifact where they are too long for a tag."""
    if not tracked.tags.get(RECORD) and (
        text := repo.tracker.artifact(tracked.run_id, RUN_DOCUMENT)
    ):
        return with_details(tracked, text)
    return tracked


def with_details(tracked: TrackedRun, text: bytes) -> TrackedRun:
    """A run whose details were too long for a tag, with those of its `anchored/run.json`.

    What cannot be read stands for the details all the same, as if the tag were unreadable.
    """
    try:
        document = json_value(text, longest=LONGEST_DOCUMENT)
        details = json.dumps({**document, "ref": document["git"]["ref"]})
    except Unreadable:
        details = text[:LONGEST_DOCUMENT].decode(errors="replace")
    except (TypeError, KeyError):  # a file of that name which is not ours
        return tracked
    return replace(tracked, tags={**tracked.tags, RECORD: details})


def _known(repo: TrainingRepo, wanted: str) -> list[TrackedRun]:
    """The runs that may be meant. Raises `UnknownRun` for none."""
    if candidates := _candidates(repo, wanted):
        return candidates
    raise UnknownRun(f"no run answers to {wanted!r}", hint="`anchored list` shows them")


def _candidates(repo: TrainingRepo, wanted: str) -> list[TrackedRun]:
    if named := repo.tracker.runs_named(wanted):
        return named
    if wanted == LATEST:
        return _newest(repo)
    if wanted.startswith("@"):
        return [repo.tracker.run(_aliased(repo, wanted[1:]))]
    # A script may have logged to another experiment, and a name that is the only one is no guess.
    return _by_id(repo, wanted) or repo.tracker.runs_named(wanted, everywhere=True)


def _by_id(repo: TrainingRepo, wanted: str) -> list[TrackedRun]:
    if not ID.fullmatch(wanted):
        return []
    try:
        return [repo.tracker.run(wanted)]
    except DeletedRun:
        raise
    except UnknownRun:
        if len(wanted) < SHORTEST_PREFIX:
            return []
        return repo.tracker.runs_starting_with(wanted)


def _newest(repo: TrainingRepo) -> list[TrackedRun]:
    for limit in (FEW, None):
        for run in repo.tracker.runs(limit):
            is_part = PARENT in run.tags and COMMIT not in run.tags
            if REPRODUCES not in run.tags and not is_part:
                return [run]
    return []


def _aliased(repo: TrainingRepo, alias: str) -> str:
    retrain = repo.config.retrain
    if retrain is None or retrain.registered_model is None:
        raise UnknownRun(
            f"@{alias} is an alias of a registered model, and none is configured",
            hint="name it in anchored.toml: retrain.registered_model",
        )
    return repo.tracker.run_of_alias(retrain.registered_model, alias)


def _whole(repo: TrainingRepo, tracked: TrackedRun) -> RunRecord:
    """The run with all that its artifacts add to its tags."""
    whole = detailed(repo, tracked)
    if why := unreadable_details(whole.tags):
        repo.report.warn(f"the record of {tracked.run_id} cannot be read: {why}")
    run = record(repo, whole)
    environment = environment_of(repo, tracked.run_id)
    return run if environment is None else run.with_(environment=environment.to_json())


def environment_of(repo: TrainingRepo, run_id: str) -> Environment | None:
    """What the run recorded of its training interpreter; None where it recorded nothing.

    A record that cannot be read counts for none; the user is told.
    """
    return _environment(repo, run_id, repo.tracker.artifact(run_id, ENVIRONMENT_DOCUMENT))


def sealed_environment(repo: TrainingRepo, run: RunRecord) -> Environment | None:
    """The environment whose hash a run names; None where its record is absent, or another."""
    document = repo.tracker.artifact(run.run_id, ENVIRONMENT_DOCUMENT)
    if document is None or md5_of_bytes(document) != run.environment.get("md5"):
        return None
    return _environment(repo, run.run_id, document)


def _environment(repo: TrainingRepo, run_id: str, document: bytes | None) -> Environment | None:
    try:
        return None if document is None else Environment.from_json(json_value(document))
    except ValueError as error:
        repo.report.warn(f"{ENVIRONMENT_DOCUMENT} of {run_id} cannot be read: {error}")
        return None


def record(repo: TrainingRepo, tracked: TrackedRun) -> RunRecord:
    """What the tracker says of a run, as a record."""
    return record_of(tracked, kind=repo.tracker.kind, uri=repo.tracker.uri)


def _line(repo: TrainingRepo, tracked: TrackedRun) -> str:
    run = record(repo, tracked)
    return f"{run.run_id}  {run.started[:19]}  {run.git.commit[:12] or '-':12}  {run.state}"
