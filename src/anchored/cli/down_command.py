"""`anchored down`."""

from __future__ import annotations

from argparse import Namespace

from anchored.cli import console, render
from anchored.cli.up_command import Steps
from anchored.stack.down import take_down
from anchored.workspace.repos import folder_of


def run(arguments: Namespace) -> int:
    """Ends what `up` has started; data and logs stay."""
    stopped = take_down(folder_of(getattr(arguments, "repo", None)), Steps(console.err()))
    if getattr(arguments, "json", False):
        render.print_json({"stopped": list(stopped)})
    else:
        console.err().print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")
    return 0
