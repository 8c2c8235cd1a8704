"""The services that other tests rely on are the real thing, and survive what they should.

What S3, MLflow and W&B hold when they were killed is seen in tests/contract.
"""

import subprocess
from pathlib import Path

import pytest

from tests.repos import Repo
from tests.services.git_server import GitServer
from tests.services.sshd import SshServer


def git(cwd: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.strip()


# --- Git ---


def test_git_push_reaches_the_server_and_a_rewind_is_refused(
    git_server: GitServer, repo: Repo, tmp_path: Path
) -> None:
    bare = git_server.create("push")
    git(
        repo.root, "push", "--quiet", git_server.url_of("push"), "main", "main:refs/anchored/runs/1"
    )
    assert git(bare, "rev-parse", "refs/anchored/runs/1") == git(repo.root, "rev-parse", "main")
    git(tmp_path, "clone", "--quiet", git_server.url_of("push"), "clone")
    assert (tmp_path / "clone" / "train.py").exists()
    git(repo.root, "commit", "--quiet", "--amend", "-m", "other")
    with pytest.raises(subprocess.CalledProcessError, match="non-zero") as refused:
        git(repo.root, "push", git_server.url_of("push"), "main")
    assert "non-fast-forward" in refused.value.stderr


def test_git_server_comes_back_with_its_repositories(git_server: GitServer, repo: Repo) -> None:
    git_server.create("back")
    git(repo.root, "push", "--quiet", git_server.url_of("back"), "main")
    with git_server.process.down(), pytest.raises(subprocess.CalledProcessError):
        git(repo.root, "ls-remote", git_server.url_of("back"))
    assert git(repo.root, "rev-parse", "main") in git(
        repo.root, "ls-remote", git_server.url_of("back")
    )


# --- SSH ---


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
