"""How long MLflow's client waits, and how often it asks again: variables that it reads itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

TIMEOUTS = {
    # MLflow's own (7 tries, 120 s each) would keep a run hanging for minutes: Prefect retries.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
# Seconds: a server may send what it gets on to a store of its own before it answers.
UPLOADING = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "300"}
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # MLflow 3.17 prints where a server shows the run that has ended, amid what we print.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
# What creates is asked for once, whatever the user has set: after an answer that was lost it may
# exist, and whoever repeats the question has two of it.
ONCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


@contextmanager
def unless_set(defaults: Mapping[str, str]) -> Iterator[None]:
    """Gives MLflow these settings for the block; those that the user has set stay."""
    with _set({key: value for key, value in defaults.items() if key not in os.environ}):
        yield


@contextmanager
def once() -> Iterator[None]:
    """Nothing in the block is asked for twice."""
    with _set(ONCE):
        yield


@contextmanager
def _set(variables: Mapping[str, str]) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
