"""`anchored show RUN`."""

from __future__ import annotations

from argparse import Namespace

from rich.markup import escape

from anchored.cli import console, render
from anchored.cli.terminal_report import TerminalReport
from anchored.history.find import found
from anchored.history.trace import record_at
from anchored.workspace.open import open_repo


def run(arguments: Namespace) -> int:
    """Shows one run's whole lineage."""
    report = TerminalReport("finding the run")
    repo = open_repo(getattr(arguments, "repo", None), report, arguments.tracker)
    record = found(repo, arguments.run, latest=arguments.latest)
    if (sealed := record_at(repo, record)) is not None:
        for line in sealed.mismatches:
            console.err().print(f"[yellow]warning:[/] {escape(line)}")
        environment = record.environment if not sealed.mismatches else sealed.run.environment
        record = sealed.run.with_(environment=environment)
    if getattr(arguments, "json", False):
        render.print_json(record.to_json())
    else:
        render.show(console.out(), render.lineage(record, whole=True))
    return 0
