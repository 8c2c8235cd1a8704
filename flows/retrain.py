"""Flow `retrain`: bring new data, train if anything changed, promote the model if it is better."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from prefect import flow, runtime

from anchored.decisions.gate import Outcome, Retrained
from anchored.journal import new_key
from anchored.workspace import open_repo
from flows.experiment import sealed_run
from tasks.open_clone import training_root
from tasks.open_run import open_run
from tasks.presenting_gate import retrained_state
from tasks.reporting import RunLog
from tasks.retrain_run import find_equal_run, judge_run, promote_run, refresh_data
from tasks.state_hooks import close_cut_off, close_dead


def _name() -> str:
    return str(runtime.flow_run.parameters.get("run_name") or "retrain")


@flow(
    name="retrain",
    flow_run_name=_name,
    persist_result=False,
    validate_parameters=False,
    on_cancellation=[close_cut_off],
    on_crashed=[close_cut_off],
    on_failure=[close_cut_off],
)
def retrain(
    repo: str | None = None, run_name: str | None = None, params: dict[str, Any] | None = None
) -> Retrained:
    """A new run where data, code, params or environment changed, and its model promoted if better.

    Args:
        repo: Path or URL of the training repo. Default: `ANCHORED_REPO`, else the current folder.
        run_name: Name of the run, if one is made. Default: the experiment's name and the time.
        params: Parameters on top of `[train.params]`.

    """
    root = training_root(repo)
    close_dead(root)
    with open_repo(root).journals.alone("retrain", RunLog().say) as waited:
        if waited:
            training_root(repo)  # the one before may have moved the branch
        retrained = _retrained(root, run_name, params or {})
    # Prefect takes a state for the flow run's end, and hands its data to the caller.
    return cast("Retrained", retrained_state(retrained))


def _retrained(root: str, run_name: str | None, params: dict[str, Any]) -> Retrained:
    fresh = refresh_data(root, run_name, params)
    equal = find_equal_run(root, fresh, params)
    if equal is not None and not equal.pending:
        return Retrained(Outcome.SKIPPED, equal.run, changed=fresh.changed)
    if equal is None:
        opened = open_run(root, run_name, params, key=new_key(), fresh=fresh)
        run = sealed_run(root, opened).run
    else:
        run = equal.run  # cut off before the gate
    decision = judge_run(root, run)
    if decision is None:
        return Retrained(Outcome.SEALED, run, changed=fresh.changed)
    return replace(promote_run(root, run, decision), changed=fresh.changed)
