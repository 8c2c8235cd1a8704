"""What a run's commit records of it against what its tracker says: the commit is right.

The tracker is how a run is found, and only it knows of pages, flow runs and verdicts. Where it says
otherwise, that is a finding: somebody changed it, for Git's history cannot be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from anchored.decisions.commit_record import is_snapshot
from anchored.decisions.naming import run_ref
from anchored.decisions.objects import is_object
from anchored.decisions.tags import (
    COMMIT,
    DATA,
    ENVIRONMENT,
    MODEL,
    REPRODUCES,
    SOURCE_COMMIT,
)
from anchored.records import CommitText, Pointer, RunRecord


def agreed(tracked: RunRecord, sealed: RunRecord) -> tuple[RunRecord, tuple[str, ...]]:
    """The run as its commit records it, and in words each thing that the tracker says otherwise."""
    run = sealed.with_(
        experiment=tracked.experiment,
        state=tracked.state,
        git=replace(sealed.git, repo_url=tracked.git.repo_url),
        tracker=tracked.tracker,
        prefect=tracked.prefect,
        ended=tracked.ended,
        verdict=tracked.verdict,
    )
    return run, tuple(_mismatches(tracked, sealed))


def source_of(commit: str, text: CommitText) -> str:
    """The commit that training executed: a snapshot's parent, else the commit itself."""
    return text.parent if is_snapshot(text.message) else commit


def sealed_before(
    run: RunRecord,
    commit: str,
    text: CommitText,
    at_commit: Sequence[Pointer],
    *,
    inputs: Sequence[str] | None,
    model: str | None,
) -> tuple[RunRecord, tuple[str, ...]]:
    """A run that was sealed before commits recorded runs, and what its tags say otherwise.

    Commits and pointers are those under its ref, `commit`; params and metrics, and outputs whose
    pointers there are unreadable, are what the tags say.
    `inputs` and `model` are the paths of the configuration there, None where it has none.
    """
    known = {pointer.path: pointer for pointer in at_commit if is_object(pointer.md5)}
    paths = [p.path for p in run.data] if inputs is None else inputs
    models = [p.path for p in run.model] if model is None else [model]
    git = run.git.with_(
        commit=commit, source_commit=source_of(commit, text), ref=run_ref(run.run_id)
    )
    sealed = run.with_(
        git=git,
        data=tuple(known[path] for path in paths if path in known) or run.data,
        model=tuple(known[path] for path in models if path in known) or run.model,
        reproduces=None,
    )
    return sealed, tuple(_mismatches(run, sealed))


def _mismatches(tracked: RunRecord, sealed: RunRecord) -> Iterator[str]:
    pairs = [
        ("name", tracked.name, sealed.name),
        (COMMIT, tracked.git.commit, sealed.git.commit),
        (SOURCE_COMMIT, tracked.git.source_commit, sealed.git.source_commit),
        (ENVIRONMENT, tracked.environment.get("md5"), sealed.environment.get("md5")),
        (REPRODUCES, tracked.reproduces, None),
    ]
    if tracked.command:  # else nothing but the tracker's own params, which are all strings
        pairs.append(("command", tracked.command, sealed.command))
        names = dict.fromkeys((*sealed.params, *tracked.params))
        pairs += [(f"param {n}", tracked.params.get(n), sealed.params.get(n)) for n in names]
    metrics = ((name, tracked.metrics.get(name), value) for name, value in sealed.metrics.items())
    pairs += [(f"metric {name}", here, value) for name, here, value in metrics]
    for what, here, there in pairs:
        if here not in ("", None) and here != there:
            yield f"{what} is {here!r} in the tracker, {there!r} by its commit"
    yield from _of_hashes(DATA, tracked.data, sealed.data)
    yield from _of_hashes(MODEL, tracked.model, sealed.model)


def _of_hashes(tag: str, tracked: Sequence[Pointer], sealed: Sequence[Pointer]) -> Iterator[str]:
    known: Mapping[str, str] = {pointer.path: pointer.md5 for pointer in sealed}
    first = sealed[0].md5 if sealed else None
    for pointer in tracked:
        there = known.get(pointer.path) if pointer.path else first
        if pointer.md5 != there:
            what = f"{tag}/{pointer.path}" if pointer.path else tag
            yield f"{what} is {pointer.md5!r} in the tracker, {there!r} by its commit"
