"""Errors of the W&B SDK, and of the HTTP client below it, as ours."""

from __future__ import annotations

import re

from anchored.decisions.redaction import redact
from anchored.errors import AnchoredError, DiskFull, TrackerFailed

# Words of wandb 0.31's own errors and of its service's, which has all of HTTP in its hands.
_NO_LOGIN = re.compile(r"(?i)not logged in|error 401|\b401\b|no API key|api key.{0,20}invalid")
_FORBIDDEN = re.compile(r"(?i)permission denied|forbidden|\b403\b")
_NO_ENTITY = re.compile(r"(?i)entity (\S+) not found")
_SILENT = re.compile(r"(?i)did not respond in time|deadline exceeded|timed? ?out")


def failure(error: Exception, place: str) -> AnchoredError:
    """What is to be said where a call to W&B failed."""
    if DiskFull.is_meant_by(error):
        return DiskFull(str(error))
    said = redact(" ".join(str(error).split()))[:500] or type(error).__name__
    if _NO_LOGIN.search(said):
        return TrackerFailed(
            f"W&B at {place} refuses the API key, or wants one",
            transient=False,
            hint='run `wandb login`, or set WANDB_API_KEY; mode = "offline" needs none',
        )
    if _FORBIDDEN.search(said):
        return TrackerFailed(
            f"W&B at {place} does not permit it to this user: {said}",
            transient=False,
            hint="see tracker.entity in anchored.toml, and who may write to its projects",
        )
    if match := _NO_ENTITY.search(said):
        return TrackerFailed(
            f"W&B at {place} knows no entity {match[1]}",
            transient=False,
            hint="see tracker.entity in anchored.toml, and WANDB_ENTITY",
        )
    if "did not respond in time" in said:  # it says that the service is busy; the server is silent
        said = "no answer"
    return TrackerFailed(
        f"W&B at {place}: {said}",
        silent=bool(_SILENT.search(str(error))),
        hint="see that the server can be reached; anchored can record offline: WANDB_MODE=offline",
    )
