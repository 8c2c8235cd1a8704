"""Everything that Anchored raises on purpose.

    AnchoredError                 exit code
    ├── WrongUse                      2     nothing was changed
    │   ├── ConfigError                     names the file, the key and the line
    │   ├── NotReady                        the repository lacks something that Anchored needs
    │   │   └── DeletedExperiment               the tracker can bring it back, with all its runs
    │   ├── BadInput                        an input or model path that cannot be versioned
    │   ├── DirtyTree                       uncommitted changes, listed
    │   ├── BadName, BadParam               an argument of a run
    │   └── UnknownRun, AmbiguousRun        a name is never guessed
    │       └── DeletedRun                      the tracker can bring it back
    ├── RunFailed                     1     training did not give a model that can be trusted
    │   ├── TrainingFailed                  exit status, signal or time-out, with the log's tail
    │   │   ├── EnvironmentFailed           the commit's own environment could not be built
    │   │   └── RefreshFailed               new data could not be brought; no run was opened
    │   ├── BadOutcome                      no model, an empty one, metrics that are not numbers
    │   └── InputChanged                    training wrote to its own inputs
    ├── RunsLost                      1     what an audit found; is in decisions/audit.py
    └── ServiceFailed                 3     a remote, tracker or server; may be `transient`
        ├── DiskFull                        this machine's own disk, or the user's quota on it
        ├── RemoteFailed                    the DVC remote
        │   └── ObjectLost                      it lacks an object, or holds it corrupt
        ├── GitRemoteFailed                 the Git remote
        └── TrackerFailed                   MLflow or W&B

Whatever else is raised is a bug of ours, exit code 70. Errors carry fields; words, colours and exit
codes are made of them in one place, the CLI.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


# In hints: the first, or the second where something was begun that can be resumed.
AGAIN = "give the command again"
RESUME = "`anchored resume` finishes what was begun"


class AnchoredError(Exception):
    """Base of all errors of Anchored; `message` says what is wrong, `hint` the way out."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """What Prefect shows as the message of a failed run: it shall say what to do, too."""
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors travel between processes with all their fields, whatever made them."""
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(
    kind: type[AnchoredError], args: tuple[Any, ...], fields: dict[str, Any]
) -> AnchoredError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(fields)
    return error


class WrongUse(AnchoredError):
    """Bad arguments, configuration or repository; nothing was changed."""

    exit_code = 2


class ConfigError(WrongUse):
    """`anchored.toml` cannot be used; `key` and `line` (1-based) point at the place."""

    def __init__(
        self,
        problem: str,
        *,
        file: Path | str,
        key: str | None = None,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        place = f"{file}:{line}" if line else str(file)
        super().__init__(f"{place}: {f'{key}: ' if key else ''}{problem}", hint=hint)
        self.file, self.key, self.line = file, key, line


class NotReady(WrongUse):
    """The repository is not (yet) one that Anchored can work on."""


class DeletedExperiment(NotReady):
    """The tracker's experiment was deleted, and all its runs with it."""


class BadInput(WrongUse):
    """A configured path cannot be versioned by DVC as it is."""

    def __init__(self, path: str, problem: str, *, hint: str | None = None) -> None:
        super().__init__(f"{path}: {problem}", hint=hint)
        self.path = path


class DirtyTree(WrongUse):
    """Tracked files have uncommitted changes, so no commit holds what would be trained."""

    SHOWN = 20

    def __init__(self, paths: Sequence[str]) -> None:
        more = len(paths) - self.SHOWN
        lines = [f"  {path}" for path in paths[: self.SHOWN]]
        if more > 0:
            lines.append(f"  … and {more} more")
        super().__init__(
            "uncommitted changes that the run would not contain:\n" + "\n".join(lines),
            hint="commit them, or pin them to this run alone with --snapshot",
        )
        self.paths = tuple(paths)


class BadName(WrongUse):
    """A run name that no tracker, ref or file name could carry safely."""


class BadParam(WrongUse):
    """A `-p KEY=VALUE` that the training command does not know."""


class UnknownRun(WrongUse):
    """No run answers to this name or id."""


class DeletedRun(UnknownRun):
    """The tracker has deleted the run, and can still bring it back."""


class AmbiguousRun(WrongUse):
    """A reference that fits several runs; `candidates` are lines to choose from."""

    SHOWN = 10

    def __init__(self, name: str, candidates: Sequence[str], *, hint: str) -> None:
        more = len(candidates) - self.SHOWN
        lines = [f"  {line}" for line in candidates[: self.SHOWN]]
        if more > 0:
            lines.append(f"  … and {more} more")
        super().__init__(f"{name!r} fits {len(candidates)} runs:\n" + "\n".join(lines), hint=hint)
        self.name, self.candidates = name, tuple(candidates)


class RunFailed(AnchoredError):
    """The run is recorded as failed; nothing of it is on the branch."""


class TrainingFailed(RunFailed):
    """The training command did not end well; `tail` holds its last lines."""

    SAID = 5  # lines of the tail in the error's text

    def __init__(self, message: str, *, tail: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.tail = tuple(tail)

    def __str__(self) -> str:
        """The last words of training among it: they say most of what is to be done."""
        lines = [self.message, *(f"  | {line}" for line in self.tail[-self.SAID :])]
        return "\n".join([*lines, f"hint: {self.hint}"] if self.hint else lines)


class EnvironmentFailed(TrainingFailed):
    """The environment that the commit locks could not be built; `tail` is the builder's output."""


class RefreshFailed(TrainingFailed):
    """The command that brings new data did not end well; nothing was changed, no run opened."""


class BadOutcome(RunFailed):
    """Training ended, but what it left cannot be recorded."""


class InputChanged(RunFailed):
    """Training, or what else had them, changed its inputs; the cache is intact again."""

    def __init__(self, paths: Sequence[str], *, by: str = "training") -> None:
        super().__init__(
            f"{by} changed its own inputs: " + ", ".join(paths),
            hint="write results elsewhere: a run whose inputs change cannot be reproduced",
        )
        self.paths = tuple(paths)


class ServiceFailed(AnchoredError):
    """A service or remote did not do its part; `transient` says whether a retry may help.

    `silent`: nothing was heard of it for as long as one waits, and a retry waits as long again.
    """

    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        transient: bool = True,
        silent: bool = False,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.transient, self.silent = transient, silent

    def offer_resume(self) -> None:
        """Makes the hint name `anchored resume`: the run that failed so can be resumed."""
        self.hint = (self.hint or AGAIN).replace(AGAIN, RESUME)


class DiskFull(ServiceFailed):
    """This machine's disk, or the user's quota on it, is full; the run waits until it is not."""

    ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})

    def __init__(self, said: str) -> None:
        super().__init__(
            f"this machine's disk, or your quota on it, is full: {said}",
            transient=False,
            hint=f"free some space, then {AGAIN}",
        )

    @classmethod
    def is_meant_by(cls, error: BaseException) -> bool:
        """Whether the operating system says so with this error."""
        return isinstance(error, OSError) and error.errno in cls.ERRNOS


class RemoteFailed(ServiceFailed):
    """The DVC remote could not be reached, or does not hold what was sent."""


class ObjectLost(RemoteFailed):
    """The remote answers, and lacks an object or holds other bytes under its name."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, transient=False, hint=hint)


class GitRemoteFailed(ServiceFailed):
    """The Git remote could not be reached, or refused a push."""


class TrackerFailed(ServiceFailed):
    """The tracker could not be reached, or did not keep what was sent."""
