"""`anchored promote RUN [--alias ALIAS]`."""

from __future__ import annotations

from argparse import Namespace

from anchored.workspace.open import open_repo
from anchored.workspace.trackers_aside import load_tracker_aside


def run(arguments: Namespace) -> int:
    """Registers a run's model under an alias; says what was registered and how it is loaded."""
    load_tracker_aside(getattr(arguments, "repo", None), arguments.tracker)
    from anchored.cli import console, render
    from anchored.cli.terminal_report import TerminalReport

    with TerminalReport("finding the run") as report:
        repo = open_repo(getattr(arguments, "repo", None), report, arguments.tracker)
        from anchored.history.find import found
        from anchored.history.trace import record_at
        from anchored.promote.promote import promote
        from anchored.system.retry_policy import with_retries

        record = with_retries(lambda: found(repo, arguments.run, latest=arguments.latest))
        version = with_retries(lambda: promote(repo, record, alias=arguments.alias))
        sealed = record_at(repo, record)
        record = sealed.run if sealed else record
    if getattr(arguments, "json", False):
        named = {"git_commit": record.git.commit, "dvc_model_md5": record.model[0].md5}
        render.print_json({**version.to_json(), **named})
    else:
        render.show(console.out(), render.promotion(record, version))
    return 0
