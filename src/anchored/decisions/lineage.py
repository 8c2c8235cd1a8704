"""What a run was made of and what it made: its tags and its commit, taken together.

Runs that Anchored did not make have as little as three tags, `git_commit`, `dvc_data_md5` and
`dvc_model_md5`, and a commit that may say otherwise or lack the model: its SHA was often taken down
before the model was versioned. What a tag names is what was trained on and came out; it wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from anchored.decisions.objects import is_object
from anchored.decisions.paths import normalized
from anchored.decisions.pointers import LEGACY_HASH
from anchored.decisions.starter import looks_like_model
from anchored.errors import BadInput
from anchored.records import Pointer, RunRecord

UNSETTLED = ""  # the `hash_name` of a hash that no pointer explains; the stores know which it is


@dataclass(frozen=True, slots=True)
class Lineage:
    """A run's inputs and model by path; `differences` say where its commit and its tags disagree.

    A pointer's `hash_name` may be `UNSETTLED`.
    """

    data: tuple[Pointer, ...]
    model: tuple[Pointer, ...]
    differences: tuple[str, ...] = ()


def lineage_of(
    run: RunRecord,
    at_commit: Sequence[Pointer],
    *,
    inputs: Sequence[str] = (),
    model: str = "",
    likely: Sequence[str] = (),
) -> Lineage:
    """The lineage of a run whose commit holds these pointers (none, where the commit is gone).

    `inputs` and `model` are the paths that the configuration names, for hashes without a path;
    `likely` the inputs of a configuration that is not the commit's, where that has none. An input
    that is not tagged is taken from the commit. Raises `BadInput` for a tag that names no path
    inside the repo, or no hash.
    """
    at_commit = [pointer for pointer in at_commit if is_object(pointer.md5)]
    for pointer in (*run.data, *run.model):
        _refuse_untrue(pointer)
    by_path = {pointer.path: pointer for pointer in at_commit}
    models = tuple(_placed(p, _model_path(p, at_commit, model), by_path) for p in run.model)
    model_paths = {p.path for p in models} | ({model} if model else set())
    others = [p for p in at_commit if p.path not in model_paths]
    first = inputs[0] if inputs else _first_input(others, likely)
    data = [_placed(p, _input_path(p, others, first), by_path) for p in run.data]
    known = {p.path for p in data}
    wanted = inputs or [p.path for p in others if not looks_like_model(p.path)]
    data += [by_path[path] for path in wanted if path in by_path and path not in known]
    differences = _differences((*data, *models), by_path)
    return Lineage(data=tuple(data), model=models, differences=differences)


def recorded_lineage(run: RunRecord, at_commit: Sequence[Pointer]) -> Lineage:
    """The lineage of a run that its commit records, with where the commit's pointers differ."""
    known = {pointer.path: pointer for pointer in at_commit}

    def shared(pointers: Sequence[Pointer]) -> tuple[Pointer, ...]:
        """The same, as one object for all runs that have it: most pointers are those of many."""
        return tuple(k if (k := known.get(p.path)) == p else p for p in pointers)

    stated = dict.fromkeys((*run.data, *run.model))
    return Lineage(shared(run.data), shared(run.model), _differences(stated, known))


def _differences(stated: Iterable[Pointer], by_path: Mapping[str, Pointer]) -> tuple[str, ...]:
    return tuple(
        f"{p.path}: the run names {p.md5}, the pointer at its commit {by_path[p.path].md5}"
        for p in stated
        if p.path in by_path and by_path[p.path].md5 != p.md5
    )


def _refuse_untrue(tagged: Pointer) -> None:
    """Whoever may write tags could otherwise name files outside of repo and cache."""
    if not is_object(tagged.md5):
        raise BadInput(tagged.path or "the run", f"its tag {tagged.md5!r} is no hash of DVC's")
    try:
        plain = normalized(tagged.path) if tagged.path else ""
    except ValueError as error:
        raise BadInput(tagged.path, f"a tag of the run names this path: {error}") from error
    if plain != tagged.path:
        raise BadInput(tagged.path, "a tag of the run names this path, which is no plain one")


def _placed(tagged: Pointer, path: str, by_path: Mapping[str, Pointer]) -> Pointer:
    """The tagged content at its path, with the size and kind of hash that a pointer knows."""
    pointer = by_path.get(path)
    if pointer is not None and pointer.md5 == tagged.md5:
        return pointer
    if tagged.size:  # Anchored's own record of it
        return replace(tagged, path=path)
    # The same repository at the same time: its hashes are of one kind.
    kind = LEGACY_HASH if pointer is not None and pointer.hash_name == LEGACY_HASH else UNSETTLED
    return replace(tagged, path=path, hash_name=kind)


def _model_path(tagged: Pointer, at_commit: Sequence[Pointer], configured: str) -> str:
    same = (p.path for p in at_commit if p.md5 == tagged.md5)
    likely = (p.path for p in at_commit if looks_like_model(p.path))
    return tagged.path or next(same, "") or configured or next(likely, "model")


def _first_input(others: Sequence[Pointer], likely: Sequence[str]) -> str:
    """The path of "the" data at a commit without a configuration."""
    known = [p.path for p in others if not looks_like_model(p.path)]
    named = [path for path in likely if path in known]
    only = known if len(known) == 1 else []
    return next(iter((*named, *only, *likely)), "data")


def _input_path(tagged: Pointer, others: Sequence[Pointer], first: str) -> str:
    same = (p.path for p in others if p.md5 == tagged.md5)
    return tagged.path or next(same, "") or first
