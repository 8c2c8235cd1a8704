"""Audit: can every run of the experiment still be reproduced? Read-only but for Git objects.

It costs one pass over the tracker, one batch over Git and one look at the remote: by what is
distinct among the runs, never by runs times objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from anchored.config import FILE, PYPROJECT, Config
from anchored.decisions.audit_facts import (
    Holdings,
    ObjectName,
    Subject,
    Trace,
    claims_environment,
    is_subject,
    subject_of,
)
from anchored.decisions.lineage import Lineage, lineage_of
from anchored.decisions.pointers import readable_pointers
from anchored.decisions.tags import RECORD, STATE
from anchored.errors import BadInput
from anchored.records import (
    ENVIRONMENT_DOCUMENT,
    RUN_DOCUMENT,
    CommitStanding,
    Pointer,
    RunRecord,
    State,
    TrackedRun,
)
from anchored.steps.find_runs import with_details
from anchored.steps.training_repo import TrainingRepo, readable_config

BATCH_OBJECTS, BATCH_BYTES = 20_000, 50 * 10**9  # what one try hashes, and a retry hashes again


def subjects(repo: TrainingRepo) -> tuple[Subject, ...]:
    """The runs to be audited, with their environment records, newest first."""
    tracker = repo.tracker
    runs = _detailed(repo, [run for run in tracker.runs() if is_subject(run)])
    claiming = [run for run in runs if claims_environment(run)]
    records = tracker.artifacts(claiming, ENVIRONMENT_DOCUMENT)
    return tuple(
        subject_of(run, records.get(run.run_id), kind=tracker.kind, uri=tracker.uri) for run in runs
    )


def _detailed(repo: TrainingRepo, runs: Sequence[TrackedRun]) -> list[TrackedRun]:
    """The runs with their details, which stand in an artifact where they are too long for a tag."""
    bare = [r for r in runs if r.tags.get(STATE) == State.SEALED and not r.tags.get(RECORD)]
    texts = repo.tracker.artifacts(bare, RUN_DOCUMENT)
    return [
        with_details(run, text) if (text := texts.get(run.run_id)) is not None else run
        for run in runs
    ]


def traces(repo: TrainingRepo, runs: Iterable[Subject]) -> dict[str, Trace]:
    """By run id, where each run's commit stands and what it names; unsealed runs have none.

    Raises `GitRemoteFailed`.
    """
    sealed = [subject.run for subject in runs if subject.is_sealed]
    commits = dict.fromkeys(run.git.commit for run in sealed if run.git.commit)
    standings = repo.code.standings(tuple(commits))
    here = [commit for commit in commits if standings[commit] != CommitStanding.MISSING]
    at_commit = Commits(repo, repo.code.files_at(here, _is_wanted))
    return {
        run.run_id: Trace(
            standing=standings.get(run.git.commit, CommitStanding.MISSING),
            lineage=at_commit.lineage(run),
            at_commit=at_commit.pointers(run.git.commit),
        )
        for run in sealed
    }


def _is_wanted(path: str) -> bool:
    return path.endswith(".dvc") or path in {FILE, PYPROJECT}


class Commits:
    """What the files of commits say; each distinct text is parsed once."""

    def __init__(self, repo: TrainingRepo, files: Mapping[str, Mapping[str, bytes]]) -> None:
        self._repo, self._files = repo, files
        self._parsed: dict[tuple[str, bytes], tuple[Pointer, ...]] = {}
        self._configs: dict[tuple[bytes | None, ...], Config | None] = {}

    def pointers(self, commit: str) -> tuple[Pointer, ...]:
        """Every output that the commit's `.dvc` files name; one that cannot be read names none."""
        files = self._files.get(commit, {})
        texts = ((file, text) for file, text in files.items() if file.endswith(".dvc"))
        return tuple(pointer for file, text in texts for pointer in self._pointers_in(file, text))

    def _pointers_in(self, file: str, text: bytes) -> tuple[Pointer, ...]:
        if (file, text) not in self._parsed:
            self._parsed[file, text] = readable_pointers(text, file)
        return self._parsed[file, text]

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
    return repo.store.surveyed(pointers)


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


def rotten(repo: TrainingRepo, objects: Mapping[ObjectName, int]) -> dict[ObjectName, str]:
    """Those of the objects that the remote holds with other bytes, and what these hash to."""
    return repo.store.rotten(objects, repo.report)
