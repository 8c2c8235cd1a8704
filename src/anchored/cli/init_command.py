"""`anchored init [--remote URL] [--untrack]`."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from anchored.cli import console, render
from anchored.workspace.open import init


def run(arguments: Namespace) -> int:
    """Makes the repository ready and says what is left to do."""
    result = init(
        getattr(arguments, "repo", None), remote=arguments.remote, untrack=arguments.untrack
    )
    if getattr(arguments, "json", False):
        render.print_json(asdict(result))
        return 0
    said = console.err()
    for line in result.done or ("everything is set up already",):
        said.print(f"[green]done[/]  {line}" if result.done else line)
    for line in result.todo:
        said.print("[yellow]next[/]  ", end="")
        said.print(line, markup=False)
    return 0
