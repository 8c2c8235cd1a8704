"""The core's report, written to the log of the Prefect run that is under way."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import runtime
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

from anchored.display.shown import shown_lines, shown_output
from anchored.ports import Report
from anchored.workspace.open import open_repo

if TYPE_CHECKING:
    from anchored.training_repo import TrainingRepo

# Progress is for the terminal that waits, not for the run's log: thousands of lines a minute.
# Whoever wants it attaches a handler: records carry `step`, or `done`, `total` and `unit`.
PROGRESS = logging.getLogger("anchored.progress")


Log = logging.LoggerAdapter[logging.Logger] | logging.Logger

_LISTENING: ContextVar[Report | None] = ContextVar("listening", default=None)


@contextmanager
def reporting_to(report: Report) -> Iterator[None]:
    """Reports to this one, in place of a log, what steps outside of a flow run have to say."""
    token = _LISTENING.set(report)
    try:
        yield
    finally:
        _LISTENING.reset(token)


def current_report() -> Report:
    """Where the step that is under way reports to."""
    return _LISTENING.get() or RunLog()


def report_step(title: str) -> None:
    """Says which step begins, to a handler that somebody attached to `PROGRESS`."""
    PROGRESS.debug("step", extra={"step": title})


class RunLog:
    """A `Report` that writes to a log; by default to the current task run's or flow run's."""

    def __init__(self, log: Log | None = None) -> None:
        self._log = log or _current_log()

    def say(self, text: str) -> None:
        self._log.info(shown_lines(text))

    def warn(self, text: str) -> None:
        self._log.warning(shown_lines(text))

    def output(self, line: str) -> None:
        self._log.info(shown_output(line), extra={"training_output": True})

    def progress(self, what: str, done: int, total: int, *, unit: str = "") -> None:
        if PROGRESS.isEnabledFor(logging.DEBUG):
            PROGRESS.debug("%s", what, extra={"done": done, "total": total, "unit": unit})


def _current_log() -> Log:
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger("anchored")


@dataclass(frozen=True, slots=True)
class RepoChoice:
    """The training repo that a flow hands to its tasks: its root, and the kind of tracker to use.

    Without one, it is the configured tracker.
    """

    root: str
    tracker: str | None = None


def open_training_repo(choice: RepoChoice, run: str = "") -> TrainingRepo:
    """The training repo, reporting to the Prefect run that is under way.

    With the key of a `run` of ours, it is bound to what was fixed when that opened.
    """
    if runtime.task_run.name:
        report_step(runtime.task_run.name)
    return open_repo(Path(choice.root), current_report(), choice.tracker, run)
