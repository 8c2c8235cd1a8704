"""Flows run in this process: by the Prefect server that there is, or without Prefect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import Flow
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_KEY,
    PREFECT_API_URL,
    PREFECT_CLIENT_CUSTOM_HEADERS,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    temporary_settings,
)

from anchored.errors import NotReady
from anchored.stack.record import PREFECT, read_key, read_stack
from anchored.system.sockets import answers
from tasks.state_hooks import call_crashed
from tasks.step import without_prefect

P = ParamSpec("P")
R = TypeVar("R")

# Joining the heartbeat's thread costs a second a flow run (Prefect 3.8.8), and nobody watches:
# whoever called sees when this process dies.
NO_HEARTBEAT = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}


class Engine:
    """Calls flows for the repo at `root`.

    With `prefect` None, Prefect hears of them where a server is configured or the local stack is
    up; with True it has to be so; with False it never does.
    """

    def __init__(self, root: Path, *, prefect: bool | None) -> None:
        self._root, self._prefect = root, prefect

    def call(self, flow: Flow[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What the flow returns. Raises `NotReady` where Prefect is asked for in vain."""
        with self._session() as heard:
            return flow(*args, **kwargs) if heard else flow.fn(*args, **kwargs)

    def mark_crashed(self, flow_run_id: str) -> None:
        """Has a flow run called crashed whose process is gone, where a server is heard."""
        with self._session() as heard:
            if heard:
                call_crashed([flow_run_id])

    @contextmanager
    def _session(self) -> Iterator[bool]:
        """Whether Prefect hears of what happens in the block."""
        settings, absence = (None, "") if self._prefect is False else server_settings(self._root)
        if settings is not None:
            with temporary_settings({**settings, **NO_HEARTBEAT}):
                yield True
            return
        if self._prefect:
            raise NotReady(
                f"{absence}, and it was asked for",
                hint="`anchored up` starts one, and PREFECT_API_URL names one; "
                "prefect=False does without",
            )
        with without_prefect():
            yield False


def server_settings(root: Path) -> tuple[Mapping[Any, Any] | None, str]:
    """Prefect settings that name the server for the repo at `root`; None and why, without one.

    They are empty where Prefect itself is configured.
    """
    if PREFECT_API_URL.value():
        return {}, ""
    stack, absence = _of_stack(root)
    if absence:
        return None, absence
    # The stack's own key, and nothing that was meant for another server.
    return {
        PREFECT_API_URL: stack,
        PREFECT_API_AUTH_STRING: read_key(root) or None,
        PREFECT_API_KEY: None,
        PREFECT_CLIENT_CUSTOM_HEADERS: {},
    }, ""


def _of_stack(root: Path) -> tuple[str, str]:
    """The API of the repo's local stack if it answers; else why another server is needed."""
    record = read_stack(root)
    if PREFECT not in record.processes:
        return "", "no Prefect server is configured"
    if not record.runs(PREFECT):
        return "", "the local stack's Prefect server has ended"
    if not answers(f"{record.url(PREFECT)}/api/health"):
        return "", "the local stack's Prefect server does not answer"
    return f"{record.url(PREFECT)}/api", ""
