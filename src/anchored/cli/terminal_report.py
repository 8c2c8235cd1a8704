"""A `Report` for who waits at a terminal: warnings as lines, progress as one line that changes."""

from __future__ import annotations

import threading
import time
from typing import Self

from rich.markup import escape

from anchored.cli.console import REFRESH, err, human_size, plain
from anchored.display.shown import shown_output


class TerminalReport:
    """Writes to stderr; elsewhere than on a terminal, only lines. Shows progress once entered."""

    def __init__(self, begin: str) -> None:
        self._console = err()
        self._status = self._console.status(begin) if self._console.is_terminal else None
        self._lock, self._shown = threading.Lock(), 0.0

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def say(self, text: str) -> None:
        self._console.print(text, markup=False)

    def warn(self, text: str) -> None:
        self._console.print(f"[yellow]warning:[/] {escape(text)}")

    def output(self, line: str) -> None:
        self._console.print(f"  | {shown_output(line)}", markup=False, style="dim")

    def progress(self, what: str, done: int, total: int, *, unit: str = "") -> None:
        if self._status is None:
            return
        with self._lock:
            now = time.monotonic()
            if now - self._shown < REFRESH:
                return
            self._shown = now
        shown = human_size if unit == "B" else "{:,}".format
        amount = f" {shown(done)} of {shown(total)}" if total else ""
        self._status.update(plain(f"{what}{amount}"))
