"""What a person sees while a command works: steps and progress on a terminal, plain lines else."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.status import Status

from anchored.display.shown import shown, shown_lines

REFRESH = 0.1  # seconds between two updates of the progress shown


class Plain(Console):
    """A console on which nothing that others wrote acts: it prints what `shown_lines` makes of it.

    Names in it have been through `shown` before, where a line end would make up a line.
    """

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """The segments of what is printed; those that rich itself steers the terminal by stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=shown_lines(segment.text))


def err() -> Console:
    """The console for everything that is not the result; honours NO_COLOR."""
    return Plain(stderr=True, highlight=False, emoji=False, soft_wrap=True)


def out(width: int | None = None) -> Console:
    """The console for results."""
    return Plain(highlight=False, emoji=False, width=width)


def plain(text: object) -> str:
    """One line of a text in the markup of a console, to be shown as it stands."""
    return escape(shown(text))


class StepHandler(logging.Handler):
    """Turns the log of the flow run into lines for the one who waits."""

    def __init__(self, console: Console, status: Status | None) -> None:
        super().__init__(logging.DEBUG)
        self._console, self._status = console, status
        self._step, self._begun, self._shown = "", time.monotonic(), 0.0

    def emit(self, record: logging.LogRecord) -> None:
        if step := getattr(record, "step", None):
            self._begin(step)
        elif hasattr(record, "done"):
            self._progress(record)
        elif record.name.startswith("prefect") and record.levelno < logging.WARNING:
            self._line(record)
        elif record.levelno >= logging.WARNING and _is_ours(record):
            self._console.print(f"[yellow]warning:[/] {escape(record.getMessage())}")

    def _begin(self, step: str) -> None:
        if step != self._step:
            self._step, self._begun = step, time.monotonic()
            if self._status is not None:
                self._status.update(escape(step))

    def _progress(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if self._status is None or now - self._shown < REFRESH:
            return
        self._shown = now
        done, total, unit = record.done, record.total, record.unit  # type: ignore[attr-defined]
        shown = human_size if unit == "B" else "{:,}".format
        amount = f" {shown(done)} of {shown(total)}" if total else ""
        self._status.update(f"{escape(self._step)}: {escape(record.getMessage())}{amount}")

    def _line(self, record: logging.LogRecord) -> None:
        if not _is_ours(record):
            return
        text = escape(record.getMessage())
        if getattr(record, "training_output", False):
            self._console.print(f"[dim]  | {text}[/]")
        else:
            self._console.print(f"[cyan]{escape(self._step):>17}[/]  {text}")


def human_size(size: int) -> str:
    """A size in bytes as people read it."""
    amount = float(size)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a step said it, not Prefect's own engine."""
    return record.pathname.endswith("tasks/reporting.py")


@contextmanager
def steps_shown() -> Iterator[Callable[[str], None]]:
    """Shows the steps of the flows that run meanwhile, in place of Prefect's console log.

    Yields a function that shows one more line among them.
    """
    from prefect.logging.configuration import setup_logging

    # Configured now, Prefect does not put its own handlers back when the flow starts.
    setup_logging()
    console = err()
    status = console.status("starting") if console.is_terminal else None
    handler = StepHandler(console, status)
    root, progress = logging.getLogger(), logging.getLogger("anchored.progress")
    before = root.handlers[:]
    root.handlers[:] = [handler]
    progress.handlers[:] = [handler]
    progress.propagate = False
    progress.setLevel(logging.DEBUG)
    try:
        if status is not None:
            status.start()
        yield lambda line: console.print(line, style="dim", markup=False)
    finally:
        if status is not None:
            status.stop()
        root.handlers[:] = before
        # A temporary server says goodbye when the process ends, after the result.
        logging.getLogger("prefect").setLevel(logging.WARNING)
        progress.handlers[:] = []
        sys.stderr.flush()
