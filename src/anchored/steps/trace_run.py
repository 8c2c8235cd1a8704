"""Trace a run: its commit, brought here if need be, and by it and the tags all that it was made of.

A read-only operation but for Git objects, and a ref of Anchored's own that keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass

from anchored.config import FILE, PYPROJECT, Config
from anchored.decisions.lineage import Lineage, lineage_of
from anchored.decisions.naming import run_ref
from anchored.decisions.pointers import parse_pointer
from anchored.errors import AnchoredError, ConfigError
from anchored.records import Pointer, RunRecord
from anchored.steps.training_repo import TrainingRepo, config_from


@dataclass(frozen=True, slots=True)
class Traced:
    """A run with its lineage. `commit` and `source` are empty where they are lost.

    `source` is the commit that training executed; `config` the configuration there, None without.
    """

    run: RunRecord
    lineage: Lineage
    commit: str = ""
    source: str = ""
    config: Config | None = None


def traced(repo: TrainingRepo, run: RunRecord) -> Traced:
    """Finds the run's commit and what it names. Raises `GitRemoteFailed`."""
    commit = _brought(repo, run, run.git.commit)
    source = _brought(repo, run, run.git.source_commit) or commit
    config = _config_at(repo, source) if source else None
    named = config or repo.config
    lineage = lineage_of(
        run,
        _pointers_at(repo, commit) if commit else (),
        inputs=named.data.inputs if config or not commit else (),
        model=named.train.model,
    )
    pointers = repo.store.settled((*lineage.data, *lineage.model))
    count = len(lineage.data)
    settled = Lineage(pointers[:count], pointers[count:], lineage.differences)
    return Traced(run=run, lineage=settled, commit=commit, source=source, config=config)


def _brought(repo: TrainingRepo, run: RunRecord, commit: str) -> str:
    if not commit:
        return ""
    ref = run.git.ref or run_ref(run.run_id)
    return commit if repo.code.bring(commit, ref) else ""


def _config_at(repo: TrainingRepo, commit: str) -> Config | None:
    """The configuration at a commit; None where it has none. A broken one counts for none."""
    texts = dict(zip((FILE, PYPROJECT), repo.code.read_many([(commit, FILE), (commit, PYPROJECT)]),
                     strict=True))  # fmt: skip
    try:
        return config_from(texts.get, repo.root.name)
    except ConfigError:
        return None


def _pointers_at(repo: TrainingRepo, commit: str) -> tuple[Pointer, ...]:
    """Every output that the commit's `.dvc` files name; one that cannot be read names none."""
    files = repo.code.pointer_files(commit)
    pointers: list[Pointer] = []
    for file, text in zip(files, repo.code.read_many([(commit, f) for f in files]), strict=True):
        try:
            pointers += parse_pointer(text or b"", file)
        except AnchoredError:
            continue
    return tuple(pointer for pointer in pointers if pointer.md5)
