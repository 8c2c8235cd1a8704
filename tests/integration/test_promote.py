"""Promote: the bytes that DVC versioned become a version that loads, once, and never others."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from anchored.errors import BadName, ConfigError, ObjectLost, UnknownRun, WrongUse
from anchored.history.aliases import run_of_alias
from anchored.journal import FOLDER
from anchored.promote.promote import promote
from anchored.records import RunRecord
from tests.registered import MODEL, client_of, registering_models, versions
from tests.repos import Repo, result_of


@pytest.fixture
def registering(repo: Repo) -> Repo:
    """A training repo whose configuration names a registered model."""
    return registering_models(repo)


class Told:
    """A report that keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    warn = output = say

    def progress(self, what: str, done: int, total: int, *, unit: str = "") -> None: ...


# --- the command ----------------------------------------------------------------------------------


def test_the_command_says_what_it_registered_and_an_alias_names_a_run(registering: Repo) -> None:
    repo = registering
    one, two = repo.run("one"), repo.run("two", params={"power": 2})
    first = repo.anchored("promote", "one")
    assert (first.returncode, first.stderr) == (0, "")
    usage = f'mlflow.artifacts.download_artifacts("models:/{MODEL}@champion")'
    for said in (f"{MODEL} version 1  @champion", f"one  {one.run_id}", one.git.commit,
                 f"{one.model[0].md5}  models/model.bin", usage):  # fmt: skip
        assert said in first.stdout
    done = repo.anchored("promote", two.run_id[:8], "--json")
    second = result_of(done)
    assert f"@champion named version 1 before, of the run 'one', {one.run_id}" in done.stderr
    assert second == {
        "model": MODEL, "version": "2", "run_id": two.run_id, "aliases": ["champion"], "url": "",
        "usage": usage, "git_commit": two.git.commit, "dvc_model_md5": two.model[0].md5,
    }  # fmt: skip
    again = repo.anchored("promote", "@champion", "--json")
    assert result_of(again) == second
    assert "@champion names this run's version 2 already" in again.stderr
    assert result_of(repo.anchored("show", "@champion", "--json"))["run_id"] == two.run_id
    back = promote(repo.open(), one, alias="champion")
    assert (back.version, back.aliases) == ("1", ("champion",))
    assert len(versions(repo)) == 2
    refused = repo.anchored("promote", "one", "--alias", "v1")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: 'v1' is an alias that registries keep")


def test_a_repo_without_a_registered_model_cannot_promote(repo: Repo) -> None:
    run = repo.run("one")
    with pytest.raises(ConfigError, match=r"retrain\.registered_model") as raised:
        promote(repo.open(), run, alias="champion")
    assert raised.value.exit_code == 2
    assert client_of(repo).search_registered_models() == []


@pytest.mark.parametrize(
    "alias", ["", "latest", "LATEST", "v1", "V12", "a b", "a/b", "@x", "x\n", "x" * 256]
)
def test_an_alias_that_no_registry_takes_is_refused_at_once(registering: Repo, alias: str) -> None:
    run = RunRecord("0" * 32, "never asked for", "sums")
    with pytest.raises(BadName):
        promote(registering.open(), run, alias=alias)


# --- what is refused ------------------------------------------------------------------------------


def refused(repo: Repo, wanted: str) -> WrongUse:
    from anchored.history.find import found

    workspace = repo.open()
    with pytest.raises(WrongUse) as raised:
        promote(workspace, found(workspace, wanted), alias="champion")
    assert raised.value.hint
    assert client_of(repo).search_registered_models() == []
    return raised.value


def test_runs_that_nobody_may_rely_on_are_refused(registering: Repo) -> None:
    repo = registering
    run = repo.run("one")
    again = repo.reproduce("one")
    assert "is a reproduction" in (error := refused(repo, again.reproduction)).message
    assert f"anchored promote {run.run_id}" in (error.hint or "")
    tracker = repo.open().tracker
    for state in ("running", "trained", "failed"):
        tracker.log(run.run_id, tags={"anchored.state": state})
        assert f"is {state}: only a sealed one" in refused(repo, "one").message
    repo.foreign("claims", **{"anchored.state": "sealed", "git_commit": run.git.commit})
    assert "neither this repository nor its remote has its ref" in refused(repo, "claims").message
    repo.foreign("no model", git_commit=run.git.commit)
    assert "names no model" in refused(repo, "no model").message
    repo.foreign("no commit", dvc_model_md5=run.model[0].md5)
    assert "names no commit" in refused(repo, "no commit").message
    broken = repo.foreign("broken", git_commit=run.git.commit, dvc_model_md5=run.model[0].md5)
    client_of(repo).set_terminated(broken, "FAILED")
    assert "is failed" in refused(repo, "broken").message


