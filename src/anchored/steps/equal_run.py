"""Find the sealed run that training again would only repeat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from anchored.config import Config
from anchored.decisions import tags
from anchored.decisions.pointers import pointer_path
from anchored.records import CommitStanding, ParamValue, RunRecord, State
from anchored.steps.find_runs import record
from anchored.steps.open_run import Fresh
from anchored.steps.private_tree import passing_tree
from anchored.steps.train import own_variables
from anchored.steps.training_repo import TrainingRepo


def equal_run(
    repo: TrainingRepo, fresh: Fresh, params: Mapping[str, ParamValue]
) -> RunRecord | None:
    """The newest sealed run of the same source tree, data, params and environment, if any.

    Pointers of inputs and models, and the `.gitignore` lines beside them, are no part of the source
    tree: the former are compared by what they name.
    """
    config = repo.config_at(fresh.commit)
    alike = list(_alike(repo, fresh, config.params_with(params)))
    same = list(_of_same_source(repo, fresh.commit, config, alike))
    if not same:
        return None
    now = _environment_md5(repo, fresh.commit, config)
    return next((run for run in same if run.environment.get("md5") == now), None)


def _alike(
    repo: TrainingRepo, fresh: Fresh, params: Mapping[str, ParamValue]
) -> Iterator[RunRecord]:
    """Sealed runs of the same data and params, newest first."""
    wanted = {pointer.path: pointer.md5 for pointer in fresh.data}
    for tracked in repo.tracker.runs_tagged(tags.DATA, fresh.data[0].md5):
        run = record(repo, tracked)
        if run.state != State.SEALED or run.reproduces:
            continue
        same_data = {pointer.path: pointer.md5 for pointer in run.data} == wanted
        if same_data and dict(run.params) == dict(params):
            yield run


def _of_same_source(
    repo: TrainingRepo, commit: str, config: Config, runs: list[RunRecord]
) -> Iterator[RunRecord]:
    outputs = {pointer_path(path) for path in (*config.data.inputs, config.train.model)}
    known: dict[str, bool] = {}
    for run in runs:
        source = run.git.source_commit
        if source not in known:
            known[source] = _is_here(repo, run) and all(
                path in outputs or PurePosixPath(path).name == ".gitignore"
                for path, _ in repo.code.changed_between(source, commit)
            )
        if known[source]:
            yield run


def _is_here(repo: TrainingRepo, run: RunRecord) -> bool:
    standing = repo.code.bring(run.git.commit, run.git.ref)
    return standing == CommitStanding.REACHABLE


def _environment_md5(repo: TrainingRepo, commit: str, config: Config) -> str:
    """What the environment's record would be, were the commit trained now."""
    with passing_tree(repo, config, commit) as tree:
        own = own_variables("", "", {}, tree.path.parent)
        return tree.environment(config.train.command, tree.variables(own)).md5
