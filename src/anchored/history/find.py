"""Find runs in the tracker: one by what the user calls it, or all of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from anchored.decisions.decoding import Unreadable, json_value
from anchored.decisions.naming import Reference, is_alias, is_whole_id, reference_of
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
from anchored.history.aliases import run_of_alias
from anchored.records import (
    ENVIRONMENT_DOCUMENT,
    RUN_DOCUMENT,
    Environment,
    RunRecord,
    TrackedRun,
)
from anchored.training_repo import TrainingRepo, place_of

# W&B lets a script choose its run's id; nothing with other characters is looked up as one.
ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
FEW = 20  # runs to look at before all of them are asked for


@dataclass(frozen=True, slots=True)
class _Meant:
    """Runs that may be meant: by alias, id or `latest`, and by their names; newest first."""

    referred: tuple[TrackedRun, ...] = ()
    named: tuple[TrackedRun, ...] = ()

    @property
    def all(self) -> tuple[TrackedRun, ...]:
        return tuple({run.run_id: run for run in (*self.referred, *self.named)}.values())


def found(repo: TrainingRepo, wanted: str, *, latest: bool = False) -> RunRecord:
    """The one run that is meant by `@alias` of the registered model, `latest`, an id, an id prefix
    of six or more hex digits, or a run name. Every character counts, its case too.

    `latest` is the newest run that is no reproduction of another, nor a part of one (a fold that a
    script logged by itself).

    A name is never taken for one of the others nor they for it: where a run is *named* as another
    is referred to, both are candidates. But a full id of 32 hex digits is that run's, whatever
    others are named: a tracker's key names one run for ever, so it has to be the way out of every
    ambiguity. With `latest`, the newest is taken of several runs of one name, and of nothing else:
    whoever can give a run a name must not take over what an id or an alias refers to.

    Raises `UnknownRun`, which names another tracker of this repo that has such a run, and
    `AmbiguousRun` with the candidates.
    """
    try:
        meant = _meant(repo, wanted)
    except UnknownRun as unknown:  # an alias
        raise known_elsewhere(repo, wanted) or _only_named(repo, wanted) or unknown from None
    candidates = meant.all
    if not candidates:
        raise known_elsewhere(repo, wanted) or UnknownRun(
            f"no run answers to {wanted!r}", hint="`anchored list` shows them"
        )
    if len(candidates) > 1 and (meant.referred or not latest):
        raise _ambiguous(repo, wanted, meant)
    return _whole(repo, candidates[0])


def found_by_id(repo: TrainingRepo, run_id: str) -> RunRecord:
    """The run of just this id, as a tag names it. Raises `UnknownRun`."""
    return record(repo, detailed(repo, repo.tracker.run(run_id)))


def known_elsewhere(repo: TrainingRepo, wanted: str) -> UnknownRun | None:
    """What is to be said where another tracker of this repo has the run that is meant."""
    for other in repo.elsewhere():
        # Of a tracker that nobody asked for, nobody wants to hear that it fails.
        with suppress(AnchoredError):
            if known := _meant(replace(repo, tracker=other.tracker), wanted).all:
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
    """The run with its details, which are in an artifact where they are too long for a tag."""
    if not tracked.tags.get(RECORD) and (
        text := repo.tracker.artifact(tracked.run_id, RUN_DOCUMENT)
    ):
        return with_details(tracked, text)
    return tracked


def with_details(tracked: TrackedRun, text: bytes) -> TrackedRun:
    """A run whose details were too long for a tag, with those of its `anchored/run.json`.

    What cannot be read counts as the details all the same, as if the tag were unreadable.
    """
    try:
        document = json_value(text, longest=LONGEST_DOCUMENT)
        details = json.dumps({**document, "ref": document["git"]["ref"]})
    except Unreadable:
        details = text[:LONGEST_DOCUMENT].decode(errors="replace")
    except (TypeError, KeyError):  # a file of that name which is not ours
        return tracked
    return replace(tracked, tags={**tracked.tags, RECORD: details})


def _meant(repo: TrainingRepo, wanted: str) -> _Meant:
    kind = reference_of(wanted)
    if kind == Reference.ALIAS:
        return _Meant(_aliased(repo, wanted[1:]), _named(repo, wanted))
    if kind == Reference.LATEST:
        return _Meant(_newest(repo), _named(repo, wanted))
    by_id = _by_id(repo, wanted)
    if by_id and is_whole_id(wanted):
        return _Meant(by_id)
    if kind == Reference.ID_PREFIX:
        by_id += tuple(repo.tracker.runs_starting_with(wanted))
    meant = _Meant(by_id, _named(repo, wanted))
    # A script may have logged to another experiment, and a name that is the only one is no guess.
    return meant if meant.all else _Meant(named=_named(repo, wanted, everywhere=True))


def _named(repo: TrainingRepo, wanted: str, *, everywhere: bool = False) -> tuple[TrackedRun, ...]:
    """Runs of just this name: there are databases to which letters of both cases are the same."""
    runs = repo.tracker.runs_named(wanted, everywhere=everywhere)
    return tuple(run for run in runs if run.name == wanted)


def _by_id(repo: TrainingRepo, wanted: str) -> tuple[TrackedRun, ...]:
    if not ID.fullmatch(wanted):
        return ()
    try:
        run = repo.tracker.run(wanted)
    except DeletedRun:
        raise
    except UnknownRun:
        return ()
    return (run,) if run.run_id == wanted else ()


def _only_named(repo: TrainingRepo, wanted: str) -> UnknownRun | None:
    """What is to be said where nothing but the name of a run looks like this alias."""
    if ids := ", ".join(run.run_id for run in _named(repo, wanted)):
        return UnknownRun(f"no model has the alias {wanted}", hint=f"a run is named so: {ids}")
    return None


def _ambiguous(repo: TrainingRepo, wanted: str, meant: _Meant) -> AmbiguousRun:
    if not meant.referred:
        hint = "name one by its id, or take the newest with --latest"
    elif not meant.named:
        hint = "give more of its id"
    else:
        hint = "name one by its full id; one that was named like a reference is best renamed"
    return AmbiguousRun(wanted, [_line(repo, run) for run in meant.all], hint=hint)


def _newest(repo: TrainingRepo) -> tuple[TrackedRun, ...]:
    for limit in (FEW, None):
        for run in repo.tracker.runs(limit):
            is_part = PARENT in run.tags and COMMIT not in run.tags
            if REPRODUCES not in run.tags and not is_part:
                return (run,)
    return ()


def _aliased(repo: TrainingRepo, alias: str) -> tuple[TrackedRun, ...]:
    if not is_alias(alias):
        raise UnknownRun(f"{alias!r} cannot be an alias", hint="`anchored list` shows the runs")
    retrain = repo.config.retrain
    if retrain is None or retrain.registered_model is None:
        raise UnknownRun(
            f"@{alias} is an alias of a registered model, and none is configured",
            hint="name it in anchored.toml: retrain.registered_model",
        )
    run_id = run_of_alias(repo.tracker, retrain.registered_model, alias)
    return (repo.tracker.run(run_id),)


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

    A record that cannot be read counts for none; the user is warned.
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
    commit = run.git.commit[:12] or "-"
    return f"{run.run_id}  {run.started[:19]}  {commit:12}  {run.state}  {run.name!r}"
