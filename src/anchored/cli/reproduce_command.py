"""`anchored reproduce RUN [--tolerance METRIC=NUMBER]… [--environment …] [--repeat N]`."""

from __future__ import annotations

from argparse import Namespace

from anchored.workspace.open import open_repo
from anchored.workspace.trackers_aside import load_tracker_aside


def run(arguments: Namespace) -> int:
    """Runs the `reproduce` flow; 0 where the result holds, 1 where it does not."""
    load_tracker_aside(getattr(arguments, "repo", None), arguments.tracker)
    repo = open_repo(getattr(arguments, "repo", None), tracker=arguments.tracker)
    from anchored.decisions.verdict import check_tolerances, parse_tolerances

    tolerances = parse_tolerances(arguments.tolerances)
    from anchored.cli import console, render
    from anchored.cli.prefect_session import prefect_session
    from anchored.records import Verdict

    with prefect_session(repo.root):
        from anchored.history.find import found
        from flows.reproduce import reproduce

        # What is wrong is refused before a flow, and a server for it, is started.
        check_tolerances(tolerances, found(repo, arguments.run, latest=arguments.latest).metrics)
        reproduction = reproduce(
            run_name=arguments.run,
            repo=str(repo.root),
            tolerances=dict(text.rpartition("=")[::2] for text in arguments.tolerances),
            environment=arguments.environment,
            repeat=arguments.repeat,
            latest=arguments.latest,
            tracker=arguments.tracker,
            trust_tracker=arguments.trust_tracker,
        )
    if getattr(arguments, "json", False):
        render.print_json(reproduction.to_json())
    else:
        render.show(console.out(), render.verdict(reproduction))
    return 0 if reproduction.verdict in {Verdict.IDENTICAL, Verdict.EQUIVALENT} else 1
