"""Train: the command in a private worktree of the source commit, and what it left set aside.

Nothing but the source commit, the inputs as DVC has them and the recorded variables reaches the
command. What it leaves is moved out of the worktree, which is then gone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from anchored.config import Config
from anchored.decisions import redaction
from anchored.decisions.variables import (
    activated,
    as_recorded,
    moved_imports,
    training_variables,
    worth_recording,
)
from anchored.errors import BadInput, InputChanged, NotReady, TrainingFailed
from anchored.journal import Journal, Step
from anchored.ports import Stamp
from anchored.process import (
    RUN_ID,
    Ending,
    end_training,
    interpreter_of,
    probed,
    program_of,
    run_command,
)
from anchored.records import Environment
from anchored.steps.outputs import Outputs
from anchored.steps.training_repo import TrainingRepo

# Settings that tools search for upwards from the script, beyond the private tree. Only kinds that
# they take empty for nothing: of an empty JSON file dynaconf 3.3.5 makes an error.
SOUGHT = (
    *(".env", ".env.local", "settings.ini"),
    *(f"settings{local}.{kind}" for local in ("", ".local") for kind in ("toml", "yaml", "yml")),
    *(f".secrets{local}.{kind}" for local in ("", ".local") for kind in ("toml", "yaml", "yml")),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training left: metrics of its file, what its interpreter was, artifacts' paths."""

    metrics: Mapping[str, float]
    environment: Environment
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """An environment as a run recorded it: the root of one that was built, and variables."""

    home: Path
    variables: Mapping[str, str]


def fetch_inputs(repo: TrainingRepo, key: str) -> int:
    """Makes the cache hold the inputs, whole; returns how many objects had to be fetched."""
    journal = repo.journal(key)
    if journal.step >= Step.TRAINING:
        return 0
    return repo.store.fetch(journal.run.data, repo.report)


def train(repo: TrainingRepo, key: str) -> Journal:
    """Runs the training command once; a run that was cut off in it is never trained again.

    Raises `TrainingFailed`, `BadOutcome` or `InputChanged`; the cache is whole in every case.
    """
    journal = repo.journal(key)
    tree = repo.journals.tree(key)
    if journal.step >= Step.TRAINED:
        repo.code.remove_worktree(tree)  # cut off between the journal and this, it is still there
        return journal
    if journal.step == Step.TRAINING:
        raise TrainingFailed("training was cut off", tail=_tail_of(repo.journals.log(key)))
    try:
        outcome = trained(repo, journal, repo.config_at(journal.run.git.source_commit))
        return repo.journals.write(with_outcome(journal, outcome))
    finally:
        repo.code.remove_worktree(tree)


def with_outcome(journal: Journal, outcome: Outcome) -> Journal:
    """The journal of a run that has trained."""
    environment = outcome.environment
    after = journal.at(Step.TRAINED, metrics=outcome.metrics, environment=environment.to_json())
    return replace(after, environment=environment, output_files=outcome.files)


def trained(
    repo: TrainingRepo, journal: Journal, config: Config, past: Past | None = None
) -> Outcome:
    """Trains once in a private worktree of the run's source commit, and sets aside what it left.

    With `past` it trains in that environment, in place of the configured one. Raises
    `TrainingFailed`, `BadOutcome` or `InputChanged`; the cache is whole in every case. The worktree
    is left for the caller to take away.
    """
    return _Training(repo, journal, config, past).outcome()


