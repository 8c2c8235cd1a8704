"""Fixtures of the real services, loaded by `pytest_plugins = ["tests.services.fixtures"]`.

A service starts with the first test that asks for it, once per session (and so once per
pytest-xdist worker), and ends with the session, its folder removed. Tests share it: they make
repositories, buckets and experiments of their own, and take a server down only by
`with server.process.down():`.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.services import require
from tests.services.browser import new_page, open_browser
from tests.services.git_http import GitHttpServer, serve_git_over_http
from tests.services.git_server import GitServer, serve_git
from tests.services.mlflow_server import MlflowServer, serve_mlflow
from tests.services.prefect_server import PrefectServer, serve_prefect
from tests.services.prefect_worker import asked
from tests.services.proxy import Proxy, cutting_proxy
from tests.services.s3 import S3Server, serve_s3
from tests.services.sshd import SshServer, serve_ssh
from tests.services.wandb_standin import WandbStandin, serve_wandb_standin


@contextmanager
def _folder(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    root = factory.mktemp(name)
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """A `git daemon` that accepts pushes."""
    with _folder(tmp_path_factory, "git") as root, require(), serve_git(root) as server:
        yield server


@pytest.fixture(scope="session")
def git_http_server(git_server: GitServer) -> Iterator[GitHttpServer]:
    """The repositories of the `git daemon` over HTTP, for whoever knows the password."""
    with serve_git_over_http(git_server.base, git_server.env) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """SeaweedFS, which checks signatures."""
    with _folder(tmp_path_factory, "s3") as root, require(), serve_s3(root) as server:
        yield server


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """OpenSSH with SFTP, for one key."""
    with _folder(tmp_path_factory, "ssh") as root, require(), serve_ssh(root) as server:
        yield server


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """An MLflow tracking server that serves artifacts."""
    with _folder(tmp_path_factory, "mlflow") as root, require(), serve_mlflow(root) as server:
        yield server


@pytest.fixture(scope="session")
def wandb_standin() -> Iterator[WandbStandin]:
    """A stand-in for the W&B server, for lack of one that can run here; `down()` is its own."""
    with serve_wandb_standin() as server:
        yield server


@pytest.fixture(scope="session")
def prefect_server(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[PrefectServer]:
    """A Prefect API server; a test sets `env` for itself and for the processes it starts."""
    template = prefect_template(request.config)
    with (
        _folder(tmp_path_factory, "prefect") as root,
        require(),
        serve_prefect(root, template=template) as server,
    ):
        yield server


def prefect_template(config: pytest.Config) -> Path | None:
    """Where pytest's cache, if it is on, keeps the migrated database of this Prefect's version."""
    if not config.pluginmanager.hasplugin("cacheprovider"):
        return None
    return config.cache.mkdir("anchored-services") / f"prefect-{version('prefect')}.db"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium; not for the session: while it is open, no test can run an event loop of its own."""
    with _folder(tmp_path_factory, "browser") as root, require(), open_browser(root) as chromium:
        yield chromium


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that knows of no other."""
    with new_page(browser) as page:
        yield page


@pytest.fixture
def proxy() -> Iterator[Callable[[int], Proxy]]:
    """`proxy(port)` makes a proxy in front of a loopback port; it ends with the test."""
    with ExitStack() as proxies:
        yield lambda port: proxies.enter_context(cutting_proxy(port))


@pytest.fixture
def api(prefect_server: PrefectServer) -> Callable[..., Any]:
    """`api(path, **filter)` posts to Prefect's own API and returns the answer."""

    def post(path: str, **body: Any) -> Any:
        return asked(f"{prefect_server.api_url}/{path}", body)

    return post
