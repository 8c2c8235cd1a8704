"""The local stack as tables for people."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from shlex import quote

from rich.table import Table

from anchored.cli.console import human_size, plain
from anchored.stack.status import Standing
from anchored.workspace.repos import named_by

DAYS = ("Sundays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays")
_CRON = re.compile(r"(?P<minute>\d+) (?P<hour>\d+) \* \* (?:\*|(?P<day>[0-7])) (?P<zone>\S+)")


def command(name: str, repo: str | None) -> str:
    """What to type for a command on the same repository; `repo` is what the user named it by."""
    return f"anchored {name} --repo {quote(named_by(repo))}" if repo else f"anchored {name}"


def places(stack: Standing, here: str, repo: str | None) -> Table:
    """Where to look, what can be triggered by name, where things lie, and how it ends."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    rows = {
        "Prefect": stack.prefect,
        "to log in": _login(stack, here),
        stack.title or "tracker": stack.tracker,
        "to see runs": stack.hint,
        "deployments": "  ".join(stack.deployments),
        "by itself": _scheduled(stack.deployments),
        "data": _seen_from(here, str(stack.folder)),
        "logs": _seen_from(here, str(stack.logs)),
        "to stop it": command("down", repo),
    }
    for what, value in rows.items():
        if value:
            table.add_row(what, plain(value))
    return table


def processes(stack: Standing) -> Table:
    """What runs, since when, how large it is, and whether it answers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in ("", "state", "pid", "since", "memory"):
        table.add_column(header)
    for name, part in stack.parts.items():
        if part is None:
            table.add_row(name, "[red]down[/]")
            continue
        state = "[green]up[/]" if part.answers else "[yellow]does not answer[/]"
        since = part.since[:19].replace("T", " ") + " UTC"
        table.add_row(name, state, str(part.pid), since, human_size(part.memory))
    table.add_row("in all", "", "", "", human_size(stack.memory))
    return table


def _login(stack: Standing, here: str) -> str:
    """How a browser is let in; not the key itself, which a terminal's log would keep."""
    if stack.key is None:
        return ""
    file = quote(_seen_from(here, str(stack.key)))
    return f"`cat {file}` prints what Prefect asks for, once in each browser"


def _scheduled(deployments: Mapping[str, Sequence[str]]) -> str:
    """What runs without being asked for, and when; empty where nothing does."""
    kept = [f"{name} {in_words(when)}" for name, whens in deployments.items() for when in whens]
    return f"{', '.join(kept)}; pause them in Prefect's UI" if kept else ""


def in_words(when: str) -> str:
    """A schedule `CRON TIMEZONE` for people, as far as it is once a day or once a week."""
    match = _CRON.fullmatch(when)
    if match is None:
        return f"({when})"
    day = DAYS[int(match["day"]) % 7] if match["day"] else "daily"
    zone = match["zone"].removeprefix("Etc/")
    return f"{day} at {int(match['hour']):02}:{int(match['minute']):02} {zone}"


def _seen_from(here: str, path: str) -> str:
    """The path as short as it can be typed here."""
    return min(path, os.path.relpath(path, here), key=len)
