"""A step of a flow: a Prefect task, or outside of a flow run a plain call with the same retries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, ParamSpec, TypeVar

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext
from prefect.tasks import Task, exponential_backoff
from prefect.utilities.annotations import BaseAnnotation

from anchored.system.retry_policy import FIRST_DELAY, JITTER, RETRIES, may_succeed, with_retries
from tasks.reporting import report_step

P = ParamSpec("P")
R = TypeVar("R")


class Step(Task[P, R]):
    """A task whose result is never cached: it has side effects, and a result does not replace them.

    Outside of a flow run it is its function, which Prefect then hears nothing of.
    """

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:  # type: ignore[override]
        """What the function returns. A step that is `retried` is tried again in both cases."""
        if in_flow_run():
            return super().__call__(*args, **kwargs)
        report_step(str(self.task_run_name))
        given = {name: _plain(value) for name, value in kwargs.items()}
        work = partial(self.fn, *map(_plain, args), **given)
        return with_retries(work) if self.retries else work()


def step(name: str, *, title: str, retried: bool = True) -> Callable[[Callable[P, R]], Step[P, R]]:
    """Makes a function a step; `title` is the name of its runs.

    With `retried`, it is tried again where a remote, a Git server or a tracker failed for the
    moment, and nowhere else.
    """
    retries: dict[str, Any] = {}
    if retried:
        retries = {
            "retries": RETRIES,
            "retry_delay_seconds": exponential_backoff(backoff_factor=FIRST_DELAY),
            "retry_jitter_factor": JITTER,
            "retry_condition_fn": _is_transient,
        }

    def made(work: Callable[P, R]) -> Step[P, R]:
        return Step(
            work,
            name=name,
            task_run_name=title,
            cache_policy=NO_CACHE,
            persist_result=False,
            **retries,
        )

    return made


_PLAIN: ContextVar[bool] = ContextVar("plain", default=False)


@contextmanager
def without_prefect() -> Iterator[None]:
    """Makes steps plain calls, even where a flow run of somebody else's is under way."""
    token = _PLAIN.set(True)
    try:
        yield
    finally:
        _PLAIN.reset(token)


def in_flow_run() -> bool:
    """Whether steps are tasks of a flow run that is under way here."""
    return FlowRunContext.get() is not None and not _PLAIN.get()


def _is_transient(_task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed try may succeed when repeated."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and may_succeed(error, run.run_count)


def _plain(value: Any) -> Any:
    return value.unwrap() if isinstance(value, BaseAnnotation) else value
