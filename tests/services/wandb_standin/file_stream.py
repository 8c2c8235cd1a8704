"""A run's file stream: lines appended to named files, the heartbeat, and how the run ended."""

import json
from typing import Any

from tests.services.wandb_standin.state import RUN_FILES, Run


def taken(run: Run, body: dict[str, Any]) -> dict[str, Any]:
    """Do what one request says; an empty one is a heartbeat."""
    run.hear()
    for name, part in body.get("files", {}).items():
        offset, lines = part["offset"], part["content"]
        if name == "wandb-summary.json":
            run.summary = json.loads(lines[-1])
        elif name in RUN_FILES:
            run.lines[name][offset:] = lines
        else:
            raise ValueError(f"a stream into {name}")
    if body.get("complete"):
        run.end("finished" if body.get("exitcode", 0) == 0 else "failed")
    return {}
