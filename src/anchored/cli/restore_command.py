"""`anchored restore RUN [--to DIR]`."""

from __future__ import annotations

from argparse import Namespace

from anchored.workspace.open import open_repo
from anchored.workspace.trackers_aside import load_tracker_aside


def run(arguments: Namespace) -> int:
    """Restores a run's data and model; says where, one line for each of them."""
    load_tracker_aside(getattr(arguments, "repo", None), arguments.tracker)
    from anchored.cli import console, render
    from anchored.cli.terminal_report import TerminalReport

    with TerminalReport("finding the run") as report:
        repo = open_repo(getattr(arguments, "repo", None), report, arguments.tracker)
        from anchored.restore.restore import restore

        result = restore(repo, arguments.run, arguments.to, latest=arguments.latest)
    if getattr(arguments, "json", False):
        render.print_json(result.to_json())
        return 0
    for output in result.outputs:
        files = f" in {output.nfiles:,} files" if output.is_folder else ""
        size = f"{console.human_size(output.size)}{files}"
        console.out().print(
            f"{output.path}  {size}  {result.to / output.path}", markup=False, soft_wrap=True
        )
    return 0
