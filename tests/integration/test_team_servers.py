"""Against a team's servers, which ask who is there: all works, and no password is left anywhere."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator

import pytest

from tests.repos import Repo, result_of
from tests.services.fixtures import prefect_template
from tests.services.mlflow_server import MlflowServer, serve_mlflow
from tests.services.prefect_server import PrefectServer, serve_prefect

TALKATIVE = "import os\nfor item in sorted(os.environ.items()):\n    print(*item)\n"


@pytest.fixture
def team(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[MlflowServer, PrefectServer]]:
    """Both servers with basic authentication."""
    root, template = tmp_path_factory.mktemp("team"), prefect_template(request.config)
    password = f"team:{secrets.token_urlsafe(24)}"
    with (
        serve_mlflow(root / "mlflow", basic_auth=True) as mlflow,
        serve_prefect(root / "prefect", template=template, auth_string=password) as prefect,
    ):
        yield mlflow, prefect


def test_a_team_runs_and_reproduces_and_leaves_no_password(
    repo: Repo, team: tuple[MlflowServer, PrefectServer]
) -> None:
    mlflow, prefect = team
    env = {**mlflow.credentials, **prefect.env}
    repo.script(TALKATIVE + (repo.root / "train.py").read_text())
    repo.configure('experiment = "sums"', f'experiment = "sums"\ntracker.uri = "{mlflow.url}"')
    done = repo.anchored_started("run", "one", **env)
    assert done.returncode == 0, done.stderr
    assert "MLFLOW_TRACKING_PASSWORD ***" in done.stderr, "training was not given the password"
    again = repo.anchored("reproduce", "one", **env)
    assert (again.returncode, "one is identical" in again.stdout) == (0, True), again.stderr
    audit = result_of(repo.anchored("audit", "--json", **env))
    assert (audit["runs"], audit["reproducible"], audit["findings"]) == (1, 1, [])

    user, password = mlflow.credentials.values()
    told = {
        password,
        base64.b64encode(f"{user}:{password}".encode()).decode(),
        prefect.auth_string.partition(":")[2],
        base64.b64encode(prefect.auth_string.encode()).decode(),
    }
    files = [f for folder in (mlflow.artifacts, repo.root.parent) for f in folder.rglob("*")]
    databases = [*mlflow.database.parent.glob("mlflow.*"), *prefect.home.parent.rglob("*.*")]
    texts = {str(f): f.read_bytes() for f in (*files, *databases) if f.is_file()}
    assert any(name.endswith("train.log") for name in texts)
    assert any(b"total is 4950" in text for name, text in texts.items() if "prefect.db" in name)
    texts["git"] = repo.git("log", "--all", "--patch").encode()
    texts["output"] = (done.stdout + done.stderr + again.stdout + again.stderr).encode()
    assert [name for name, text in texts.items() if any(s.encode() in text for s in told)] == []

    a_wrong_password_is_told_at_once(repo, env, "MLflow", "MLFLOW_TRACKING_PASSWORD")
    a_wrong_password_is_told_at_once(repo, env, "Prefect", "PREFECT_API_AUTH_STRING")


def a_wrong_password_is_told_at_once(
    repo: Repo, env: dict[str, str], server: str, variable: str
) -> None:
    done = repo.anchored("run", "two", **env | {variable: "ada:not-the-password"})
    assert done.returncode == 3, done.stderr
    error, hint = done.stderr.splitlines()
    assert server in error
    assert "refuses the user or password" in error
    assert variable in hint
    assert "not-the-password" not in done.stderr
