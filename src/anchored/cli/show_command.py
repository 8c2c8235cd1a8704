"""`anchored show RUN`."""

from __future__ import annotations

from argparse import Namespace

from anchored.cli import console, render
from anchored.cli.terminal_report import TerminalReport
from anchored.history.trace import shown_run
from anchored.workspace.open import open_repo


def run(arguments: Namespace) -> int:
    """Shows one run's whole lineage."""
    report = TerminalReport("finding the run")
    repo = open_repo(getattr(arguments, "repo", None), report, arguments.tracker)
    record = shown_run(repo, arguments.run, latest=arguments.latest)
    if getattr(arguments, "json", False):
        render.print_json(record.to_json())
    else:
        render.show(console.out(), render.lineage(record, whole=True))
    return 0
