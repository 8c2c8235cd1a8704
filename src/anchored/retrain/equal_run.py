"""Find the sealed run that training again would only repeat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

from anchored.config import Config
from anchored.decisions import tags
from anchored.decisions.command import filled_command
from anchored.decisions.gate import PENDING
from anchored.decisions.pointers import pointer_path
from anchored.errors import WrongUse
from anchored.history.find import detailed, record
from anchored.history.trace import resolve_run
from anchored.records import ParamValue, RunRecord, State
from anchored.run.open import RetrainInputs
from anchored.run.worktree import temporary_worktree
from anchored.training_repo import TrainingRepo


@dataclass(frozen=True, slots=True)
class Equal:
    """A run that training again would only repeat.

    It is `pending` where it is of a retrain that was interrupted before the gate.
    """

    run: RunRecord
    pending: bool = False


def equal_run(
    repo: TrainingRepo, inputs: RetrainInputs, params: Mapping[str, ParamValue]
) -> Equal | None:
    """The newest sealed run of the same source tree, data, params and environment, if any.

    Pointers of inputs and models, and the `.gitignore` lines beside them, are no part of the source
    tree: the former are compared by what they name.
    """
    config = repo.config_at(inputs.commit)
    wanted = config.params_with(params)
    alike = list(_alike(repo, inputs, wanted))
    same = list(_of_same_source(repo, inputs.commit, config, alike))
    if not same:
        return None
    now = _environment_md5(repo, inputs.commit, config, wanted)
    found = next((equal for equal in same if equal.run.environment.get("md5") == now), None)
    if found is None:
        repo.report.say(f"all is as in run {same[0].run.name!r}, but for the environment")
    return found


def _alike(
    repo: TrainingRepo, inputs: RetrainInputs, params: Mapping[str, ParamValue]
) -> Iterator[Equal]:
    """Sealed runs of the same data and params, newest first."""
    wanted = {pointer.path: pointer.md5 for pointer in inputs.data}
    for tracked in repo.tracker.runs_tagged(tags.DATA, inputs.data[0].md5):
        if tracked.tags.get(tags.STATE) != State.SEALED or tags.REPRODUCES in tracked.tags:
            continue
        known = detailed(repo, tracked)
        if _is_alike(run := record(repo, known), wanted) and (
            tags.recorded_params(known.tags) == params
        ):
            # The tracker found it; whether it is so, its commit says.
            with suppress(WrongUse):
                past = resolve_run(repo, run)
                if past.run.git.ref and _is_alike(past.run, wanted) and past.run.params == params:
                    yield Equal(past.run, pending=known.tags.get(tags.GATE) == PENDING)


def _is_alike(run: RunRecord, data: Mapping[str, str]) -> bool:
    return {pointer.path: pointer.md5 for pointer in run.data} == data


def _of_same_source(
    repo: TrainingRepo, commit: str, config: Config, runs: list[Equal]
) -> Iterator[Equal]:
    outputs = {pointer_path(path) for path in (*config.data.inputs, config.train.model)}
    known: dict[str, bool] = {}
    for equal in runs:
        source = equal.run.git.source_commit
        if source not in known:
            known[source] = all(
                path in outputs or PurePosixPath(path).name == ".gitignore"
                for path, _ in repo.code.changed_between(source, commit)
            )
        if known[source]:
            yield equal


def _environment_md5(
    repo: TrainingRepo, commit: str, config: Config, params: Mapping[str, ParamValue]
) -> str:
    """What the environment's record would be, were the commit trained now."""
    command = filled_command(config.train.command, params)
    with temporary_worktree(repo, config, commit) as tree:
        return tree.environment(command, tree.variables({})).md5
