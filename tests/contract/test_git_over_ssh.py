"""A Git remote behind SSH: the user's own way of logging in is kept, and silence does not hang."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from anchored.adapters.git.repo import GitRepo
from anchored.errors import GitRemoteFailed
from tests.repos import Repo
from tests.services.proxy import Proxy
from tests.services.sshd import SshServer

REF = "refs/anchored/runs/1"


@pytest.fixture
def origin(ssh_server: SshServer, repo: Repo, tmp_path: Path) -> Callable[..., None]:
    """`origin(port)` puts the repo's Git remote behind SSH; the port is that of a proxy."""

    def behind_ssh(port: int | None = None) -> None:
        repo.git("remote", "set-url", "origin", ssh_server.url(repo.origin, port=port))
        repo.git("update-ref", REF, "HEAD")

    return behind_ssh


def published(repo: Repo) -> str:
    GitRepo(repo.root).publish(REF)
    return repo.git("for-each-ref", "--format=%(objectname)", REF, cwd=repo.origin)


def wrapper(ssh_server: SshServer, path: Path, *more: str) -> Path:
    """A program by which Git can log in."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f'#!/bin/sh\n{"; ".join((*more, "exec"))} {ssh_server.git_ssh_command()} "$@"\n'
    )
    path.chmod(0o755)
    return path


def test_without_the_users_own_command_a_stranger_is_refused(
    repo: Repo, origin: Callable[..., None]
) -> None:
    origin()
    with pytest.raises(GitRemoteFailed, match=r"[Pp]ermission denied|verification failed"):
        published(repo)


@pytest.mark.parametrize("where", ["variable", "configuration", "both"])
def test_the_users_own_ssh_command_logs_in(
    repo: Repo,
    origin: Callable[..., None],
    ssh_server: SshServer,
    where: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    origin()
    if where != "configuration":
        monkeypatch.setenv("GIT_SSH_COMMAND", ssh_server.git_ssh_command())
    if where != "variable":
        own = "false" if where == "both" else ssh_server.git_ssh_command()
        repo.git("config", "core.sshCommand", own)
    assert published(repo) == repo.head


@pytest.mark.parametrize("variable", ["GIT_SSH", "GIT_SSH_COMMAND"])
@pytest.mark.parametrize("name", ["ssh", "my-login"])
def test_a_program_of_the_users_own_logs_in(
    repo: Repo,
    origin: Callable[..., None],
    ssh_server: SshServer,
    tmp_path: Path,
    *,
    variable: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    origin()
    said = tmp_path / "arguments"
    program = wrapper(ssh_server, tmp_path / "own" / name, f'echo "$@" >> {said}')
    monkeypatch.setenv(variable, str(program))
    assert published(repo) == repo.head
    ours = "ServerAliveInterval" in said.read_text()
    assert ours == (name == "ssh"), "only OpenSSH takes our options"


def test_a_server_that_falls_silent_in_a_push_does_not_hang_it(
    repo: Repo,
    origin: Callable[..., None],
    ssh_server: SshServer,
    proxy: Callable[[int], Proxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    between = proxy(ssh_server.port)
    origin(between.port)
    monkeypatch.setenv("GIT_SSH_COMMAND", ssh_server.git_ssh_command())
    repo.write("large.bin", os.urandom(10_000_000))
    repo.commit()
    repo.git("update-ref", REF, "HEAD")
    between.stop_reading_after(1_000_000)
    begun = time.monotonic()
    with pytest.raises(GitRemoteFailed) as raised:
        published(repo)
    assert time.monotonic() - begun < 60
    assert raised.value.transient, raised.value.message
    assert raised.value.silent, raised.value.message
    between.heal()
    assert published(repo) == repo.head
