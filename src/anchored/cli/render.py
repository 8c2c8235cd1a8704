"""Records as tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table

from anchored.cli.console import human_size, out, plain
from anchored.decisions.gate import Outcome, Retrained
from anchored.display.shown import shown_json
from anchored.ports import Advance, BranchOutcome
from anchored.records import ModelVersion, Reproduction, RunRecord

SHOWN = 12  # packages that differ
COLOURS = {
    "sealed": "green",
    "failed": "red",
    "running": "yellow",
    "trained": "yellow",
    "identical": "green",
    "equivalent": "green",
    "different": "red",
    "promoted": "green",
    "refused": "red",
}


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    text = shown_json(json.dumps(value, indent=2, ensure_ascii=False))
    try:
        sys.stdout.write(f"{text}\n")
    except UnicodeEncodeError:  # a terminal that knows no Unicode
        sys.stdout.write(json.dumps(value, indent=2) + "\n")


def lineage(run: RunRecord, *, whole: bool, branch: BranchOutcome | None = None) -> Table:
    """One run: commit, data, model, metrics, links; with `whole`, all that is known of it."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")

    def row(what: str, value: object) -> None:
        if value not in ("", None):
            table.add_row(what, plain(value))

    colour = COLOURS.get(str(run.state), "white")
    table.add_row("run", f"[bold]{plain(run.name)}[/]  [{colour}]{run.state}[/]")
    row("id", run.run_id)
    row("commit", run.git.commit)
    if whole:
        row("source commit", run.git.source_commit)
        row("branch", run.git.branch)
        row("run ref", run.git.ref)
        row("repository", run.git.repo_url)
    if branch is not None:
        row("branch", _said_of(run.git.branch, branch))
    for what, pointers in (("data", run.data), ("model", run.model)):
        for pointer in pointers:
            size = f"  {human_size(pointer.size)}" if pointer.size else ""
            row(what, f"{pointer.md5}  {pointer.path}{size}")
    for name, value in run.params.items():
        row("param", f"{name} = {value}")
    for name, number in run.metrics.items():
        row("metric", f"{name} = {number:.6g}")
    if whole:
        row("command", run.command)
        environment = run.environment
        row("environment", environment.get("md5", ""))
        row("python", environment.get("python", ""))
        row("platform", environment.get("platform", ""))
        row("started", run.started)
        row("ended", run.ended)
    row("reproduces", run.reproduces)
    row("verdict", run.verdict)
    row("tracker", run.tracker.place)
    row("flow run", run.prefect.url)
    return table


def promotion(run: RunRecord, version: ModelVersion) -> Table:
    """A run's model in the registry: version, aliases, what it was made of, how it is loaded."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    aliases = "".join(f"  @{alias}" for alias in version.aliases)
    facts = {
        "registered": f"{version.model} version {version.version}{aliases}",
        "run": f"{run.name}  {run.run_id}",
        "commit": run.git.commit,
        "model": f"{run.model[0].md5}  {run.model[0].path}",
        "page": version.url,
        "load": version.usage,
    }
    for what, value in facts.items():
        if value:
            table.add_row(what, plain(value))
    return table


def verdict(reproduction: Reproduction) -> Group:
    """What was compared with what was recorded, the verdict, and its causes."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in ("", "recorded", "reproduced", ""):
        table.add_column(header, overflow="fold")
    packages = [c.what for c in reproduction.checks if c.what.startswith("packages/")]
    for check in reproduction.checks:
        if check.what in packages[SHOWN:]:
            continue
        near = "[yellow]near enough[/]" if check.within else "[red]differs[/]"
        table.add_row(
            f"[cyan]{plain(check.what)}[/]",
            _value(check.recorded),
            _value(check.reproduced),
            "[green]equal[/]" if check.equal else near,
        )
    if (more := len(packages) - SHOWN) > 0:
        table.add_row(f"[dim]… and {more} more packages: --json lists all[/]")
    colour = COLOURS[str(reproduction.verdict)]
    lines = [f"[bold]{plain(reproduction.name)}[/] is [{colour}]{reproduction.verdict}[/]"]
    lines += [f"  {plain(cause)}" for cause in reproduction.causes]
    return Group(table, *lines)


def retrained(result: Retrained) -> Group:
    """What a retrain came to: the run, the gate's numbers, the model's version."""
    colour = COLOURS.get(str(result.outcome), "white")
    lines: list[RenderableType] = []
    if result.outcome != Outcome.SKIPPED:
        lines.append(lineage(result.run, whole=False))
    lines.append(f"[{colour}]{result.outcome}[/]: {plain(result.reason)}")
    if (version := result.version) is not None:
        aliases = " ".join(f"@{alias}" for alias in version.aliases)
        lines.append(f"  {plain(version.model)} version {version.version} {plain(aliases)}")
    if result.folder_behind:
        behind = plain(", ".join(result.folder_behind))
        lines.append(
            f"  [yellow]your folder has an earlier version of[/] {behind}:"
            " `dvc pull` or `anchored retrain --pull` brings the newest"
        )
    return Group(*lines)


def _value(value: str | float | None) -> str:
    return plain(f"{value:.10g}" if isinstance(value, float) else str(value or "-"))


def listing(runs: Iterable[RunRecord]) -> Table:
    """Runs, one a line."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in ("name", "id", "state", "started", "commit", "data", "model", "metrics"):
        table.add_column(header, overflow="fold")
    for run in runs:
        colour = COLOURS.get(str(run.state), "white")
        metrics = "  ".join(f"{k}={v:.4g}" for k, v in list(run.metrics.items())[:3])
        table.add_row(
            plain(run.name),
            plain(run.run_id[:8]),
            f"[{colour}]{run.state}[/]",
            run.started[:19].replace("T", " "),
            plain(run.git.commit[:8]),
            plain(run.data[0].md5[:8]) if run.data else "",
            plain(run.model[0].md5[:8]) if run.model else "",
            plain(metrics),
        )
    return table


def show(console: Console, table: RenderableType) -> None:
    """Prints a table; without a terminal, as wide as it wants to be."""
    if not console.is_terminal:
        console = out(width=500)
    console.print(table)


def _said_of(name: str, branch: BranchOutcome) -> str:
    if branch.advance == Advance.FORWARDED:
        return f"{name} fast-forwarded to {branch.commit[:12]}"
    if branch.advance == Advance.MERGED:
        return f"{name} had moved; the run was merged as {branch.commit[:12]}"
    return f"left where it is: {branch.reason}"
