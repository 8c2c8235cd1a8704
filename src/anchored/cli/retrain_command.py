"""`anchored retrain [--name NAME] [--pull]`."""

from __future__ import annotations

from argparse import Namespace

from anchored.workspace.open import open_repo
from anchored.workspace.trackers_aside import load_tracker_aside


def run(arguments: Namespace) -> int:
    """Runs the `retrain` flow; 1 where the gate refused the new model."""
    load_tracker_aside(getattr(arguments, "repo", None))
    repo = open_repo(getattr(arguments, "repo", None))
    from anchored.run.open import RunRequest, check_retrain

    check_retrain(repo, RunRequest(name=arguments.name), repo.code.head())
    from anchored.cli import console, render
    from anchored.cli.prefect_session import prefect_session
    from anchored.decisions.gate import Outcome

    with prefect_session(repo.root):
        from flows.retrain import retrain

        retrained = retrain(repo=str(repo.root), run_name=arguments.name, pull=arguments.pull)
    if getattr(arguments, "json", False):
        render.print_json(retrained.to_json())
    else:
        render.show(console.out(), render.retrained(retrained))
    return 1 if retrained.outcome == Outcome.REFUSED else 0
