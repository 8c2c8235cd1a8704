"""MLflow's errors, and those of the HTTP client below it, as ours."""

from __future__ import annotations

from anchored.decisions.redaction import redact
from anchored.errors import TrackerFailed, UnknownRun

TRANSIENT = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "ABORTED"}
REFUSALS = {"UNAUTHENTICATED": 401, "CUSTOMER_UNAUTHORIZED": 401, "PERMISSION_DENIED": 403}


def failure(error: Exception, uri: str, run_id: str) -> Exception:
    """What is to be said where a call to MLflow, about a run if an id is given, failed."""
    code = getattr(error, "error_code", "")
    if code == "RESOURCE_DOES_NOT_EXIST" and run_id:
        return UnknownRun(f"MLflow at {uri} has no run {run_id}")
    if "Current state is deleted" in str(error) and run_id:
        return UnknownRun(f"MLflow at {uri} has deleted the run {run_id}")
    if (refusal := _refused(error, uri)) is not None:
        return refusal
    said = redact(" ".join(str(error).split()))[:500]
    transient = not code or code in TRANSIENT
    return TrackerFailed(
        f"MLflow at {uri}: {said}",
        transient=transient,
        silent="timed out" in said.lower(),
        hint="see that the tracking server runs and that tracker.uri in anchored.toml is right",
    )


def _refused(error: Exception, uri: str) -> TrackerFailed | None:
    """What is to be said where the server knows the user not, or grants too little; else None."""
    # Artifacts come over plain HTTP, whose errors are not MLflow's.
    answer = getattr(getattr(error, "response", None), "status_code", None)
    status = REFUSALS.get(getattr(error, "error_code", ""), answer)
    if status == 401:
        return TrackerFailed(
            f"MLflow at {uri} refuses the user or password, or wants one",
            transient=False,
            hint="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        )
    if status == 403:
        return TrackerFailed(
            f"MLflow at {uri} does not permit it to this user",
            transient=False,
            hint="its administrator grants EDIT on the experiment; see docs/operating.md",
        )
    return None


ABSENT = (
    "no such", "not found", "embedded null byte", "could not find a registered artifact repository",
    "file name too long", "invalid ipv6 url",
)  # fmt: skip


def is_absent(error: Exception) -> bool:
    """Whether a call failed since there is no such thing, or no such place.

    A run's artifacts may be at an address of no scheme that MLflow knows, or at none at all.
    """
    text = str(error).lower()
    code = getattr(error, "error_code", "")
    return code == "RESOURCE_DOES_NOT_EXIST" or any(words in text for words in ABSENT)
