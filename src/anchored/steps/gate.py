"""Judge a retrained model: by what its run and the champion's recorded, or both on the same data.

The decision stands on the run: its numbers as an artifact, its outcome as a tag.
"""

from __future__ import annotations

import json
from dataclasses import replace

from anchored.config import Config, Retrain
from anchored.decisions import tags
from anchored.decisions.command import filled_command
from anchored.decisions.gate import PENDING, Candidate, Decision, Gate, Outcome
from anchored.errors import BadOutcome, TrainingFailed, UnknownRun
from anchored.ports import LoggedFiles
from anchored.process import run_command
from anchored.records import RunRecord, rendered
from anchored.steps.find_runs import record
from anchored.steps.outputs import Outputs
from anchored.steps.private_tree import PrivateTree, passing_tree
from anchored.steps.train import own_variables
from anchored.steps.training_repo import TrainingRepo

CHAMPION = "champion"
GATE_DOCUMENT = "anchored/gate.json"


def is_pending(repo: TrainingRepo, run: RunRecord) -> bool:
    """Whether a run is of a retrain that was cut off before it judged it."""
    return repo.tracker.run(run.run_id).tags.get(tags.GATE) == PENDING


def judged(repo: TrainingRepo, run: RunRecord) -> Decision | None:
    """Whether a sealed run's model is better than the champion; None without a gate or registry.

    Raises `TrainingFailed` and `BadOutcome` where `retrain.evaluate` fails.
    """
    config = repo.config_at(run.git.source_commit)
    retrain = config.retrain
    if retrain is None or retrain.registered_model is None:
        return None
    gate = Gate(retrain.metric, retrain.goal, retrain.minimum_improvement)
    champion = champion_of(repo, retrain.registered_model)
    if champion is None or champion.run_id == run.run_id or retrain.evaluate is None:
        held = None if champion is None else _as_recorded(champion)
        return gate.decision(_as_recorded(run), held)
    both = evaluated(repo, config, retrain.evaluate, run, champion)
    return gate.decision(both[0], both[1], evaluated=True)


def stands(repo: TrainingRepo, run: RunRecord, decision: Decision) -> bool:
    """Whether the champion is still the one that a decision was made against."""
    champion = champion_of(repo, _retrain(repo, run).registered_model or "")
    return (champion.run_id if champion else "") == decision.champion or (
        champion is not None and champion.run_id == run.run_id
    )


def alias_of(repo: TrainingRepo, run: RunRecord) -> str:
    """The alias that the run's own configuration gives to a model that passes."""
    return _retrain(repo, run).alias


def _retrain(repo: TrainingRepo, run: RunRecord) -> Retrain:
    retrain = repo.config_at(run.git.source_commit).retrain
    assert retrain is not None, "judged without a gate"
    return retrain


def champion_of(repo: TrainingRepo, model: str) -> RunRecord | None:
    """The run whose model is the champion; None where there is none yet."""
    try:
        run_id = repo.tracker.run_of_alias(model, CHAMPION)
    except UnknownRun:
        return None
    return record(repo, repo.tracker.run(run_id))


def record_decision(repo: TrainingRepo, decision: Decision, outcome: Outcome) -> None:
    """Writes the decision down with the run. What the run itself says stays as it is."""
    document = {**decision.to_json(), "outcome": str(outcome)}
    files = LoggedFiles(texts={GATE_DOCUMENT: rendered(document)})
    repo.tracker.log_files(decision.run_id, files)
    repo.tracker.set_tags(decision.run_id, {tags.GATE: str(outcome)})


def recorded_decision(repo: TrainingRepo, run: RunRecord) -> Decision | None:
    """The decision that stands with a run; None where there is none."""
    text = repo.tracker.artifact(run.run_id, GATE_DOCUMENT)
    if text is None:
        return None
    value = json.loads(text)
    del value["outcome"]
    return Decision(**value)


def evaluated(
    repo: TrainingRepo, config: Config, command: str, new: RunRecord, champion: RunRecord
) -> tuple[Candidate, Candidate]:
    """Both models, with their metrics on the new run's data by its own code.

    Each model is hashed before anything loads it, and evaluated under the params of its own run.
    """
    with passing_tree(repo, config, new.git.source_commit) as tree:
        stamps = tree.hand_in(new.data)
        found = []
        for run in (new, champion):
            repo.report.say(f"evaluating the model of {run.name!r} on the data of {new.name!r}")
            found.append(_evaluated(tree, command, run))
        if repo.store.changed(new.data, tree.path, stamps):
            repo.store.mend(new.data, repo.report)
            raise BadOutcome("retrain.evaluate changed the inputs it was given")
    return found[0], found[1]


def _evaluated(tree: PrivateTree, command: str, run: RunRecord) -> Candidate:
    repo, model = tree.repo, tree.config.train.model
    # The champion may have been written elsewhere; it is looked for where a model lies today.
    pointers = tuple(replace(pointer, path=model) for pointer in run.model[:1])
    if not pointers:
        raise BadOutcome(f"{run.name!r} has no model to evaluate")
    repo.store.fetch(pointers, repo.report)
    tree.clear(model)
    repo.store.hand_out(pointers, tree.path, repo.report)
    outputs = Outputs(tree.path, tree.config)
    params = {**tree.config.train.params, **run.params}
    filled = filled_command(command, params)
    own = own_variables(run.run_id, run.name, params, tree.path.parent)
    variables = tree.variables(own)
    tree.environment(filled, variables)
    ending = run_command(
        filled,
        cwd=tree.path,
        variables=variables,
        log=tree.path.parent / "evaluate.log",
        timeout=tree.config.train.timeout,
        on_line=tree.told,
        on_start=lambda: None,
    )
    if ending.status or ending.timed_out:
        raise TrainingFailed(
            f"evaluating the model of {run.name!r} {ending.in_words}",
            tail=ending.tail,
            hint=f"the command is {filled!r}; the run is sealed, the champion untouched",
        )
    return Candidate(run.run_id, run.name, outputs.metrics())


def _as_recorded(run: RunRecord) -> Candidate:
    return Candidate(run.run_id, run.name, run.metrics)
