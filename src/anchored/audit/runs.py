"""Audit: can every run still be reproduced? Read-only but for Git objects.

It starts from the run refs, those here and those of the Git remote, and looks for their runs in
the tracker: what one side lacks is found. It costs one pass over the tracker, one batch over Git
and one look at the remote: by what is distinct among the runs, never by runs times objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import TypeVar

from anchored.config import FILE, PYPROJECT, Config
from anchored.decisions.audit_facts import (
    Holdings,
    ObjectName,
    Subject,
    Trace,
    claims_environment,
    is_subject,
    subject_of,
    untracked,
)
from anchored.decisions.authority import agreed, sealed_before
from anchored.decisions.commit_record import parse_message
from anchored.decisions.decoding import Unreadable
from anchored.decisions.lineage import Lineage, lineage_of, recorded_lineage
from anchored.decisions.naming import RUNS, run_ref
from anchored.decisions.pointers import read_pointers
from anchored.decisions.tags import RECORD, STATE
from anchored.decisions.twins import twins, without_facts
from anchored.errors import AnchoredError, BadInput
from anchored.history.find import with_details
from anchored.ports import Tracker
from anchored.records import (
    ENVIRONMENT_DOCUMENT,
    RUN_DOCUMENT,
    CommitStanding,
    CommitText,
    Pointer,
    RunRecord,
    State,
    TrackedRun,
)
from anchored.training_repo import TrainingRepo, readable_config

T = TypeVar("T")

BATCH_RUNS = 1_000  # whose commits and environment records are held at once
PARSED = 8_000  # `.dvc` files that are remembered: inputs are those of many runs, near and far
BATCH_OBJECTS, BATCH_BYTES = 20_000, 50 * 10**9  # what one try hashes, and a retry hashes again


@dataclass(frozen=True, slots=True)
class Refs:
    """The refs that an audit starts from, each with its object.

    `published` are all of the Git remote, or of this repository where there is none; `own` the run
    refs that are here.
    """

    published: Mapping[str, str]
    own: Mapping[str, str]

    def of(self, run_id: str) -> str:
        """The commit under a run's ref; empty where neither side has it."""
        ref = run_ref(run_id)
        return self.published.get(ref) or self.own.get(ref, "")

    def trouble(self, run_id: str) -> str:
        """What is wrong with a run's ref, in words; empty where nothing is."""
        ref = run_ref(run_id)
        there, here = self.published.get(ref), self.own.get(ref)
        if there is None:
            where = "is here, but not on the Git remote" if here else "is nowhere"
            return f"{ref} {where}"
        if here is not None and here != there:
            return f"{ref} is on {there} on the Git remote, and on {here} here"
        return ""

    @property
    def runs(self) -> set[str]:
        """The ids of all runs that have a ref."""
        refs = (*self.published, *self.own)
        return {ref.removeprefix(RUNS) for ref in refs if ref.startswith(RUNS)}


def refs(repo: TrainingRepo) -> Refs:
    """The refs of the Git remote, and the run refs that are here. Raises `GitRemoteFailed`."""
    return Refs(repo.code.published_refs(), repo.code.own_refs(RUNS))


def subjects(repo: TrainingRepo, known: Refs) -> tuple[Subject, ...]:
    """The runs to be audited, with their environment records; the last are in no tracker.

    Runs of refs that the tracker lacks are looked for in the others that the repo has used.
    Runs that a live process of this machine works on are left out.
    """
    absent = known.runs - (alive := repo.journals.live_runs())
    listed = (
        run
        for run in repo.tracker.runs()
        if (run.run_id in absent or is_subject(run)) and run.run_id not in alive
    )
    found = _subjects(repo.tracker, listed)
    absent -= {subject.run.run_id for subject in found}
    for tracker in _trackers(repo) if absent else ():
        # Of a tracker that nobody asked for, nobody wants to hear that it fails.
        with nullcontext() if tracker is repo.tracker else suppress(AnchoredError):
            runs = _subjects(tracker, tracker.runs_by_id(sorted(absent)))
            absent -= {subject.run.run_id for subject in runs}
            found += runs
    return (*found, *map(untracked, sorted(absent)))


def _trackers(repo: TrainingRepo) -> Iterator[Tracker]:
    """The tracker, and those that the repo has used besides."""
    yield repo.tracker
    yield from (other.tracker for other in repo.elsewhere())


