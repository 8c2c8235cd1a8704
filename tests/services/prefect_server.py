"""A Prefect API server on SQLite, with a home of its own that takes nothing from the user's."""

import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.services.environment import clean_env
from tests.services.loopback import answers, free_port
from tests.services.process import Server, start


@dataclass(frozen=True)
class PrefectServer:
    """`env` is what a client process adds to its environment to use this server and no other."""

    port: int
    home: Path
    process: Server
    auth_string: str = field(default="", repr=False)

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def database(self) -> Path:
        """The server's own database."""
        return self.home.parent / "server/prefect.db"

    @property
    def env(self) -> dict[str, str]:
        """PREFECT_* variables; the client's home is not the server's, as on another machine."""
        return {
            "PREFECT_API_URL": self.api_url,
            "PREFECT_HOME": str(self.home),
            # A client that lost the URL fails instead of starting a server of its own.
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            **({"PREFECT_API_AUTH_STRING": self.auth_string} if self.auth_string else {}),
        }


@contextmanager
def serve_prefect(
    root: Path, *, template: Path | None = None, auth_string: str = ""
) -> Iterator[PrefectServer]:
    """Serve the API, the UI and the scheduler from `root` until the end of the block.

    `auth_string` is USER:PASSWORD, where the server shall ask for one.
    `template` is an empty database with its migrations done, which take most of a first start;
    it is made by the first server that does not find it.
    """
    home, client_home, port = root / "server", root / "client", free_port()
    home.mkdir(parents=True)
    client_home.mkdir()
    database = home / "prefect.db"
    if template is not None and template.exists():
        shutil.copyfile(template, database)
    env = clean_env(
        root,
        PREFECT_HOME=str(home),
        PREFECT_API_DATABASE_CONNECTION_URL=f"sqlite+aiosqlite:///{database}",
        PREFECT_SERVER_API_HOST="127.0.0.1",
        PREFECT_SERVER_API_PORT=str(port),
        PREFECT_API_URL=f"http://127.0.0.1:{port}/api",
        # A run that a deployment's limit holds back looks again after 30 s otherwise.
        PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS="1",
        **({"PREFECT_SERVER_API_AUTH_STRING": auth_string} if auth_string else {}),
    )
    server = start(
        [sys.executable, "-m", "prefect", "server", "start"],
        cwd=root,
        env=env,
        log=root / "prefect.log",
        ready=lambda: answers(f"http://127.0.0.1:{port}/api/health"),
        timeout=180,
    )
    try:
        if template is not None and not template.exists():
            _copy_database(database, template)
        yield PrefectServer(port, client_home, server, auth_string)
    finally:
        server.stop()


def _copy_database(source: Path, target: Path) -> None:
    # By SQLite itself, for the server has it open; by a rename, for other workers may read it.
    part = target.with_name(f"{target.name}.{os.getpid()}")
    with closing(sqlite3.connect(source)) as reader, closing(sqlite3.connect(part)) as writer:
        reader.backup(writer)
    part.replace(target)
