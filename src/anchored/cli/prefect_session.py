"""Prefect as a command uses it: quiet, without heartbeats, on whatever server is configured."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from anchored.cli.console import steps_shown
from anchored.errors import AnchoredError, ServiceFailed

QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLI_COLORS": "false",
    # 20 s, the default, is too short for a first start on a loaded machine.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}


@contextmanager
def prefect_session() -> Iterator[None]:
    """Runs flows in this process, with their steps shown.

    Raises `ServiceFailed` where Prefect's own server is the trouble.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    from prefect.logging.handlers import APILogHandler
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

    # Joining the heartbeat's thread costs a second a flow run (Prefect 3.8.8), and nobody watches:
    # the terminal sees when this process dies.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}), steps_shown() as say:
        if not PREFECT_API_URL.value():
            say("no Prefect server is configured: starting one for this command, which takes ~10 s")
        try:
            yield
        except (AnchoredError, KeyboardInterrupt):
            raise
        except Exception as error:
            if _is_prefect_trouble(error):
                raise ServiceFailed(
                    f"the Prefect server does not answer: {error}",
                    hint="start it, or unset PREFECT_API_URL to run with a temporary one",
                ) from error
            raise
        finally:
            # Before a temporary server ends: what was still to be logged could not reach it.
            APILogHandler().flush()


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
