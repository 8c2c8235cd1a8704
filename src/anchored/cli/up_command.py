"""`anchored up`."""

from __future__ import annotations

import os
import signal
import time
from argparse import Namespace

from rich.console import Console

from anchored.cli import console, render
from anchored.cli.render_stack import places
from anchored.ports import Silent
from anchored.stack.parts import Wanted
from anchored.stack.up import bring_up
from anchored.tracker_names import title_of
from anchored.workspace.open import open_repo
from anchored.workspace.repos import served_as


def run(arguments: Namespace) -> int:
    """Brings the local stack up in the background, and says where it is."""
    # A script's background has made us deaf to it, and what we start would stay so: the worker
    # is stopped by SIGINT, which it sends to itself (Prefect 3.8.8).
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A terminal that is closed while things come up interrupts as Ctrl-C does, but with `nohup`.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    given = getattr(arguments, "repo", None)
    repo = open_repo(given)
    wanted = Wanted(
        served=served_as(given),
        tracker=title_of(repo.tracker.kind),
        tracker_uri=repo.tracker.uri,
        pages=repo.tracker.pages(),
    )
    found = bring_up(repo.root, wanted, Steps(console.err()))
    if getattr(arguments, "json", False):
        render.print_json(found.to_json())
    else:
        render.show(console.out(), places(found, os.getcwd(), given))
    return 0


class Steps(Silent):
    """A `Report` that shows what is being done, and how long after the beginning."""

    def __init__(self, shown: Console) -> None:
        self._console, self._begun = shown, time.monotonic()

    def say(self, text: str) -> None:
        """One line, with the seconds that have passed."""
        seconds = time.monotonic() - self._begun
        self._console.print(f"[cyan]{seconds:5.1f} s[/]  ", end="")
        self._console.print(text, markup=False)
