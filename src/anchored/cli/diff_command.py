"""`anchored diff RUN RUN [--patch]`."""

from __future__ import annotations

from argparse import Namespace

from anchored.cli import console, render
from anchored.cli.render_diff import differences
from anchored.cli.terminal_report import TerminalReport
from anchored.diff.diff import diff_runs
from anchored.history.find import found
from anchored.workspace.open import open_repo


def run(arguments: Namespace) -> int:
    """Shows what differs between two runs."""
    report = TerminalReport("finding the runs")
    repo = open_repo(getattr(arguments, "repo", None), report, arguments.tracker)
    one = found(repo, arguments.run, latest=arguments.latest)
    other = found(repo, arguments.other, latest=arguments.latest)
    found_out = diff_runs(repo, one, other, patch=arguments.patch)
    if getattr(arguments, "json", False):
        render.print_json(found_out.to_json())
        return 0
    if found_out.none:
        console.err().print("nothing differs that was recorded of them")
        return 0
    render.show(console.out(), differences(found_out, one, other))
    if found_out.code.patch:
        console.out().print(found_out.code.patch, markup=False, emoji=False, soft_wrap=True, end="")
    return 0
