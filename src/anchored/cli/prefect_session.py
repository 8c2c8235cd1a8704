"""Prefect as a command uses it: quiet, without heartbeats, on whatever server is configured."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anchored.cli.console import steps_shown
from anchored.cli.temporary_prefect import temporary_key, use_temporary_server
from anchored.errors import AnchoredError, ServiceFailed

QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLI_COLORS": "false",
    # 20 s, the default, is too short for a first start on a loaded machine.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}


@contextmanager
def prefect_session(root: Path) -> Iterator[None]:
    """Runs flows in this process, with their steps shown.

    The server is the one that is configured, else that of the repo's local stack while it is up,
    else a temporary one. Raises `ServiceFailed` where Prefect's own server is the trouble.
    """
    settings, instead = _settings(root)
    from prefect.logging.handlers import APILogHandler
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    # Joining the heartbeat's thread costs a second a flow run (Prefect 3.8.8), and nobody watches:
    # the terminal sees when this process dies.
    settings[PREFECT_FLOWS_HEARTBEAT_FREQUENCY] = None
    with temporary_settings(settings), steps_shown() as say:
        if instead:
            use_temporary_server()
            say(f"{instead}: starting one for this command, which takes ~10 s")
        try:
            yield
        except (AnchoredError, KeyboardInterrupt):
            raise
        except Exception as error:
            if _is_refusal(error):
                raise ServiceFailed(
                    "the Prefect server refuses the user or password, or wants one",
                    hint="set PREFECT_API_AUTH_STRING to USER:PASSWORD, as the server has it; "
                    "the local stack's is in order again after `anchored up`",
                ) from error
            if _is_prefect_trouble(error):
                raise ServiceFailed(
                    f"the Prefect server does not answer: {error}",
                    hint="`anchored up` mends the local stack; a server of your own is the one "
                    "that PREFECT_API_URL names, and without it a temporary one is started",
                ) from error
            raise
        finally:
            # Before a temporary server ends: what was still to be logged could not reach it.
            APILogHandler().flush()


def mark_crashed(root: Path, flow_run_id: str) -> None:
    """Has a flow run called crashed whose process is gone; no server is started for that."""
    if not flow_run_id:
        return
    settings, instead = _settings(root)
    if instead:
        return
    from prefect.settings import temporary_settings

    from tasks.state_hooks import call_crashed

    with temporary_settings(settings):
        call_crashed([flow_run_id])


def _settings(root: Path) -> tuple[dict[Any, Any], str]:
    """What names the server to Prefect; else why a temporary one is needed."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_SERVER_API_AUTH_STRING

    from anchored.api.engine import server_settings

    settings, absence = server_settings(root)
    if settings is not None:
        return dict(settings), ""
    # A temporary one listens for as long as training takes, to whoever asks (Prefect 3.8.8).
    key = temporary_key()
    return {PREFECT_SERVER_API_AUTH_STRING: key, PREFECT_API_AUTH_STRING: key}, absence


def _is_refusal(error: BaseException) -> bool:
    import httpx

    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code in {401, 403}


def _is_prefect_trouble(error: BaseException) -> bool:
    import httpx

    return (
        isinstance(error, httpx.HTTPError)
        or "Failed to reach API" in str(error)
        or (
            "ephemeral" in str(error).lower()
            or "Timed out while attempting to connect" in str(error)
        )
    )
