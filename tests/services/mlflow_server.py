"""An MLflow tracking server on SQLite that also serves the artifacts, as a small team runs it."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.services.environment import clean_env
from tests.services.loopback import answers, free_port
from tests.services.process import Server, start


@dataclass(frozen=True)
class MlflowServer:
    """`url` is what clients take as tracking URI; `artifacts` is where the server keeps files.

    `credentials` are variables for a client, where the server asks for a user.
    """

    port: int
    artifacts: Path
    database: Path
    process: Server
    credentials: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """The tracking URI by way of a proxy that listens on `port`."""
        return f"http://127.0.0.1:{port}"


@contextmanager
def serve_mlflow(root: Path, *, basic_auth: bool = False) -> Iterator[MlflowServer]:
    """Serve runs and artifacts from `root` until the end of the block, to known users if asked."""
    artifacts, database, port = root / "artifacts", root / "mlflow.db", free_port()
    artifacts.mkdir(parents=True)
    credentials, own = _users(root) if basic_auth else ({}, {})
    server = start(
        [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
            *("--port", str(port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{database}"),
            *("--artifacts-destination", str(artifacts)),
            *(("--app-name", "basic-auth") if basic_auth else ()),
        ],
        cwd=root,
        # Job execution doubles the memory and starts processes of its own.
        env=clean_env(root, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", **own),
        log=root / "mlflow.log",
        ready=lambda: answers(f"http://127.0.0.1:{port}/health"),
        timeout=120,
    )
    try:
        yield MlflowServer(port, artifacts, database, server, credentials)
    finally:
        server.stop()


def _users(root: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Variables of a client and of a server that knows one user, as docs/operating.md sets it up."""
    password = secrets.token_urlsafe(24)
    (root / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = EDIT\ndatabase_uri = sqlite:///{root}/auth.db\n"
        # Without it every request costs the hashing of a password, a tenth of a second and more.
        "auth_cache_ttl_seconds = 300\n"
    )
    server = {
        "MLFLOW_AUTH_CONFIG_PATH": str(root / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_USERNAME": "ada",
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(24),
    }
    return {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": password}, server
