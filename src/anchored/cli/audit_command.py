"""`anchored audit [--deep]`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from anchored.workspace.open import open_repo
from anchored.workspace.trackers_aside import load_tracker_aside

if TYPE_CHECKING:
    from rich.table import Table

    from anchored.decisions.audit import Audit
    from anchored.tracker_names import TrackerName

SHOWN = 200  # findings on a terminal; --json has all


def run(arguments: Namespace) -> int:
    """Runs the `audit` flow; 1 where something has rotted, 0 where nothing has."""
    load_tracker_aside(getattr(arguments, "repo", None), arguments.tracker)
    repo = open_repo(getattr(arguments, "repo", None), tracker=arguments.tracker)
    from anchored.cli import console, render

    found = _audited(str(repo.root), deep=arguments.deep, tracker=arguments.tracker)
    if getattr(arguments, "json", False):
        render.print_json(found.to_json())
    else:
        if found.findings:
            render.show(console.out(), findings(found))
        console.out().print(summary(found), soft_wrap=True)
    return 0 if found.is_clean else 1


def _audited(repo: str, *, deep: bool, tracker: TrackerName | None) -> Audit:
    from anchored.cli.prefect_session import prefect_session
    from anchored.decisions.audit import RunsLost

    try:
        with prefect_session(Path(repo)):
            from flows.audit import audit

            return audit(repo=repo, deep=deep, tracker=tracker)
    except RunsLost as lost:
        return lost.audit


def findings(found: Audit) -> Table:
    """What is wrong, one line each."""
    from rich.table import Table

    from anchored.cli.console import plain

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in ("run", "id", "problem", "detail"):
        table.add_column(header, overflow="fold", no_wrap=header in {"id", "problem"})
    for finding in found.findings[:SHOWN]:
        colour = "yellow" if finding.problem == "unsealed" else "red"
        table.add_row(
            plain(finding.name),
            plain(finding.run_id[:8]),
            f"[{colour}]{finding.problem}[/]",
            plain(finding.detail),
        )
    if (more := len(found.findings) - SHOWN) > 0:
        table.add_row(f"… and {more:,} more: --json lists all", "", "", "")
    return table


def summary(found: Audit) -> str:
    """What it came to, in one line."""
    if not found.runs:
        return "no runs yet: nothing to audit"
    looked = f"{found.objects:,} objects, {found.seconds:.1f} s"
    if not found.findings:
        what = f"all {found.runs:,} runs" if found.runs > 1 else "the one run"
        return f"[green]{what} can be reproduced[/] ({looked})"
    unsealed = sum(finding.problem == "unsealed" for finding in found.findings)
    never = f", {unsealed:,} never sealed" if unsealed else ""
    broken = found.runs - found.reproducible - unsealed
    colour = "green" if found.is_clean else "red"
    return (
        f"[{colour}]{found.reproducible:,} of {found.runs:,} runs can be reproduced[/], "
        f"{broken:,} broken{never} ({looked})"
    )
