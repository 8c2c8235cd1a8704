"""Tasks of a retrain: bring new data, look for a run that is equal already, judge, promote."""

from __future__ import annotations

from collections.abc import Mapping

from anchored.decisions.gate import Decision, Retrained
from anchored.records import ParamValue, RunRecord
from anchored.retrain import gate
from anchored.retrain.equal_run import Equal, equal_run
from anchored.retrain.refresh import refresh
from anchored.run.input_folder import behind_in_folder
from anchored.run.open import RetrainInputs, RunRequest
from tasks.presenting import present_lineage
from tasks.presenting_gate import present_decision
from tasks.reporting import RepoChoice, open_training_repo
from tasks.step import step


@step("refresh_data", title="refresh data")
def refresh_data(
    choice: RepoChoice, run_name: str | None, params: Mapping[str, ParamValue]
) -> RetrainInputs:
    """Brings new data into the DVC cache, in a worktree of the branch's head."""
    repo = open_training_repo(choice)
    inputs = refresh(repo, RunRequest(name=run_name, params=params))
    for pointer in inputs.data:
        said = "is new" if pointer.path in inputs.changed else "is as it was"
        repo.report.say(f"{pointer.path} {said}: {pointer.md5} ({pointer.size:,} bytes)")
    return inputs


@step("find_equal_run", title="look for an equal run")
def find_equal_run(
    choice: RepoChoice, inputs: RetrainInputs, params: Mapping[str, ParamValue]
) -> Equal | None:
    """The sealed run of the same source tree, data, params and environment, if there is one."""
    repo = open_training_repo(choice)
    equal = equal_run(repo, inputs, params)
    if equal is None:
        repo.report.say("no sealed run is of this code, data, params and environment")
    else:
        run = equal.run
        repo.report.say(f"nothing changed since run {run.name!r} ({run.run_id})")
        present_lineage(run)
    return equal


@step("judge_run", title="judge")
def judge_run(choice: RepoChoice, run: RunRecord) -> Decision | None:
    """Compares the run's model with the champion; None where nothing is configured to do so."""
    repo = open_training_repo(choice)
    decision = gate.judge(repo, run)
    if decision is not None:
        repo.report.say(f"{'passed' if decision.passed else 'refused'}: {decision.reason}")
    return decision


@step("promote_run", title="promote")
def promote_run(choice: RepoChoice, run: RunRecord, decision: Decision) -> Retrained:
    """Registers a model that passed, under its alias; records and shows the decision."""
    repo = open_training_repo(choice)
    retrained = gate.promote_if_better(repo, run, decision)
    if (version := retrained.version) is not None:
        repo.report.say(f"{version.model} {version.version} is {', '.join(version.aliases)}")
    present_decision(run, retrained.decision or decision, retrained.version)
    return retrained


@step("look_at_folder", title="look at folder")
def look_at_folder(choice: RepoChoice, *, pull: bool) -> tuple[str, ...]:
    """The inputs that the user's folder has in an earlier version; `pull` brings the newest."""
    repo = open_training_repo(choice)
    behind = behind_in_folder(repo, pull=pull)
    if behind:
        said = ", ".join(behind)
        repo.report.warn(f"your folder has an earlier version of {said}: `dvc pull` helps")
    return behind