def test_a_run_made_by_hand_is_promoted(registering: Repo) -> None:
    repo = registering
    run = repo.run("one")
    by_hand = repo.foreign("by hand", git_commit="0" * 40, dvc_model_md5=run.model[0].md5)
    from anchored.history.find import found

    workspace = repo.open(told := Told())
    version = promote(workspace, found(workspace, "by hand"), alias="champion")
    assert version.run_id == by_hand
    assert any("commit missing" in line for line in told.lines)
    assert versions(repo)[0].tags["dvc_model_md5"] == run.model[0].md5


def test_a_version_without_a_run_gives_a_clear_error(registering: Repo) -> None:
    repo = registering
    client = client_of(repo)
    client.create_registered_model(MODEL)
    client.create_model_version(MODEL, "s3://bucket/model")
    client.set_registered_model_alias(MODEL, "champion", "1")
    from anchored.history.find import found

    with pytest.raises(UnknownRun, match="names no run"):
        found(repo.open(), "@champion")
    told = Told()
    assert promote(repo.open(told), repo.run("one"), alias="champion").version == "2"
    assert told.lines == ["@champion named version 1 before, which names no run"]


# --- bytes and interruptions ----------------------------------------------------------------------


def spoilt(repo: Repo, folder: Path, md5: str) -> None:
    file = folder / "files/md5" / md5[:2] / md5[2:]
    file.chmod(0o644)
    file.write_bytes(b"others' bytes")


def test_bytes_that_are_not_the_versioned_ones_are_never_registered(registering: Repo) -> None:
    repo = registering
    one, two = repo.run("one"), repo.run("two", params={"power": 2})
    for run in (one, two):
        spoilt(repo, repo.root / ".dvc/cache", run.model[0].md5)
    spoilt(repo, repo.store, two.model[0].md5)
    with pytest.raises(ObjectLost):
        promote(repo.open(), two, alias="champion")
    assert client_of(repo).search_registered_models() == []
    promote(repo.open(), one, alias="champion")
    path = f"anchored/model/{one.model[0].md5}/model.bin"
    content = repo.artifact(one.run_id, path) or b""
    assert hashlib.md5(content).hexdigest() == one.model[0].md5


class CutOff(Exception):
    """The process ended here."""


class Cut:
    """A port that ends the process before or after one of its methods."""

    def __init__(self, inner: Any, method: str, when: str) -> None:
        self._inner, self._method, self._when = inner, method, when

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._inner, name)
        if name != self._method:
            return inner

        def cut(*args: Any, **kwargs: Any) -> Any:
            if self._when == "after":
                inner(*args, **kwargs)
            raise CutOff(name)

        return cut


def test_cut_off_anywhere_and_begun_again_there_is_one_version(registering: Repo) -> None:
    repo = registering
    run, old = repo.run("one"), repo.run("old", params={"power": 2})
    promote(repo.open(), old, alias="champion")
    points = [("store", "export"), ("tracker", "register"), ("tracker", "set_alias")]
    for port, method in points:
        for when in ("before", "after"):
            workspace = repo.open()
            port_cut = Cut(getattr(workspace, port), method, when)
            with pytest.raises(CutOff):
                promote(replace(workspace, **{port: port_cut}), run, alias="champion")
            moved = (method, when) == ("set_alias", "after")
            assert run_of_alias(repo.open().tracker, MODEL, "champion") == (
                run.run_id if moved else old.run_id
            )
            promote(repo.open(), old, alias="champion")
    assert promote(repo.open(), run, alias="champion").version == "2"
    assert [v.run_id for v in versions(repo)] == [old.run_id, run.run_id]
    assert not list((repo.root / FOLDER).glob("scratch-*"))


def test_two_processes_at_once_make_one_version(registering: Repo) -> None:
    repo = registering
    run = repo.run("one")
    argv = [sys.executable, "-m", "anchored", "promote", "one", "--alias"]
    both = [
        subprocess.Popen([*argv, alias], cwd=repo.root, stdout=subprocess.DEVNULL)
        for alias in ("champion", "challenger")
    ]
    assert [process.wait(120) for process in both] == [0, 0]
    (version,) = versions(repo)
    assert version.run_id == run.run_id
    for alias in ("champion", "challenger"):
        assert run_of_alias(repo.open().tracker, MODEL, alias) == run.run_id
