"""Names that W&B takes, after the checks of its SDK (0.31)."""

from __future__ import annotations

import re

LONGEST = 128
_OF_A_URL = re.compile(r"[/\\#?%:\r\n]")


def trouble_with_project(name: str) -> str:
    """What W&B has against a project of this name; empty for none."""
    if len(name) > LONGEST:
        return f"a W&B project's name has at most {LONGEST} characters"
    if match := _OF_A_URL.search(name):
        return f"a W&B project's name has no {match[0]!r}"
    return ""


def artifact_name(run_id: str, file: str) -> str:
    """The name of a run's own artifact, as `wandb.Run.log_model` makes it of a file's name."""
    return _OF_A_URL.sub("-", f"run-{run_id}-{file}")[:LONGEST]
