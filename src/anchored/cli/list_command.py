"""`anchored list`."""

from __future__ import annotations

from argparse import Namespace

from anchored.cli import console, render
from anchored.decisions.naming import LATEST
from anchored.history.find import known_elsewhere, listed
from anchored.workspace.open import open_repo

SHOWN = 30


def run(arguments: Namespace) -> int:
    """Lists runs, newest first: all of them as JSON, a screenful for people."""
    repo = open_repo(getattr(arguments, "repo", None), tracker=arguments.tracker)
    if getattr(arguments, "json", False):
        values = [run.to_json() for run in listed(repo, arguments.limit)]
        for value in values:
            del value["environment"]
        render.print_json(values)
        return 0
    limit = arguments.limit or SHOWN
    runs = list(listed(repo, limit))
    if not runs:
        told = known_elsewhere(repo, LATEST)
        way = f"another tracker has some: {told.hint}" if told else "`anchored run` makes the first"
        console.err().print(f"no runs yet; {way}", markup=False)
        return 0
    render.show(console.out(), render.listing(runs))
    if len(runs) == limit and not arguments.limit:
        console.err().print(f"the newest {limit}; -n N lists more", markup=False)
    return 0
