"""An MLflow tracking server on SQLite that also serves the artifacts, as a small team runs it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.environment import clean_env
from tests.services.loopback import answers, free_port
from tests.services.process import Server, start


@dataclass(frozen=True)
class MlflowServer:
    """`url` is what clients take as tracking URI; `artifacts` is where the server keeps files."""

    port: int
    artifacts: Path
    database: Path
    process: Server

    @property
    def url(self) -> str:
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """The tracking URI by way of a proxy that listens on `port`."""
        return f"http://127.0.0.1:{port}"


@contextmanager
def serve_mlflow(root: Path) -> Iterator[MlflowServer]:
    """Serve runs and artifacts from `root` until the end of the block."""
    artifacts, database, port = root / "artifacts", root / "mlflow.db", free_port()
    artifacts.mkdir(parents=True)
    server = start(
        [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
            *("--port", str(port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{database}"),
            *("--artifacts-destination", str(artifacts)),
        ],
        cwd=root,
        # Job execution doubles the memory and starts processes of its own.
        env=clean_env(root, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"),
        log=root / "mlflow.log",
        ready=lambda: answers(f"http://127.0.0.1:{port}/health"),
        timeout=120,
    )
    try:
        yield MlflowServer(port, artifacts, database, server)
    finally:
        server.stop()