def _subjects(tracker: Tracker, runs: Iterable[TrackedRun]) -> list[Subject]:
    found, attempts = list[Subject](), list[TrackedRun]()
    for batch in _batches(runs):
        detailed = _detailed(tracker, batch)
        claiming = [run for run in detailed if claims_environment(run) and not run.deleted]
        records = tracker.artifacts(claiming, ENVIRONMENT_DOCUMENT)
        found += (
            subject_of(run, records.get(run.run_id), kind=tracker.kind, uri=tracker.uri)
            for run in detailed
        )
        attempts += map(without_facts, detailed)
    doubled = {twin.run.run_id: twin.of.run_id for twin in twins(attempts) if twin.certain}
    return [replace(s, twin_of=t) if (t := doubled.get(s.run.run_id)) else s for s in found]


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    left = iter(items)
    while batch := list(islice(left, BATCH_RUNS)):
        yield batch


def _detailed(tracker: Tracker, runs: Sequence[TrackedRun]) -> list[TrackedRun]:
    """The runs with their details, which are in an artifact where they are too long for a tag."""
    bare = [r for r in runs if r.tags.get(STATE) == State.SEALED and not r.tags.get(RECORD)]
    texts = tracker.artifacts(bare, RUN_DOCUMENT)
    return [
        with_details(run, text) if (text := texts.get(run.run_id)) is not None else run
        for run in runs
    ]


def traces(repo: TrainingRepo, runs: Iterable[Subject], known: Refs) -> dict[str, Trace]:
    """By run id, what Git has of each run; runs that are not sealed and have no ref have none.

    Raises `GitRemoteFailed`.
    """
    meant = [s for s in runs if s.is_sealed or known.of(s.run.run_id)]
    commits = dict.fromkeys(filter(None, (_commit_of(s, known) for s in meant)))
    standings = repo.code.standings(tuple(commits), known.published)
    at_commit, found = Commits(repo), dict[str, Trace]()
    for batch in _batches(meant):
        named = dict.fromkeys(_commit_of(subject, known) for subject in batch)
        here = [c for c in named if c and standings[c] != CommitStanding.MISSING]
        texts = at_commit.read(here)
        for subject in batch:
            found[subject.run.run_id] = _trace(subject, known, at_commit, standings, texts)
    return found


def _commit_of(subject: Subject, known: Refs) -> str:
    return known.of(subject.run.run_id) or subject.run.git.commit


def _trace(
    subject: Subject,
    known: Refs,
    at_commit: Commits,
    standings: Mapping[str, CommitStanding],
    texts: Mapping[str, CommitText],
) -> Trace:
    run, commit = subject.run, _commit_of(subject, known)
    sealed, mismatches, trouble = _by_commit(subject, commit, texts)
    is_recorded = bool(sealed)
    if known.of(run.run_id) and commit in texts and not (sealed or mismatches or trouble):
        sealed, mismatches = at_commit.sealed_before(run, commit, texts[commit])
    found = sealed or run.with_(git=replace(run.git, commit=commit))
    pointers = at_commit.pointers(commit)
    return Trace(
        standing=standings.get(commit, CommitStanding.MISSING),
        lineage=recorded_lineage(found, pointers) if is_recorded else at_commit.lineage(found),
        at_commit=pointers,
        name=found.name,
        commit=commit,
        environment_md5=str(found.environment.get("md5", "")),
        ref_trouble=known.trouble(run.run_id) if subject.is_ours else "",
        mismatches=mismatches,
        record_trouble=trouble,
        unreadable=at_commit.unreadable(commit),
    )


def _by_commit(
    subject: Subject, commit: str, texts: Mapping[str, CommitText]
) -> tuple[RunRecord | None, tuple[str, ...], str]:
    """The run as its commit records it, None without; mismatches, and why it cannot be read."""
    if (text := texts.get(commit)) is None:
        return None, (), ""
    try:
        record = parse_message(text.message, commit=commit, parent=text.parent)
    except Unreadable as error:
        return None, (), f"the record in commit {commit}: {error}"
    if record is None:
        return None, (), ""
    if record.run.run_id != subject.run.run_id:
        # An external run may well name the commit of a sealed one.
        said = f"commit {commit} is that of run {record.run.run_id}"
        return None, (said,) if subject.is_ours else (), ""
    if subject.absence and not subject.run.name:
        return record.run, (), ""
    return (*agreed(subject.run, record.run), "")


