"""Errors of the W&B SDK, and of the HTTP client below it, as ours."""

from __future__ import annotations

from anchored.decisions.redaction import redact
from anchored.errors import AnchoredError, DiskFull, TrackerFailed


def failure(error: Exception, place: str) -> AnchoredError:
    """What is to be said where a call to W&B failed."""
    if DiskFull.is_meant_by(error):
        return DiskFull(str(error))
    said = redact(" ".join(str(error).split()))[:500]
    return TrackerFailed(f"W&B at {place}: {said or type(error).__name__}")
