"""A run's file stream: lines appended to named files, the heartbeat, and how the run ended."""

import json
from typing import Any

from tests.services.wandb_standin.documents import Unknown
from tests.services.wandb_standin.state import RUN_FILES, Run

# `uploaded` names files whose bytes came by PUT, and so are known already.
_PARTS = {"files", "complete", "exitcode", "uploaded"}


def taken(run: Run, body: dict[str, Any]) -> dict[str, Any]:
    """Do what one request says; an empty one is a heartbeat. Unknown for what is not known."""
    if unknown := body.keys() - _PARTS:
        raise Unknown(f"{sorted(unknown)} in a file stream")
    run.hear()
    for name, part in (body.get("files") or {}).items():
        offset, lines = part["offset"], part["content"]
        if name == "wandb-summary.json":
            run.summary = json.loads(lines[-1])
        elif name in RUN_FILES:
            run.lines[name][offset:] = lines
        else:
            raise Unknown(f"the file {name} in a file stream")
    if body.get("complete"):
        run.end("finished" if body["exitcode"] == 0 else "failed")
    return {}
