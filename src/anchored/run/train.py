"""Train: in a worktree of the source commit, and what training left is set aside.

Nothing but the source commit, the inputs as DVC has them and the recorded variables reaches the
command. What it leaves is moved out of the worktree, which is then gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from anchored.config import Config
from anchored.errors import TrainingFailed
from anchored.journal import Journal, Step
from anchored.records import Environment, ParamValue
from anchored.run.trainers import TRAINERS, Trainer
from anchored.run.worktree import Past, Worktree
from anchored.system.process import RUN_ID, Ending, end_training
from anchored.training_repo import TrainingRepo

FIX = "fix the script, commit and run again; the full log is the artifact anchored/train.log"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training left: metrics of its file, what its interpreter was, artifacts' paths."""

    metrics: Mapping[str, float]
    environment: Environment
    files: tuple[str, ...]


def fetch_inputs(repo: TrainingRepo, key: str) -> int:
    """Makes the cache hold the complete inputs; returns how many objects had to be fetched."""
    journal = repo.journal(key)
    if journal.step >= Step.TRAINING:
        return 0
    return repo.store.fetch(journal.run.data, repo.report)


def train(repo: TrainingRepo, key: str) -> Journal:
    """Runs the training command once; a run that was interrupted in it is never trained again.

    Raises `TrainingFailed`, `BadOutcome` or `InputChanged`; the cache is intact in every case.
    """
    journal = repo.journal(key)
    tree = repo.journals.tree(key)
    if journal.step >= Step.TRAINED:
        repo.code.remove_worktree(tree)  # still there if interrupted before this
        return journal
    if journal.step == Step.TRAINING:
        raise TrainingFailed("training was interrupted", tail=_tail_of(repo.journals.log(key)))
    try:
        outcome = train_once(repo, journal, repo.config_at(journal.run.git.source_commit))
        return repo.journals.write(with_outcome(journal, outcome))
    finally:
        repo.code.remove_worktree(tree)


def with_outcome(journal: Journal, outcome: Outcome) -> Journal:
    """The journal of a run that has trained."""
    environment = outcome.environment
    after = journal.at(Step.TRAINED, metrics=outcome.metrics, environment=environment.to_json())
    return replace(after, environment=environment, output_files=outcome.files)


def train_once(
    repo: TrainingRepo, journal: Journal, config: Config, past: Past | None = None
) -> Outcome:
    """Trains once in a worktree of the run's source commit, and sets aside what it left.

    With `past` it trains in that environment, in place of the configured one. Raises
    `TrainingFailed`, `BadOutcome` or `InputChanged`; the cache is intact in every case. The caller
    removes the worktree.
    """
    return _Training(repo, journal, config, past).outcome()


class _Training:
    """One training for one run, of whatever kind the configuration names."""

    def __init__(
        self, repo: TrainingRepo, journal: Journal, config: Config, past: Past | None
    ) -> None:
        self.repo, self.journal, self.run = repo, journal, journal.run
        self.config, self.past = config, past
        self.home = repo.journals.home(journal.key)
        self.tree = Worktree(repo, config, repo.journals.tree(journal.key))

    def outcome(self) -> Outcome:
        trainer, ending, environment = self._execute(self._own_variables(join=True))
        refused = self.repo.tracker.refuses_to_join(self.run.run_id, ending.tail)
        joins = self.config.tracker.join and not (ending.status and refused)
        if self.config.tracker.join and not joins:
            self.repo.report.warn(
                "the script keeps a tracker store or experiment of its own and cannot join this "
                "run; trained again on its own terms (tracker.join = false saves the first try)"
            )
            trainer, ending, environment = self._execute(self._own_variables(join=False))
        self._refuse_bad_ending(trainer, ending)
        own_store = {} if joins else self.repo.tracker.metrics_kept_in(self.tree.path)
        outputs = trainer.outputs(self.repo.journals.outputs(self.journal.key))
        return Outcome({**own_store, **outputs.metrics}, environment, outputs.files)

    def _own_variables(self, *, join: bool) -> dict[str, str]:
        own = own_variables(self.run.run_id, self.run.name, self.run.params, self.home)
        if join and self.config.tracker.join:
            own |= self.repo.tracker.training_variables(self.run.run_id)
        return own

    def _execute(self, own: dict[str, str]) -> tuple[Trainer, Ending, Environment]:
        """Trains in a fresh worktree; also what the interpreter is. Inputs are compared."""
        repo, tree = self.repo, self.tree
        tree.check_out(self.run.git.source_commit)
        variables = tree.variables(own, self.past)
        trainer = TRAINERS[self.config.train.kind](tree, self.run, self.config)
        # A disk that training filled can still take the word that it has ended.
        with tree.lent(self.run.data, to="training"), repo.journals.room_kept(self.journal.key):
            environment = trainer.prepare(variables)
            log = repo.journals.log(self.journal.key)
            ending = trainer.run(variables, log=log, on_start=self._started)
        return trainer, ending, environment

    def _started(self) -> None:
        self.repo.journals.write(self.journal.at(Step.TRAINING))

    def _refuse_bad_ending(self, trainer: Trainer, ending: Ending) -> None:
        if ending.timed_out:
            seconds = self.config.train.timeout
            raise TrainingFailed(
                f"training ran out of time ({seconds:g} s)",
                tail=ending.tail,
                hint="raise train.timeout in anchored.toml",
            )
        if ending.status:
            hint = trainer.hint(ending) or FIX
            raise TrainingFailed(f"training {ending.in_words}", tail=ending.tail, hint=hint)


def own_variables(
    run_id: str, name: str, params: Mapping[str, ParamValue], folder: Path
) -> dict[str, str]:
    """What a command learns of the run it is for; the params in a file of the folder."""
    file = folder / "params.json"
    file.write_text(json.dumps(dict(params), ensure_ascii=False), encoding="utf-8")
    return {RUN_ID: run_id, "ANCHORED_RUN_NAME": name, "ANCHORED_PARAMS": str(file)}


def end_orphans(journal: Journal) -> None:
    """Ends what still runs of a training whose Anchored was killed."""
    if journal.step == Step.TRAINING:
        end_training(journal.run.run_id)


def _tail_of(log: Path, lines: int = 40) -> tuple[str, ...]:
    try:
        return tuple(log.read_text(encoding="utf-8").splitlines()[-lines:])
    except FileNotFoundError:
        return ()
