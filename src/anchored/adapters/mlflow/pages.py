"""MLflow's pages on a tracker's database, served on loopback by one process.

`mlflow server` is two of them: one imports everything, starts the other and waits, which costs
220 MB (seen with MLflow 3.17.2). The names that it hands on are the ones below.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from anchored.adapters.mlflow.place import make_database
from anchored.decisions.page_requests import names_of
from anchored.ports import PageServer
from anchored.system.file_lock import locked
from anchored.system.own_pages import OwnPages

GRACE = 3  # seconds that open connections get when it is to stop
ADDRESS = (
    "ANCHORED_TRACKER_URI"  # in the environment: `ps` shows arguments, and it may hold a password
)
SETTINGS = {
    # Nothing here would do the jobs that MLflow's pages offer then.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # Old runs in a folder are for looking at, too: MLflow 3.17 refuses them without this.
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "false",
}
# It runs commands and changes files for whoever reaches the port (MLflow 3.17), without a login.
ASSISTANT = "/ajax-api/3.0/mlflow/assistant"


def page_server(uri: str, *, artifacts: str, lock: Path) -> PageServer:
    """How this module is started, so that it calls `serve`."""
    return PageServer(__name__, (artifacts, str(lock)), SETTINGS | {ADDRESS: uri})


def serve(uri: str, port: int, *, artifacts: str, lock: Path) -> None:
    """Serves the database's runs until it is stopped.

    `artifacts` is where experiments made on the pages keep their files, a URI: MLflow's default is
    one that only clients of a server understand. `lock` is the tracker's, for the migrations.
    """
    import uvicorn

    # Its own check takes every name that begins like a private network's, and trusts the pages of
    # all ports of this machine (MLflow 3.17.2): `OwnPages` does not.
    names = names_of(port)
    os.environ["MLFLOW_SERVER_ALLOWED_HOSTS"] = ",".join(names)
    os.environ["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] = ",".join(f"http://{name}" for name in names)
    from mlflow import server
    from mlflow.server.handlers import initialize_backend_stores

    os.environ[server.BACKEND_STORE_URI_ENV_VAR] = uri
    os.environ[server.REGISTRY_STORE_URI_ENV_VAR] = uri
    os.environ[server.ARTIFACT_ROOT_ENV_VAR] = artifacts
    with locked(lock):
        make_database(uri)
        initialize_backend_stores(uri, uri, artifacts)
    from mlflow.server.fastapi_app import app

    uvicorn.run(
        OwnPages(app, port, closed=[ASSISTANT]),
        host="127.0.0.1",
        port=port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=GRACE,
    )


if __name__ == "__main__":
    serve(os.environ.pop(ADDRESS), int(sys.argv[1]), artifacts=sys.argv[2], lock=Path(sys.argv[3]))
