"""Diff two runs: why they are not the same, from their lineage, their commits and their records.

A read-only operation but for what tracing a run brings here, and listings that come to the cache.
What is lost is reported, and so is the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from anchored.decisions.differences import (
    Change,
    CodeChange,
    Differences,
    FileChange,
    OutputChange,
    differing,
    differing_environment,
    differing_files,
    differing_outputs,
    is_pointer,
    same_but_for_outputs,
)
from anchored.errors import AnchoredError, BadInput, NotReady, RemoteFailed
from anchored.history.find import sealed_environment
from anchored.history.trace import ResolvedRun, resolve_run
from anchored.records import Pointer, RunRecord
from anchored.training_repo import TrainingRepo

IGNORES = ".gitignore"


def diff_runs(
    repo: TrainingRepo, one: RunRecord, other: RunRecord, *, patch: bool = False
) -> Differences:
    """All that differs from one run to the other. Raises `GitRemoteFailed`, `TrackerFailed`."""
    before, after = resolve_run(repo, one), resolve_run(repo, other)
    for run in (before, after):
        for line in run.mismatches:
            repo.report.warn(f"{run.run.name!r}: {line}")
    return Differences(
        data=tuple(_Outputs(repo).changes(before, after)),
        code=_code(repo, before, after, patch=patch),
        params=differing(before.run.params, after.run.params),
        metrics=differing(before.run.metrics, after.run.metrics),
        environment=differing_environment(
            sealed_environment(repo, before.run), sealed_environment(repo, after.run)
        ),
    )


# --- code -------------------------------------------------------------------------------------


def _code(
    repo: TrainingRepo, before: ResolvedRun, after: ResolvedRun, *, patch: bool
) -> CodeChange:
    lost = [problem for past in (before, after) if (problem := _lost(past))]
    if lost:
        return CodeChange(_named(before), _named(after), problem="; ".join(lost))
    one, other = before.source, after.source
    files = repo.code.changed_between(one, other) if one != other else ()
    own = _ignores_of_dvc(repo, one, other, [path for path, _ in files])
    shown = tuple(
        (path, Change(change)) for path, change in files if not is_pointer(path) and path not in own
    )
    lines = None
    if patch:
        lines = repo.code.patch(one, other, without=("*.dvc", *own)) if shown else ""
    return CodeChange(one, other, files=shown, patch=lines)


def _named(past: ResolvedRun) -> str:
    """The commit that training executed, by the run's own account where it is lost."""
    return past.source or past.run.git.source_commit or past.run.git.commit


def _lost(past: ResolvedRun) -> str:
    """Why the commit that training executed is not to be had; empty where it is."""
    if past.source:
        return ""
    why = "; ".join(past.trouble) or "it names no commit"
    return f"{past.run.name or past.run.run_id}: {why}"


def _ignores_of_dvc(
    repo: TrainingRepo, one: str, other: str, changed: Sequence[str]
) -> tuple[str, ...]:
    """The changed `.gitignore`s that say nothing new but of what DVC holds."""
    files = [path for path in changed if path.rsplit("/", 1)[-1] == IGNORES]
    pointers = [*repo.code.pointer_files(one), *repo.code.pointer_files(other)] if files else []
    outputs = sorted({pointer.removesuffix(".dvc") for pointer in pointers})
    texts = iter(repo.code.read_many([(commit, f) for f in files for commit in (one, other)]))
    return tuple(
        file
        for file, before, after in zip(files, texts, texts, strict=True)
        if same_but_for_outputs(before or b"", after or b"", outputs, file)
    )


# --- data -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Outputs:
    """What the outputs of two runs hold, asked of the stores no more often than they answer."""

    repo: TrainingRepo
    unanswered: str = ""
    listings: dict[Pointer, Mapping[str, str] | None] = field(default_factory=dict)

    def changes(self, before: ResolvedRun, after: ResolvedRun) -> list[OutputChange]:
        pairs = [
            *differing_outputs(before.lineage.data, after.lineage.data),
            *differing_outputs(before.lineage.model, after.lineage.model),
        ]
        for pointer in filter(None, chain.from_iterable(pairs)):
            self.listings[pointer] = self._listing(pointer)
        changed = [self._changed(*pair) for pair in pairs]
        sizes = self._sizes(pairs, changed)
        return [self._told(*pair, files, sizes) for pair, files in zip(pairs, changed, strict=True)]

    def _listing(self, pointer: Pointer) -> Mapping[str, str] | None:
        """Object by path, from the repo's root, of every file of an output; None: nobody knows."""
        if pointer.is_folder and self.unanswered:
            return None
        try:
            return self.repo.store.files_of(pointer, self.repo.report)
        except BadInput as error:  # what its hash names is no listing
            self.repo.report.warn(error.message)
            return None
        except (RemoteFailed, NotReady) as error:
            self._heard(error)
            return None

    def _heard(self, error: AnchoredError) -> None:
        # A remote that is not there lets one wait: it is asked once.
        if getattr(error, "transient", True):
            self.unanswered = error.message

    def _changed(self, one: Pointer | None, other: Pointer | None) -> dict[str, Change] | None:
        listings = [self._files(one), self._files(other)]
        if listings[0] is None or listings[1] is None:
            return None
        return differing_files(listings[0], listings[1])

    def _files(self, pointer: Pointer | None) -> Mapping[str, str] | None:
        return {} if pointer is None else self.listings[pointer]

    def _sizes(
        self,
        pairs: Sequence[tuple[Pointer | None, Pointer | None]],
        changed: Sequence[Mapping[str, Change] | None],
    ) -> dict[str, int]:
        """Sizes in bytes, by object, of all that changed, if cache or remote know them."""
        wanted: dict[str, dict[str, None]] = {}
        for pair, paths in zip(pairs, changed, strict=True):
            for pointer in filter(None, pair):
                files = self._files(pointer) or {}
                oids = {files[path]: None for path in paths or () if path in files}
                wanted.setdefault(pointer.hash_name, {}).update(oids)
        sizes = {p.md5: p.size for p in filter(None, chain.from_iterable(pairs)) if p.size}
        for hash_name, oids in wanted.items():
            unknown = [oid for oid in oids if oid not in sizes]
            try:
                sizes |= self.repo.store.sizes(hash_name, unknown, ask=not self.unanswered)
            except (RemoteFailed, NotReady) as error:
                self._heard(error)
                sizes |= self.repo.store.sizes(hash_name, unknown, ask=False)
        return sizes

    def _told(
        self,
        one: Pointer | None,
        other: Pointer | None,
        changes: Mapping[str, Change] | None,
        sizes: Mapping[str, int],
    ) -> OutputChange:
        before, after = self._files(one) or {}, self._files(other) or {}
        files = tuple(
            FileChange(path, change, _size(path, before, sizes), _size(path, after, sizes))
            for path, change in (changes or {}).items()
        )
        return OutputChange(
            path=(one or other or Pointer("", "")).path,
            before=one.md5 if one else None,
            after=other.md5 if other else None,
            files=files,
            problem="" if changes is not None else self._problem(one, other),
        )

    def _problem(self, one: Pointer | None, other: Pointer | None) -> str:
        unknown = [p.md5 for p in (one, other) if p is not None and self.listings[p] is None]
        why = self.unanswered or "neither cache nor remote has it"
        return f"its files are not known without {' and '.join(unknown)}: {why}"


def _size(path: str, files: Mapping[str, str], sizes: Mapping[str, int]) -> int | None:
    return sizes.get(files[path]) if path in files else None
