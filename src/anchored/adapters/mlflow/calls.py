"""How long MLflow's client waits, and how often it asks again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# MLflow's own waits (7 tries, 120 s each) would keep a run hanging for minutes: Prefect retries.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # MLflow 3.17 prints where a server shows the run that has ended, amid what we print.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
# What creates is asked for once, whatever the user has set: an answer that was lost may mean that
# it is there, and whoever repeats the question has two of it.
ONCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


@contextmanager
def patience(wanted: Mapping[str, str]) -> Iterator[None]:
    """Settings of MLflow's for the block, as far as the user has none."""
    with _set({key: value for key, value in wanted.items() if key not in os.environ}):
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
