"""Trace a run: its commit, brought here if need be, and by it and the tags all that it was made of.

A read-only operation but for Git objects, and a ref of Anchored's own that keeps them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain

from anchored.config import FILE, PYPROJECT, Config
from anchored.decisions.lineage import Lineage, lineage_of
from anchored.decisions.naming import run_ref
from anchored.decisions.pointers import readable_pointers
from anchored.records import CommitStanding, Pointer, RunRecord
from anchored.steps.training_repo import TrainingRepo, readable_config


@dataclass(frozen=True, slots=True)
class Traced:
    """A run with its lineage. `commit` and `source` are empty where they are not to be had.

    `source` is the commit that training executed; `config` the configuration there, None without.
    `trouble` says why a commit is not to be had.
    """

    run: RunRecord
    lineage: Lineage
    commit: str = ""
    source: str = ""
    config: Config | None = None
    trouble: tuple[str, ...] = ()


def traced(repo: TrainingRepo, run: RunRecord) -> Traced:
    """Finds the run's commit and what it names.

    Raises `BadInput` for tags that name paths or hashes which are none, and `GitRemoteFailed`.
    """
    names = dict.fromkeys(filter(None, (run.git.commit, run.git.source_commit)))
    trouble = {name: _trouble(repo, run, name) for name in names}
    commit = run.git.commit if not trouble.get(run.git.commit, "-") else ""
    source = run.git.source_commit if not trouble.get(run.git.source_commit, "-") else commit
    config = _config_at(repo, source) if source else None
    lineage = lineage_of(
        run,
        _pointers_at(repo, commit) if commit else (),
        inputs=(config or repo.config).data.inputs if config or not commit else (),
        model=(config or repo.config).train.model,
        likely=repo.config.data.inputs,
    )
    pointers = repo.store.settled((*lineage.data, *lineage.model))
    count = len(lineage.data)
    return Traced(
        run=run,
        lineage=Lineage(pointers[:count], pointers[count:], lineage.differences),
        commit=commit,
        source=source,
        config=config,
        trouble=tuple(filter(None, trouble.values())),
    )


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
