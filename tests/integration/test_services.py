"""Every service that other tests rely on is the real thing, and survives what it should."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.services.dvc_remote import run_dvc
from tests.services.git_server import GitServer
from tests.services.loopback import listens
from tests.services.mlflow_server import MlflowServer
from tests.services.prefect_server import PrefectServer
from tests.services.proxy import Proxy
from tests.services.s3 import S3Server
from tests.services.sshd import SshServer


@pytest.fixture
def dvc_repo(tmp_path: Path) -> Path:
    """A Git and DVC repository with one file of 2 MB under DVC."""
    path = tmp_path / "repo"
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(path))
    run_dvc(path, "init", "--quiet")
    (path / "data.bin").write_bytes(os.urandom(2_000_000))
    run_dvc(path, "add", "--quiet", "data.bin")
    git(path, "add", ".")
    git(path, "commit", "--quiet", "-m", "data")
    return path


def git(cwd: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def post(url: str, body: object) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def forget_and_pull(repo: Path) -> bytes:
    """Drop every local copy of the data, and DVC's belief of what the remote holds; then pull."""
    (repo / "data.bin").unlink()
    subprocess.run(["rm", "-rf", ".dvc/cache", ".dvc/tmp"], cwd=repo, check=True)
    run_dvc(repo, "pull", "--quiet")
    return (repo / "data.bin").read_bytes()


# --- Git ---


def test_git_push_reaches_the_server_and_a_rewind_is_refused(
    git_server: GitServer, dvc_repo: Path, tmp_path: Path
) -> None:
    bare = git_server.create("push")
    git(dvc_repo, "push", "--quiet", git_server.url_of("push"), "main", "main:refs/anchored/runs/1")
    assert git(bare, "rev-parse", "refs/anchored/runs/1") == git(dvc_repo, "rev-parse", "main")
    git(tmp_path, "clone", "--quiet", git_server.url_of("push"), "clone")
    assert (tmp_path / "clone" / "data.bin.dvc").exists()
    git(dvc_repo, "commit", "--quiet", "--amend", "-m", "other")
    with pytest.raises(subprocess.CalledProcessError, match="non-zero") as refused:
        git(dvc_repo, "push", git_server.url_of("push"), "main")
    assert "non-fast-forward" in refused.value.stderr


def test_git_server_comes_back_with_its_repositories(git_server: GitServer, dvc_repo: Path) -> None:
    git_server.create("back")
    git(dvc_repo, "push", "--quiet", git_server.url_of("back"), "main")
    with git_server.process.down(), pytest.raises(subprocess.CalledProcessError):
        git(dvc_repo, "ls-remote", git_server.url_of("back"))
    assert git(dvc_repo, "rev-parse", "main") in git(
        dvc_repo, "ls-remote", git_server.url_of("back")
    )


# --- S3 ---


def test_s3_holds_what_dvc_pushed_also_after_a_kill(s3_server: S3Server, dvc_repo: Path) -> None:
    before = (dvc_repo / "data.bin").read_bytes()
    s3_server.create("push")
    s3_server.configure(dvc_repo, "push")
    assert s3_server.secret_key not in (dvc_repo / ".dvc" / "config").read_text()
    run_dvc(dvc_repo, "push")
    assert len(s3_server.keys("push")) == 1
    with s3_server.process.down():
        assert not listens(s3_server.port)
    assert forget_and_pull(dvc_repo) == before


def test_s3_refuses_a_wrong_secret(s3_server: S3Server, dvc_repo: Path) -> None:
    s3_server.create("locked")
    s3_server.configure(dvc_repo, "locked", secret_key="0" * 40)
    refused = run_dvc(dvc_repo, "push", check=False)
    assert refused.returncode != 0
    assert "SignatureDoesNotMatch" in refused.stderr or "403" in refused.stderr, refused.stderr
    assert s3_server.keys("locked") == []


def test_a_cut_push_to_s3_can_be_repeated(
    s3_server: S3Server,
    dvc_repo: Path,
    proxy: Callable[[int], Proxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    between = proxy(s3_server.port)
    s3_server.create("cut")
    s3_server.configure(dvc_repo, "cut", port=between.port)
    between.cut_after(100_000)
    assert run_dvc(dvc_repo, "push", check=False).returncode != 0
    assert s3_server.keys("cut") == []
    between.heal()
    run_dvc(dvc_repo, "push")
    assert len(s3_server.keys("cut")) == 1


# --- SSH ---


def test_ssh_holds_what_dvc_pushed_also_after_a_restart(
    ssh_server: SshServer, dvc_repo: Path
) -> None:
    before = (dvc_repo / "data.bin").read_bytes()
    folder = ssh_server.configure(dvc_repo, "push")
    run_dvc(dvc_repo, "push")
    assert [path.stat().st_size for path in folder.rglob("*") if path.is_file()] == [2_000_000]
    with ssh_server.process.down():
        assert not listens(ssh_server.port)
    assert forget_and_pull(dvc_repo) == before


def test_ssh_refuses_another_key(ssh_server: SshServer, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger], check=True)
    login = ["-p", str(ssh_server.port), f"{ssh_server.user}@{ssh_server.host}", "echo", "in"]
    ours = ssh_server.git_ssh_command()
    allowed = subprocess.run([*ours.split(), *login], capture_output=True, text=True, check=False)
    assert allowed.stdout == "in\n", allowed.stderr
    theirs = ours.replace(str(ssh_server.keyfile), str(stranger))
    refused = subprocess.run([*theirs.split(), *login], capture_output=True, text=True, check=False)
    assert refused.stdout == ""
    assert "Permission denied" in refused.stderr


# --- MLflow ---


def test_mlflow_keeps_runs_and_artifacts_also_after_a_kill(mlflow_server: MlflowServer) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(mlflow_server.url)
    run = client.create_run(client.create_experiment("kept"), run_name="first")
    client.log_metric(run.info.run_id, "rmse", 0.5)
    client.log_text(run.info.run_id, "hello", "note.txt")
    client.set_terminated(run.info.run_id)
    mlflow_server.process.restart()
    found = client.get_run(run.info.run_id)
    assert (found.info.run_name, found.data.metrics) == ("first", {"rmse": 0.5})
    assert [path.read_text() for path in mlflow_server.artifacts.rglob("note.txt")] == ["hello"]
    assert [entry.path for entry in client.list_artifacts(run.info.run_id)] == ["note.txt"]


# --- Prefect ---


def test_prefect_is_healthy_and_keeps_flows_after_a_kill(prefect_server: PrefectServer) -> None:
    with urllib.request.urlopen(f"{prefect_server.api_url}/health", timeout=10) as response:
        assert json.load(response) is True
    flow = post(f"{prefect_server.api_url}/flows/", {"name": "kept"})
    prefect_server.process.restart()
    assert flow["id"] in {f["id"] for f in post(f"{prefect_server.api_url}/flows/filter", {})}


def test_prefect_clients_find_the_server_by_its_env(prefect_server: PrefectServer) -> None:
    script = "import prefect\n@prefect.flow\ndef hello(): return 1\nassert hello() == 1"
    subprocess.run([sys.executable, "-c", script], env=os.environ | prefect_server.env, check=True)
    flows = post(f"{prefect_server.api_url}/flows/filter", {})
    assert "hello" in {flow["name"] for flow in flows}
    assert not list(prefect_server.home.rglob("*.db")), "a server of the client's own"
