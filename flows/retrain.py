"""Flow `retrain`: bring new data, train if anything changed, promote the model if it is better."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from prefect import flow, runtime

from anchored.decisions.gate import Outcome, Retrained
from anchored.display.shown import shown
from anchored.journal import new_key
from flows.experiment import sealed_run
from tasks.open_clone import chosen_repo
from tasks.open_run import open_run
from tasks.presenting_gate import ended_by
from tasks.reporting import RepoChoice, current_report, open_training_repo
from tasks.retrain_run import (
    find_equal_run,
    judge_run,
    look_at_folder,
    promote_run,
    refresh_data,
)
from tasks.state_hooks import close_dead, close_interrupted


def _name() -> str:
    return shown(runtime.flow_run.parameters.get("run_name") or "retrain")


@flow(
    name="retrain",
    flow_run_name=_name,
    persist_result=False,
    validate_parameters=False,
    on_cancellation=[close_interrupted],
    on_crashed=[close_interrupted],
    on_failure=[close_interrupted],
)
def retrain(
    repo: str | None = None,
    run_name: str | None = None,
    params: dict[str, Any] | None = None,
    pull: bool = False,
) -> Retrained:
    """A new run where data, code, params or environment changed, and its model promoted if better.

    Args:
        repo: Path or URL of the training repo. Default: `ANCHORED_REPO`, else the current folder.
        run_name: Name of the run, if one is made. Default: the experiment's name and the time.
        params: Parameters on top of `[train.params]`.
        pull: Bring the newest data into the folder afterwards; what is new in it is left.

    """
    chosen = chosen_repo(repo)
    close_dead(chosen)
    with open_training_repo(chosen).journals.alone("retrain", current_report().say) as waited:
        if waited:
            chosen_repo(repo)  # the one before may have moved the branch
        retrained = _retrained(chosen, run_name, params or {})
        behind = look_at_folder(chosen, pull=pull)
    return ended_by(replace(retrained, folder_behind=behind))


def _retrained(repo: RepoChoice, run_name: str | None, params: dict[str, Any]) -> Retrained:
    inputs = refresh_data(repo, run_name, params)
    equal = find_equal_run(repo, inputs, params)
    if equal is not None and not equal.pending:
        return Retrained(Outcome.SKIPPED, equal.run, changed=inputs.changed)
    if equal is None:
        begun = open_run(repo, run_name, params, key=new_key(), inputs=inputs)
        run = sealed_run(repo, begun).run
    else:
        run = equal.run  # interrupted before the gate
    decision = judge_run(repo, run)
    if decision is None:
        return Retrained(Outcome.SEALED, run, changed=inputs.changed)
    return replace(promote_run(repo, run, decision), changed=inputs.changed)
