"""Judge a retrained model: by what its run and the champion's recorded, or both on the same data.

The decision is recorded with the run: its numbers as an artifact before anything is promoted, what
came of it as a tag afterwards.
"""

from __future__ import annotations

from dataclasses import replace

from anchored.config import Config, Retrain
from anchored.decisions import tags
from anchored.decisions.command import filled_command
from anchored.decisions.decoding import json_value
from anchored.decisions.gate import Candidate, Decision, Gate, Outcome, Retrained
from anchored.errors import BadOutcome, TrainingFailed, UnknownRun
from anchored.history.find import found_by_id
from anchored.history.trace import resolve_run
from anchored.history.typed_params import typed
from anchored.ports import LoggedFiles
from anchored.promote.promote import CHAMPION, promote_over
from anchored.records import RunRecord, rendered
from anchored.run.outputs import OutputFiles
from anchored.run.train import own_variables
from anchored.run.worktree import Worktree, temporary_worktree
from anchored.training_repo import TrainingRepo

GATE_DOCUMENT = "anchored/gate.json"


def judge(repo: TrainingRepo, run: RunRecord) -> Decision | None:
    """Whether a sealed run's model is better than the champion; None without a gate.

    Raises `TrainingFailed`, `BadOutcome` and `InputChanged` where `retrain.evaluate` fails.
    """
    config = repo.config_at(run.git.source_commit)
    if config.gate is None:
        return None
    retrain, new = config.gate, Candidate(run.run_id, run.name, run.metrics)
    gate = Gate(retrain.metric, retrain.goal, retrain.minimum_improvement)
    version = repo.tracker.version_of_alias(retrain.registered_model or "", CHAMPION)
    if version is None:
        return gate.decision(new, None)
    if version.run_id == run.run_id:
        # Interrupted behind the promotion: the decision that it came of is kept.
        return recorded_decision(repo, run) or gate.decision(new, new)
    champion = _run_of(repo, version.run_id)
    if champion is None:
        reason = f"the champion, version {version.version}, names no run to compare with"
        return gate.refusal(new, reason)
    if retrain.evaluate is None:
        best = Candidate(champion.run_id, champion.name, champion.metrics)
        return gate.decision(new, best)
    new, best = evaluate(repo, config, retrain.evaluate, run, champion)
    return gate.decision(new, best, evaluated=True)


def promote_if_better(repo: TrainingRepo, run: RunRecord, decision: Decision) -> Retrained:
    """Promotes a model that passed and records the decision; the champion stays, if it did not.

    Where another model became the champion meanwhile, it is judged again, against that one.
    """
    retrain = _gate_of(repo, run)
    while decision.passed:
        _write_down(repo, decision)
        version = promote_over(
            repo,
            run,
            decision.champion,
            alias=retrain.alias,
            model=retrain.registered_model or "",
        )
        if version is not None:
            repo.tracker.log(run.run_id, tags={tags.GATE: str(Outcome.PROMOTED)})
            return Retrained(Outcome.PROMOTED, run, decision, version)
        repo.report.warn("another model became the champion meanwhile; judged again")
        decision = judge(repo, run) or decision
    _write_down(repo, decision)
    repo.tracker.log(run.run_id, tags={tags.GATE: str(Outcome.REFUSED)})
    return Retrained(Outcome.REFUSED, run, decision)


def recorded_decision(repo: TrainingRepo, run: RunRecord) -> Decision | None:
    """The decision recorded with a run; None where there is none that can be read."""
    text = repo.tracker.artifact(run.run_id, GATE_DOCUMENT)
    try:
        return None if text is None else Decision.from_json(json_value(text))
    except (ValueError, TypeError) as error:
        repo.report.warn(f"{GATE_DOCUMENT} of {run.name!r} cannot be read: {error}")
        return None


def evaluate(
    repo: TrainingRepo, config: Config, command: str, new: RunRecord, champion: RunRecord
) -> tuple[Candidate, Candidate]:
    """Both models, with their metrics on the new run's data by its own code.

    Each model is hashed before anything loads it, and evaluated under the params of its own run.
    """
    with (
        temporary_worktree(repo, config, new.git.source_commit) as tree,
        tree.lent(new.data, to="retrain.evaluate"),
    ):
        repo.report.say(f"evaluating the models of {new.name!r} and {champion.name!r}")
        return _evaluate_one(tree, command, new), _evaluate_one(tree, command, champion)


def _evaluate_one(tree: Worktree, command: str, run: RunRecord) -> Candidate:
    _place_model(tree, run)
    outputs = OutputFiles(tree.path, tree.config)
    outputs.prepare()
    params = {**tree.config.train.params, **typed(run.params, tree.config)}
    try:
        filled = filled_command(command, params)
    except ValueError as error:
        raise BadOutcome(
            f"the params of {run.name!r} do not fit retrain.evaluate: {error}"
        ) from error
    # Known by its folder, it is found where this process is killed and the folder swept away.
    folder = tree.path.parent
    variables = tree.variables(own_variables(folder.name, run.name, params, folder))
    tree.point_imports(filled, variables)
    ending = tree.run(filled, variables, log=folder / "evaluate.log")
    if ending.status or ending.timed_out:
        raise TrainingFailed(
            f"evaluating the model of {run.name!r} {ending.in_words}",
            tail=ending.tail,
            hint=f"the command is {filled!r}; the run is sealed, the champion untouched",
        )
    return Candidate(run.run_id, run.name, outputs.metrics())


def _place_model(tree: Worktree, run: RunRecord) -> None:
    """Puts a run's model where models are today: its own run may have written it elsewhere."""
    if not run.model:
        raise BadOutcome(f"{run.name!r} has no model to evaluate")
    store, path = tree.repo.store, tree.config.train.model
    pointers = store.with_hash_kind((replace(run.model[0], path=path),))
    store.fetch(pointers, tree.repo.report)
    tree.clear(path)
    store.export(pointers, tree.path, tree.repo.report)


def _write_down(repo: TrainingRepo, decision: Decision) -> None:
    files = LoggedFiles(texts={GATE_DOCUMENT: rendered(decision.to_json())})
    repo.tracker.log(decision.run_id, files=files)


def _run_of(repo: TrainingRepo, run_id: str) -> RunRecord | None:
    """The run of a model version; None where it names none, or one that is gone."""
    if not run_id:
        return None
    try:
        return resolve_run(repo, found_by_id(repo, run_id)).run
    except UnknownRun:
        return None


def _gate_of(repo: TrainingRepo, run: RunRecord) -> Retrain:
    """The gate that the run's own commit configures."""
    gate = repo.config_at(run.git.source_commit).gate
    assert gate is not None, "judged without a gate"
    return gate
