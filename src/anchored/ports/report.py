"""Whom progress is reported to."""

from __future__ import annotations

from typing import Protocol


class Report(Protocol):
    """Where progress goes. The core never prints; whoever opens the workspace decides."""

    def say(self, text: str) -> None:
        """One line that a person following the run wants to read."""

    def warn(self, text: str) -> None:
        """One line that a person should act on, though the work goes on."""

    def output(self, line: str) -> None:
        """One line of the training's own output, secrets already masked."""

    def progress(self, what: str, done: int, total: int, *, unit: str = "") -> None:
        """How far a long piece of work has come; called often, cheap to ignore.

        `done` and `total` count objects, or bytes where `unit` is `B`; `total` 0 is unknown.
        """


class Silent:
    """A `Report` for nobody."""

    def say(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    def output(self, line: str) -> None: ...

    def progress(self, what: str, done: int, total: int, *, unit: str = "") -> None: ...


SILENT = Silent()
