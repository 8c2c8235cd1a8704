"""Prefect's temporary server, as a process that a signal at the terminal leaves alone.

Prefect 3.8.8 starts it in the terminal's foreground group. Ctrl-C then ends it before us, who still
have to report to it, and it outlives us where we are killed. This one has a session of its own, and
ends when we do.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cache
from typing import Any

from anchored.stack.record import new_key
from anchored.system.lifeline import end_with_parent

SERVER = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
TAIL = 2_000  # characters of its log, should it not start


@cache
def temporary_key() -> str:
    """The server's key: one a process, as Prefect keeps the server between commands."""
    return new_key()


def use_temporary_server() -> None:
    """Makes Prefect's temporary server of this process be one of ours; starts nothing yet."""
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import get_current_settings

    class TemporaryServer(SubprocessASGIServer):
        """As Prefect's own, but for how it is started, and where its log goes."""

        def start(self, timeout: int | None = None) -> None:
            self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the server
            try:
                super().start(timeout)
            except RuntimeError as error:
                self._log.seek(0)
                said = self._log.read().decode(errors="replace").strip()
                raise RuntimeError(f"{error} {said[-TAIL:]}") from error

        def _run_uvicorn_command(self) -> subprocess.Popen[Any]:
            settings = get_current_settings().to_environment_variables(exclude_unset=True)
            return subprocess.Popen(
                [sys.executable, "-m", __name__, str(self.port)],
                env={**os.environ, **SERVER, **settings},
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
            )

    # By the port, which is yet to be found, Prefect looks for the one of this process.
    SubprocessASGIServer._instances.setdefault(None, TemporaryServer())  # noqa: SLF001


if __name__ == "__main__":
    end_with_parent()
    import uvicorn

    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="error",
        lifespan="on",
    )