class _Training:
    """One execution of the training command for one run."""

    def __init__(
        self, repo: TrainingRepo, journal: Journal, config: Config, past: Past | None
    ) -> None:
        self.repo, self.journal, self.run = repo, journal, journal.run
        self.config, self.past = config, past
        self.home = repo.journals.home(journal.key)
        self.tree = repo.journals.tree(journal.key)
        self.stamps: dict[str, Stamp] = {}

    def outcome(self) -> Outcome:
        own = self._own_variables(join=True)
        ending, environment = self._execute(own)
        refused = self.repo.tracker.refuses_to_join(self.run.run_id, ending.tail)
        joins = self.config.tracker.join and not (ending.status and refused)
        if self.config.tracker.join and not joins:
            self.repo.report.warn(
                "the script keeps an MLflow store or experiment of its own and cannot join this "
                "run; trained again on its own terms (tracker.join = false saves the first try)"
            )
            ending, environment = self._execute(self._own_variables(join=False))
        self._refuse_bad_ending(ending)
        own_store = {} if joins else self.repo.tracker.metrics_kept_in(self.tree)
        metrics = self.outputs.metrics()
        metrics |= {name: v for name, v in own_store.items() if name not in metrics}
        files = self.outputs.set_aside(self.repo.journals.outputs(self.journal.key))
        return Outcome(metrics, environment, files)

    # --- before and during ----------------------------------------------------------------------

    def _own_variables(self, *, join: bool) -> dict[str, str]:
        params = self.home / "params.json"
        params.write_text(json.dumps(dict(self.run.params), ensure_ascii=False), encoding="utf-8")
        own = {
            RUN_ID: self.run.run_id,
            "ANCHORED_RUN_NAME": self.run.name,
            "ANCHORED_PARAMS": str(params),
            "PWD": str(self.tree),
        }
        if join and self.config.tracker.join:
            own |= self.repo.tracker.training_variables(self.run.run_id)
        return own

    def _execute(self, own: dict[str, str]) -> tuple[Ending, Environment]:
        """The command in a fresh worktree, and what the interpreter is; inputs are compared."""
        train, repo = self.config.train, self.repo
        variables = training_variables(repo.variables, train.pass_env, own)
        repo.code.add_worktree(self.tree, self.run.git.source_commit)
        for name in SOUGHT:  # a search ends here, before it comes to the user's folder
            (self.home / name).touch()
        if self.past is not None:
            variables = as_recorded(activated(variables, self.past.home), self.past.variables)
        elif train.environment == "uv":
            variables = activated(variables, repo.environments.built(self.tree, repo.report))
        for pointer in self.run.data:
            self._refuse_leaving_link(pointer.path)
        self.stamps = repo.store.checkout(self.run.data, self.tree, repo.report)
        self.outputs = Outputs(self.tree, self.config)
        secrets = redaction.secret_values(repo.variables)
        environment = self._environment(variables)

        def on_line(line: str) -> str:
            kept = redaction.redact(line, secrets)
            repo.report.output(kept)
            return kept

        try:
            # A disk that training filled can still take the word that it has ended.
            with repo.journals.room_kept(self.journal.key):
                ending = run_command(
                    self.run.command,
                    cwd=self.tree,
                    variables=variables,
                    log=repo.journals.log(self.journal.key),
                    timeout=train.timeout,
                    on_line=on_line,
                    on_start=self._started,
                )
        finally:
            self._compare_inputs()
        return ending, environment

    def _refuse_leaving_link(self, path: str) -> None:
        """A link in the commit could lead what is checked out to anywhere on this machine."""
        home, parent = os.path.realpath(self.tree), os.path.realpath((self.tree / path).parent)
        if parent != home and not parent.startswith(home + os.sep):
            raise BadInput(path, "lies behind a link of the commit that leaves the repository")

    def _started(self) -> None:
        self.repo.journals.write(self.journal.at(Step.TRAINING))

    def _environment(self, variables: dict[str, str]) -> Environment:
        """What the training interpreter is; also points its imports at the private tree."""
        interpreter = interpreter_of(self.run.command, variables, self.tree)
        if interpreter is None:
            raise NotReady(
                "no Python is on the PATH, so the environment cannot be recorded",
                hint=self._absent_program(),
            )
        document = probed(interpreter, variables, self.tree)
        if document is None:
            raise NotReady(f"{interpreter} could not say what it is")
        # By real paths: a link to the repo would lead imports past the private tree.
        entries = variables.get("PYTHONPATH", "").split(os.pathsep)
        found = json.loads(document)
        imports = moved_imports(
            os.pathsep.join(os.path.realpath(e) if os.path.isabs(e) else e for e in entries),
            root=self.repo.root,
            tree=self.tree,
            editable=found["editable"],
            added=found["added"],
        )
        if imports:
            variables["PYTHONPATH"] = imports
        facts = Environment.parse(document)
        recorded = worth_recording(variables, self.config.train.pass_env)
        return facts.with_(
            variables=redaction.recorded_variables(recorded), kind=self.config.train.environment
        )

    # --- after ----------------------------------------------------------------------------------

    def _compare_inputs(self) -> None:
        changed = self.repo.store.changed(self.run.data, self.tree, self.stamps)
        if changed:
            self.repo.store.mend(self.run.data, self.repo.report)
            raise InputChanged(changed)

    def _refuse_bad_ending(self, ending: Ending) -> None:
        if ending.timed_out:
            seconds = self.config.train.timeout
            raise TrainingFailed(
                f"training ran out of time ({seconds:g} s)",
                tail=ending.tail,
                hint="raise train.timeout in anchored.toml",
            )
        if ending.status == 0:
            return
        hint = self._absent_program() if ending.status in (126, 127) else None
        if hint is None and ending.status == 127:
            hint = f"the command is {self.run.command!r}"
        raise TrainingFailed(f"training {ending.in_words}", tail=ending.tail, hint=hint)

    def _absent_program(self) -> str | None:
        """The way out, where the command's program is in the user's folder and in no commit."""
        program = program_of(self.run.command)
        if program is None or "/" not in program or Path(program).is_absolute():
            return None
        if (self.tree / program).exists() or not (self.repo.root / program).exists():
            return None
        plain = self.run.command.replace(program, Path(program).name, 1)
        return (
            f"{program} is not in the source commit, which is all that training sees: activate "
            f"the environment and write `{plain}`, or give the program's absolute path"
        )


def end_orphans(journal: Journal) -> None:
    """Ends what still runs of a training whose Anchored was killed."""
    if journal.step == Step.TRAINING:
        end_training(journal.run.run_id)


def _tail_of(log: Path, lines: int = 40) -> tuple[str, ...]:
    try:
        return tuple(log.read_text(encoding="utf-8").splitlines()[-lines:])
    except FileNotFoundError:
        return ()
