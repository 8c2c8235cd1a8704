"""A private checkout of a commit, and what a command in it may see.

Nothing but the commit, the inputs as DVC has them and the variables of a training is there.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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
from anchored.errors import (
    BadInput,
    InputChanged,
    NotReady,
    TrainingFailed,
)
from anchored.records import (
    Environment,
    Pointer,
)
from anchored.system.process import (
    Ending,
    end_training,
    interpreter_of,
    probed,
    program_of,
    run_command,
)
from anchored.training_repo import TrainingRepo

# Settings that tools search for upwards from the script, beyond the worktree. Only kinds that
# they take empty for nothing: of an empty JSON file dynaconf 3.3.5 makes an error.
SOUGHT = (
    *(".env", ".env.local", "settings.ini"),
    *(f"settings{local}.{kind}" for local in ("", ".local") for kind in ("toml", "yaml", "yml")),
    *(f".secrets{local}.{kind}" for local in ("", ".local") for kind in ("toml", "yaml", "yml")),
)


@dataclass(frozen=True, slots=True)
class Past:
    """An environment as a run recorded it: the root of one that was built, and variables."""

    home: Path
    variables: Mapping[str, str]


class Worktree:
    """The checkout at `path`, for commands of this configuration."""

    def __init__(self, repo: TrainingRepo, config: Config, path: Path) -> None:
        self.repo, self.config, self.path = repo, config, path
        self._secrets = redaction.secret_values(repo.variables, config.train.pass_env)

    def check_out(self, commit: str) -> None:
        """Makes the tree what the commit is, and nothing else."""
        self.repo.code.add_worktree(self.path, commit)
        for name in SOUGHT:  # a search ends here, before it comes to the user's folder
            (self.path.parent / name).touch()

    def variables(self, own: Mapping[str, str], past: Past | None = None) -> dict[str, str]:
        """The variables of a training here, with its environment activated."""
        passed = self.config.train.pass_env
        seen = training_variables(self.repo.variables, passed, {**own, "PWD": str(self.path)})
        if past is not None:
            return as_recorded(activated(seen, past.home), past.variables)
        return self.in_environment(seen)

    def in_environment(self, variables: dict[str, str]) -> dict[str, str]:
        """Variables with the environment activated that the configuration asks for."""
        if self.config.train.environment == "inherit":
            return variables
        return activated(variables, self.repo.environments.built(self.path, self.repo.report))

    @contextmanager
    def lent(self, pointers: tuple[Pointer, ...], *, to: str) -> Iterator[None]:
        """Inputs linked into the tree, read-only, for as long as the block lasts.

        Raises `InputChanged` where they are not as they were, and `TrainingFailed` where the tree
        is gone, however the block ended; the cache is intact again by then. `to` is who had them.
        """
        for pointer in pointers:
            self._refuse_leaving_link(pointer.path)
        store = self.repo.store
        stamps = store.checkout(pointers, self.path, self.repo.report)
        try:
            yield
        finally:
            if not (self.path / ".git").exists():
                store.repair(pointers, self.repo.report)
                raise TrainingFailed(
                    f"the worktree that {to} ran in was removed meanwhile: {self.path}",
                    hint="while a run is under way, leave what `git worktree list` shows alone",
                )
            if changed := store.changed(pointers, self.path, stamps):
                store.repair(pointers, self.repo.report)
                raise InputChanged(changed, by=to)

    def run(
        self,
        command: str,
        variables: Mapping[str, str],
        *,
        log: Path,
        on_start: Callable[[], None] = lambda: None,
    ) -> Ending:
        """Runs a command in the tree, for as long as a training may take; its lines are reported.

        What it started is ended with it: `variables` hold the id that it is known by.
        """
        return run_command(
            command,
            cwd=self.path,
            variables=variables,
            log=log,
            timeout=self.config.train.timeout,
            on_line=self._told,
            on_start=on_start,
        )

    def _refuse_leaving_link(self, path: str) -> None:
        """A link in the commit could lead what is checked out to anywhere on this machine."""
        home, parent = os.path.realpath(self.path), os.path.realpath((self.path / path).parent)
        if parent != home and not parent.startswith(home + os.sep):
            raise BadInput(path, "is behind a link of the commit that leaves the repository")

    def clear(self, path: str) -> None:
        """Removes what is at a path of the tree; nothing there is no error."""
        place = self.path / path
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)

    def environment(self, command: str, variables: dict[str, str]) -> Environment:
        """What the command's interpreter is; also points its imports at the tree.

        Raises `NotReady` where there is none, or one that cannot say what it is.
        """
        interpreter = interpreter_of(command, variables, self.path)
        if interpreter is None:
            raise NotReady(
                "no Python is on the PATH, so the environment cannot be recorded",
                hint=self.absent_program(command),
            )
        document = probed(interpreter, variables, self.path)
        if document is None:
            raise NotReady(f"{interpreter} could not say what it is")
        self._point_imports(variables, document)
        facts = Environment.parse(document)
        recorded = worth_recording(variables, self.config.train.pass_env)
        return facts.with_(
            variables=redaction.recorded_variables(recorded), kind=self.config.train.environment
        )

    def point_imports(self, command: str, variables: dict[str, str]) -> None:
        """Points a command's imports at the tree, should it be Python's."""
        interpreter = interpreter_of(command, variables, self.path)
        if interpreter and (document := probed(interpreter, variables, self.path)):
            self._point_imports(variables, document)

    def _point_imports(self, variables: dict[str, str], document: bytes) -> None:
        # By real paths: a link to the repo would lead imports past the worktree.
        entries = variables.get("PYTHONPATH", "").split(os.pathsep)
        found = json.loads(document)
        imports = moved_imports(
            os.pathsep.join(os.path.realpath(e) if os.path.isabs(e) else e for e in entries),
            root=self.repo.root,
            tree=self.path,
            editable=found["editable"],
            added=found["added"],
        )
        if imports:
            variables["PYTHONPATH"] = imports

    def _told(self, line: str) -> str:
        """A line of a command's output, with secrets masked, as it was reported."""
        kept = redaction.redact(line, self._secrets)
        self.repo.report.output(kept)
        return kept

    def absent_program(self, command: str) -> str | None:
        """The way out, where the command's program is in the user's folder and in no commit."""
        program = program_of(command)
        if program is None or "/" not in program or Path(program).is_absolute():
            return None
        if (self.path / program).exists() or not (self.repo.root / program).exists():
            return None
        plain = command.replace(program, Path(program).name, 1)
        return (
            f"{program} is not in the source commit, which is all that training sees: activate "
            f"the environment and write `{plain}`, or give the program's absolute path"
        )


@contextmanager
def temporary_worktree(repo: TrainingRepo, config: Config, commit: str) -> Iterator[Worktree]:
    """A worktree of a commit for as long as the block lasts."""
    with repo.journals.scratch() as folder:
        tree = Worktree(repo, config, folder / f"tree-{folder.name[-8:]}")
        try:
            tree.check_out(commit)
            yield tree
        finally:
            repo.code.remove_worktree(tree.path)


def sweep(repo: TrainingRepo) -> None:
    """Removes what dead processes left in passing: worktrees, and what runs in them."""

    def take_away(tree: Path) -> None:
        end_training(tree.parent.name)
        repo.code.remove_worktree(tree)

    repo.journals.sweep(take_away)
