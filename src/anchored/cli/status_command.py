"""`anchored status`."""

from __future__ import annotations

import os
from argparse import Namespace

from anchored.cli import console, render
from anchored.cli.render_stack import command, places, processes
from anchored.stack.status import standing
from anchored.workspace.repos import folder_of


def run(arguments: Namespace) -> int:
    """Says what of the local stack runs: 0 where all of it is up, 1 where not."""
    given = getattr(arguments, "repo", None)
    found, up = standing(folder_of(given)), command("up", given)
    if getattr(arguments, "json", False):
        render.print_json(found.to_json())
    elif not found.parts:
        what = "is down" if found.was_up else "was never up here"
        console.err().print(f"the local stack {what}; `{up}` starts it", markup=False)
    else:
        out = console.out()
        render.show(out, processes(found))
        out.print()
        render.show(out, places(found, os.getcwd(), given))
        if not found.is_up:
            console.err().print(f"not all of it is up; `{up}` mends that", markup=False)
    return 0 if found.is_up else 1
