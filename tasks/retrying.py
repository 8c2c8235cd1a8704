"""When a step is tried again: transient failures of a remote or tracker, nothing else."""

from __future__ import annotations

from typing import Any, TypedDict

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff

from anchored.system.retry_policy import FIRST_DELAY, JITTER, RETRIES, may_succeed


class Once(TypedDict):
    """Options of a task that has side effects: its result is no stand-in for doing it."""

    cache_policy: Any
    persist_result: bool


class Retried(Once):
    """Options of a task that talks to a remote, a Git server or a tracker."""

    retries: int
    retry_delay_seconds: Any
    retry_jitter_factor: float
    retry_condition_fn: Any


def is_transient(_task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed try may succeed when repeated."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and may_succeed(error, run.run_count)


ONCE = Once(cache_policy=NO_CACHE, persist_result=False)
RETRIED = Retried(
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=RETRIES,
    retry_delay_seconds=exponential_backoff(backoff_factor=FIRST_DELAY),
    retry_jitter_factor=JITTER,
    retry_condition_fn=is_transient,
)
