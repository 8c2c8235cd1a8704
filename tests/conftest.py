"""Isolation for every test, and training repos to work on."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anchored.records import RunRecord
from anchored.system.file_lock import locked
from tests import prepared
from tests.repos import Repo, make_template
from tests.served import Served, serve
from tests.services.environment import clean_env
from tests.services.git_server import GitServer

pytest_plugins = ["tests.services.fixtures"]


@pytest.fixture(autouse=True)
def isolated(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """An empty home folder and nothing of the developer's configuration; the home is yielded."""
    home = tmp_path_factory.mktemp("home")
    kept = {k: v for k, v in os.environ.items() if k.startswith(("PYTEST", "COV", "CI"))}
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in (clean_env(home) | kept).items():
        monkeypatch.setenv(name, value)
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Ada Lovelace\n\temail = ada@example.org\n"
        '[init]\n\tdefaultBranch = main\n[protocol "file"]\n\tallow = always\n'
    )
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of flows that run in this process are tried again as often as ever, and at once."""
    monkeypatch.setattr("anchored.system.retry_policy.FIRST_DELAY", 0.01)


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell's background makes all that the tests start deaf to SIGINT, `nohup` to SIGHUP."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small training repo with its Git and DVC remotes, made once for all workers."""
    folder = of_all_workers(tmp_path_factory) / "template"
    with locked(folder.with_suffix(".lock")):
        if not folder.exists():
            make_template(folder.with_suffix(".part")).rename(folder)
    return folder


def of_all_workers(factory: pytest.TempPathFactory) -> Path:
    """The session's temporary folder, in which pytest-xdist gives each worker one of its own."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture
def new_repo(template: Path, tmp_path: Path) -> Callable[[str], Repo]:
    """`new_repo(name)` copies the template into a folder of that name."""

    def copied(name: str = "repo") -> Repo:
        target = tmp_path / name
        shutil.copytree(template, target, symlinks=True)
        return Repo(target / "work")

    return copied


@pytest.fixture
def repo(new_repo: Callable[[str], Repo]) -> Repo:
    """A training repo with one input file, committed, with a Git and a DVC remote."""
    return new_repo("repo")


@pytest.fixture
def prepared_by(
    template: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> Callable[..., Any]:
    """`prepared_by(make)` is a repo as `make(repo)` leaves one, and what that returns.

    It is made once for all workers and copied for every test: `make` goes by nothing of a test's
    own. It is told from others by its name.
    """
    home = of_all_workers(tmp_path_factory) / "prepared"

    def prepare(make: Callable[[Repo], Any], name: str = "repo") -> tuple[Repo, Any]:
        folder = home / f"{make.__module__}.{make.__qualname__}"
        prepared.made(folder, template, make)
        return prepared.copied(folder, tmp_path / name)

    return prepare


def run_one(repo: Repo) -> RunRecord:
    """A sealed run "one" of the template as it is."""
    return repo.run("one")


@pytest.fixture
def sealed(prepared_by: Callable[..., Any]) -> tuple[Repo, RunRecord]:
    """A repo with its first sealed run, called "one", and that run."""
    repo, run = prepared_by(run_one)
    return repo, run


@pytest.fixture
def served(repo: Repo, git_server: GitServer, tmp_path: Path) -> Iterator[Served]:
    """Somebody's training repo on a Git server, to be taken by its URL."""
    name = tmp_path.name
    origin = git_server.create(name)
    yield serve(repo, name, origin, git_server.url_of(name))
    shutil.rmtree(origin)
