"""`anchored show RUN`."""

from __future__ import annotations

from argparse import Namespace

from anchored.cli import console, render
from anchored.steps.find_runs import found
from anchored.workspace import open_repo


def run(arguments: Namespace) -> int:
    """Shows one run's whole lineage."""
    repo = open_repo(getattr(arguments, "repo", None), tracker=arguments.tracker)
    record = found(repo, arguments.run, latest=arguments.latest)
    if getattr(arguments, "json", False):
        render.print_json(record.to_json())
    else:
        render.show(console.out(), render.lineage(record, whole=True))
    return 0
