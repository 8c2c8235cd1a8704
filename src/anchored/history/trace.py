"""Trace a run: its commit, brought here if need be, and by it all that the run was made of.

What Anchored sealed is read from the commit under the run's own ref; what its tags say otherwise is
told and does not count. Tags alone decide for runs that were made without Anchored. A read-only
operation but for Git objects, and refs of Anchored's own that keep them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import chain

from anchored.config import FILE, PYPROJECT, Config
from anchored.decisions.authority import agreed, sealed_before, source_of
from anchored.decisions.commit_record import CommitRecord, parse_message
from anchored.decisions.decoding import Unreadable
from anchored.decisions.lineage import Lineage, lineage_of, recorded_lineage
from anchored.decisions.naming import may_have_ref, run_ref
from anchored.decisions.pointers import readable_pointers
from anchored.errors import NotReady
from anchored.history.find import found
from anchored.records import CommitStanding, Pointer, RunRecord
from anchored.training_repo import TrainingRepo, readable_config


@dataclass(frozen=True, slots=True)
class ResolvedRun:
    """A run with its lineage. `commit` and `source` are empty where they are not to be had.

    `source` is the commit that training executed; `config` the configuration there, None without.
    `trouble` says why a commit is not to be had. `run` is what the commit records where
    `is_recorded`, else what the tags say; `mismatches` say where these are otherwise.
    """

    run: RunRecord
    lineage: Lineage
    commit: str = ""
    source: str = ""
    config: Config | None = None
    trouble: tuple[str, ...] = ()
    is_recorded: bool = False
    mismatches: tuple[str, ...] = ()


def resolve_run(repo: TrainingRepo, run: RunRecord) -> ResolvedRun:
    """Finds the run's commit and what it names.

    Raises `BadInput` for tags that name paths or hashes which are none, `NotReady` for a commit
    whose record cannot be read or is another run's, and `GitRemoteFailed`.
    """
    ref = run_ref(run.run_id)
    at_ref = repo.code.bring_ref(ref) if may_have_ref(run.run_id) else ""
    if at_ref:
        record = _record_at(repo, at_ref)
        if record is None:
            return _sealed_before(repo, run, at_ref)
        if record.run.run_id != run.run_id:
            raise NotReady(
                f"{ref} is not on this run's commit, but on that of run {record.run.run_id}",
                hint="whoever can push to the Git remote can move it: see who did",
            )
        return _recorded(repo, run, record)
    trouble = {c: why for c in _named(run) if (why := _trouble(repo, run, c))}
    commit = run.git.commit if run.git.commit not in trouble else ""
    record = _record_at(repo, commit) if commit else None
    if record is not None and record.run.run_id == run.run_id:
        return _recorded(repo, run, record)
    source = run.git.source_commit if run.git.source_commit not in trouble else ""
    # The tracker may name a ref, as that of the run that it reproduces: it has none of its own.
    run = run.with_(git=replace(run.git, ref=""))
    return _tagged(repo, run, commit, source or commit, tuple(trouble.values()))


def record_at(repo: TrainingRepo, run: RunRecord) -> ResolvedRun | None:
    """The run as its commit records it, if that is here already. Asks no remote."""
    refs = repo.code.own_refs(run_ref(run.run_id)) if may_have_ref(run.run_id) else {}
    commit = refs.get(run_ref(run.run_id), "")
    record = _record_at(repo, commit) if commit else None
    if record is None or record.run.run_id != run.run_id:
        return None
    return _recorded(repo, run, record)


def shown_run(repo: TrainingRepo, wanted: str, *, latest: bool = False) -> RunRecord:
    """The one run that is meant, as its commit records it if that is here, else by its tags.

    What the tags say otherwise is reported. Raises as `found` does.
    """
    run = found(repo, wanted, latest=latest)
    sealed = record_at(repo, run)
    if sealed is None:
        return run
    for line in sealed.mismatches:
        repo.report.warn(line)
    return sealed.run.with_(
        environment=sealed.run.environment if sealed.mismatches else run.environment
    )


def _record_at(repo: TrainingRepo, commit: str) -> CommitRecord | None:
    """What a commit that is here records; None where it records nothing. Raises `NotReady`."""
    (text,) = repo.code.commit_texts([commit]).values()
    try:
        return parse_message(text.message, commit=commit, parent=text.parent)
    except Unreadable as error:
        raise NotReady(f"the record in commit {commit} cannot be read: {error}") from error


def _recorded(repo: TrainingRepo, tracked: RunRecord, record: CommitRecord) -> ResolvedRun:
    sealed = record.run
    git = replace(sealed.git, ref=run_ref(sealed.run_id))
    run, mismatches = agreed(tracked, sealed.with_(git=git))
    return ResolvedRun(
        run=run,
        lineage=recorded_lineage(run, _pointers_at(repo, git.commit)),
        commit=git.commit,
        source=git.source_commit,
        config=_config_at(repo, git.source_commit),
        is_recorded=True,
        mismatches=mismatches,
    )


def _sealed_before(repo: TrainingRepo, run: RunRecord, commit: str) -> ResolvedRun:
    (text,) = repo.code.commit_texts([commit]).values()
    source = source_of(commit, text)
    config = _config_at(repo, source)
    sealed, mismatches = sealed_before(
        run,
        commit,
        text,
        _pointers_at(repo, commit),
        inputs=config.data.inputs if config else None,
        model=config.train.model if config else None,
    )
    return replace(_tagged(repo, sealed, commit, source, ()), mismatches=mismatches)


def _tagged(
    repo: TrainingRepo, run: RunRecord, commit: str, source: str, trouble: tuple[str, ...]
) -> ResolvedRun:
    """A run by what its tags say, with what its commit adds to that."""
    config = _config_at(repo, source) if source else None
    lineage = lineage_of(
        run,
        _pointers_at(repo, commit) if commit else (),
        inputs=(config or repo.config).data.inputs if config or not commit else (),
        model=(config or repo.config).train.model,
        likely=repo.config.data.inputs,
    )
    pointers = repo.store.with_hash_kind((*lineage.data, *lineage.model))
    count = len(lineage.data)
    return ResolvedRun(
        run=run,
        lineage=Lineage(pointers[:count], pointers[count:], lineage.differences),
        commit=commit,
        source=source,
        config=config,
        trouble=trouble,
    )


def _named(run: RunRecord) -> list[str]:
    return list(dict.fromkeys(filter(None, (run.git.commit, run.git.source_commit))))


def _trouble(repo: TrainingRepo, run: RunRecord, commit: str) -> str:
    """Why a commit is not to be had; empty where it is."""
    if not re.fullmatch(r"[0-9a-f]{7,64}", commit):
        return f"commit missing: {commit!r} is no name of a commit"
    presence = repo.code.bring(commit, run_ref(run.run_id))
    if presence == CommitStanding.UNREACHABLE:
        return (
            f"commit {commit} is here, but no ref of this repository or its remote holds it: "
            f"`git branch NAME {commit}`, if you trust it"
        )
    if presence == CommitStanding.MISSING:
        return f"commit missing: {commit} is nowhere to be found"
    return ""


def _config_at(repo: TrainingRepo, commit: str) -> Config | None:
    """The configuration at a commit; None where it has none that can be read."""
    texts = dict(zip((FILE, PYPROJECT), repo.code.read_many([(commit, FILE), (commit, PYPROJECT)]),
                     strict=True))  # fmt: skip
    return readable_config(texts.get, repo.root.name)


def _pointers_at(repo: TrainingRepo, commit: str) -> tuple[Pointer, ...]:
    """Every output that the commit's `.dvc` files name; one that cannot be read names none."""
    files = repo.code.pointer_files(commit)
    texts = repo.code.read_many([(commit, file) for file in files])
    named = (readable_pointers(t or b"", file) for file, t in zip(files, texts, strict=True))
    return tuple(chain.from_iterable(named))
