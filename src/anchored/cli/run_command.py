"""`anchored run [NAME] [-p KEY=VALUE]… [--snapshot] [--data-from-folder]`."""

from __future__ import annotations

from argparse import Namespace

from anchored.cli.main import params_of
from anchored.workspace.open import open_repo
from anchored.workspace.trackers_aside import load_tracker_aside


def run(arguments: Namespace) -> int:
    """Refuses what is wrong before anything is started, then runs the `experiment` flow."""
    # First of all: it takes longer than everything else that has to be imported.
    load_tracker_aside(getattr(arguments, "repo", None))
    from anchored.cli import console, render
    from anchored.cli.terminal_report import TerminalReport

    params = params_of(arguments.params)
    # Large data are hashed here, if DVC does not know them yet.
    with TerminalReport("looking at the data") as report:
        repo = open_repo(getattr(arguments, "repo", None), report)
        from anchored.run.open import RunRequest, check_request

        request = RunRequest(
            name=arguments.name,
            params=params,
            snapshot=arguments.snapshot,
            data_from_folder=arguments.data_from_folder,
        )
        check_request(repo, request)
    from anchored.cli.prefect_session import prefect_session

    with prefect_session(repo.root):
        from flows.experiment import experiment

        sealed = experiment(
            repo=str(repo.root),
            run_name=arguments.name,
            params=params,
            snapshot=arguments.snapshot,
            data_from_folder=arguments.data_from_folder,
        )
    if getattr(arguments, "json", False):
        render.print_json(sealed.run.to_json())
    else:
        render.show(console.out(), render.lineage(sealed.run, whole=False, branch=sealed.branch))
    return 0
