"""Where people see a tracker's runs, and browsers their pictures: known without asking anybody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from anchored.adapters.mlflow.place import make_database, resolved
from anchored.adapters.mlflow.tracker import MlflowTracker
from anchored.adapters.wandb.offline import OfflineRuns
from anchored.adapters.wandb.online import OnlineRuns
from anchored.adapters.wandb.tracker import WandbTracker
from anchored.ports import Pages

PICTURE = ("1a", "plots/a b.png")


def mlflow(uri: str, page: str = "") -> MlflowTracker:
    root = Path("/repo")
    return MlflowTracker(uri, experiment="sums", root=root, lock=root / "lock", page=page)


def test_mlflow_s_server_has_pages_and_a_database_may_get_some() -> None:
    server = mlflow("https://ada:pw@host/mlflow/")
    assert server.pages().url == "https://host/mlflow"
    address = "https://host/mlflow/get-artifact?path=plots%2Fa+b.png&run_uuid=1a"
    assert server.picture_url(*PICTURE) == address

    database = mlflow("postgresql://ada:pw@host/runs")
    pages = database.pages()
    assert (pages.url, database.picture_url(*PICTURE)) == ("", "")
    assert pages.server is not None
    assert not any("pw" in argument for argument in pages.server.arguments)
    assert "pw" not in repr(pages)
    shown = mlflow("sqlite:///mlflow.db", page="http://127.0.0.1:5000")
    assert shown.picture_url(*PICTURE).startswith("http://127.0.0.1:5000/get-artifact?")


def test_w_and_b_offline_is_a_folder_that_a_command_shows() -> None:
    tracker = WandbTracker(OfflineRuns(Path("/a b"), project="sums"))
    pages = tracker.pages()
    assert (pages.url, pages.server) == ("file:///a%20b/wandb", None)
    assert pages.hint.startswith("wandb leet '/a b/wandb'")
    assert tracker.picture_url(*PICTURE) == ""


def test_w_and_b_online_is_the_page_of_the_project() -> None:
    def at(server: str, entity: str) -> WandbTracker:
        return WandbTracker(OnlineRuns(server, project="sea level", entity=entity))

    tracker = at("https://key:pw@wandb.example.org", "team")
    assert tracker.pages() == Pages("https://wandb.example.org/team/sea%20level")
    assert tracker.picture_url(*PICTURE) == "", "for users of W&B alone"
    assert at("https://wandb.example.org", "").pages() == Pages("https://wandb.example.org")
    assert at("https://api.wandb.ai", "team").pages().url.endswith("/team/sea%20level")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o640), (0o002, 0o660), (0o077, 0o600)])
def test_a_database_that_we_make_is_not_for_everybody(
    tmp_path: Path, umask: int, mode: int
) -> None:
    uri = resolved("sqlite:///mlflow.db", tmp_path)
    before = os.umask(umask)
    try:
        make_database(uri)
    finally:
        os.umask(before)
    file = tmp_path / "mlflow.db"
    assert file.stat().st_mode & 0o777 == mode
    file.write_bytes(b"mine")
    make_database(uri)
    make_database("https://mlflow.example.org")
    make_database(f"sqlite:///{tmp_path}/nowhere/mlflow.db")
    assert file.read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