def _is_wanted(path: str) -> bool:
    return path.endswith(".dvc") or path in {FILE, PYPROJECT}


class Commits:
    """What the files of commits say, of a batch at a time; each distinct text is parsed once."""

    def __init__(self, repo: TrainingRepo) -> None:
        self._repo = repo
        self._files: Mapping[str, Mapping[str, bytes]] = {}
        self._parsed = lru_cache(PARSED)(read_pointers)
        self._configs: dict[tuple[bytes | None, ...], Config | None] = {}

    def read(self, commits: Sequence[str]) -> dict[str, CommitText]:
        """Takes the files of these commits in place of those before, and returns their messages."""
        self._files = {}
        self._files = self._repo.code.files_at(commits, _is_wanted)
        return self._repo.code.commit_texts(commits)

    def pointers(self, commit: str) -> tuple[Pointer, ...]:
        """Every output that the commit's `.dvc` files name; one that cannot be read names none."""
        return tuple(pointer for _, (read, _) in self._read(commit) for pointer in read)

    def unreadable(self, commit: str) -> dict[str, str]:
        """By file, why a `.dvc` file of the commit cannot be read."""
        return {file: why for file, (_, why) in self._read(commit) if why}

    def _read(self, commit: str) -> Iterator[tuple[str, tuple[tuple[Pointer, ...], str]]]:
        for file, text in self._files.get(commit, {}).items():
            if file.endswith(".dvc"):
                yield file, self._parsed(text, file)

    def sealed_before(
        self, run: RunRecord, commit: str, text: CommitText
    ) -> tuple[RunRecord, tuple[str, ...]]:
        """The run of a commit that records none, and what its tags say otherwise."""
        config = self._config(commit)
        return sealed_before(
            run,
            commit,
            text,
            self.pointers(commit),
            inputs=config.data.inputs if config else None,
            model=config.train.model if config else None,
        )

    def lineage(self, run: RunRecord) -> Lineage:
        """The run's lineage; of a run whose tags name nothing that can be, that of its commit."""
        known = run.git.commit in self._files
        config = self._config(run.git.commit) if known else None
        named = config or self._repo.config
        inputs = named.data.inputs if config or not known else ()
        at_commit, likely = self.pointers(run.git.commit), self._repo.config.data.inputs
        try:
            return lineage_of(run, at_commit, inputs=inputs, model=named.train.model, likely=likely)
        except BadInput as error:
            bare = run.with_(data=(), model=())
            lineage = lineage_of(bare, at_commit, inputs=inputs, model=named.train.model)
            return replace(lineage, differences=(error.message,))

    def _config(self, commit: str) -> Config | None:
        """The configuration at a commit; None where it has none. A broken one counts for none."""
        texts = self._files[commit]
        key = (texts.get(FILE), texts.get(PYPROJECT))
        if key not in self._configs:
            self._configs[key] = readable_config(texts.get, self._repo.root.name)
        return self._configs[key]


def holdings(repo: TrainingRepo, traced: Mapping[str, Trace]) -> Holdings:
    """What the DVC remote holds of all objects that the runs need. Raises `RemoteFailed`."""
    pointers = {pointer for trace in traced.values() for pointer in trace.pointers}
    if not pointers:
        return Holdings()
    repo.store.check_ready()
    return repo.store.survey(pointers)


def batches(held: Holdings, *, deep: bool) -> Iterator[dict[ObjectName, int]]:
    """The objects whose bytes have to be hashed, with their sizes: all, or what is suspect."""
    batch: dict[ObjectName, int] = {}
    size = 0
    for name in held.sizes if deep else held.suspects:
        batch[name] = held.sizes[name]
        size += batch[name]
        if len(batch) >= BATCH_OBJECTS or size >= BATCH_BYTES:
            yield batch
            batch, size = {}, 0
    if batch:
        yield batch


def find_corrupt(repo: TrainingRepo, objects: Mapping[ObjectName, int]) -> dict[ObjectName, str]:
    """Those of the objects that the remote holds with other bytes, and what these hash to."""
    return repo.store.find_corrupt(objects, repo.report)
