"""What a tracker's settings were, by the history of a repo's configuration."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anchored.adapters.git.repo import GitRepo
from anchored.config import Config, parse_config
from anchored.history.tracker_history import config_with, past_configs
from anchored.system.sockets import is_reachable

TEXT = """\
experiment = "{experiment}"
[data]
inputs = ["a.csv"]
[train]
command = "python train.py"
model = "model.bin"
[tracker]
{tracker}
"""


def configured(tracker: str = "", experiment: str = "now") -> str:
    return TEXT.format(experiment=experiment, tracker=tracker)


def parsed(*args: str) -> Config:
    return parse_config(configured(*args), "anchored.toml", default_experiment="x")


Commit = Callable[..., str]


@pytest.fixture
def commit(tmp_path: Path) -> Commit:
    """`commit(text, file)` writes a file and commits it."""

    def git(*args: str) -> str:
        done = subprocess.run(
            ["git", *args], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def committed(text: str, file: str = "anchored.toml", branch: str = "main") -> str:
        git("checkout", "--quiet", "-B", branch)
        (tmp_path / file).write_text(text)
        git("add", file)
        git("commit", "--quiet", "--allow-empty", "--message", "Change")
        return git("rev-parse", "HEAD")

    git("init", "--quiet")
    return committed


def past(folder: Path) -> list[tuple[str, str]]:
    return [(c.tracker.kind, c.experiment) for c in past_configs(GitRepo(folder))]


def test_the_past_is_told_newest_first_and_each_configuration_once(
    tmp_path: Path, commit: Commit
) -> None:
    assert past(tmp_path) == [], "without a commit"
    commit(configured('kind = "mlflow"', "one"))
    commit("Some notes.", "notes.md")
    commit(configured('kind = "wandb"', "two"))
    commit(configured('kind = "wand"', "a slip"))
    commit("not [ TOML")
    commit(configured('kind = "mlflow"', "one"))
    assert past(tmp_path) == [("mlflow", "one"), ("wandb", "two")]


def test_a_pyproject_counts_where_there_is_no_file_of_our_own(
    tmp_path: Path, commit: Commit
) -> None:
    table = configured('kind = "wandb"').replace("[", "[tool.anchored.")
    table = table.replace('[tool.anchored."a.csv', '["a.csv')
    commit("[tool.anchored]\n" + table, "pyproject.toml")
    commit(configured('kind = "mlflow"'))
    assert [kind for kind, _ in past(tmp_path)] == ["mlflow", "wandb"]


def test_what_only_another_branch_says_comes_last(tmp_path: Path, commit: Commit) -> None:
    commit(configured('kind = "mlflow"', "one"))
    commit(configured('kind = "wandb"', "ours"))
    commit(configured('kind = "wandb"', "of a colleague"), branch="theirs")
    subprocess.run(["git", "checkout", "--quiet", "main"], cwd=tmp_path, check=True)
    assert past(tmp_path) == [("wandb", "ours"), ("mlflow", "one"), ("wandb", "of a colleague")]


def test_the_configured_tracker_is_the_one_that_is_meant_by_its_kind() -> None:
    def unasked() -> Iterator[Config]:
        raise AssertionError("the past plays no part")
        yield parsed()

    now = parsed('kind = "wandb"\nentity = "team"')
    assert config_with("wandb", now, unasked()) == now


def test_another_kind_has_the_settings_that_it_had_last() -> None:
    now = parsed('kind = "wandb"\nentity = "team"')
    before = [
        parsed('kind = "wandb"', "of no account"),
        parsed('uri = "http://new.example.org"', "newer"),
        parsed('uri = "http://old.example.org"', "older"),
    ]
    found = config_with("mlflow", now, before)
    assert (found.tracker.kind, found.tracker.uri) == ("mlflow", "http://new.example.org")
    assert (found.experiment, found.data, found.train) == ("newer", now.data, now.train)


def test_a_kind_that_was_never_configured_has_its_defaults_and_the_experiment() -> None:
    now = parsed('kind = "wandb"\nentity = "team"\njoin = false')
    found = config_with("mlflow", now, [now])
    assert found.tracker == parsed().tracker.model_copy(update={"kind": "mlflow"})
    assert (found.tracker.uri, found.experiment) == ("sqlite:///mlflow.db", "now")


def test_settings_are_told_as_they_stand_in_the_file_but_for_credentials() -> None:
    assert parsed().tracker.as_toml() == 'kind = "mlflow"'
    assert parsed('kind = "wandb"\nmode = "offline"\njoin = false').tracker.as_toml() == (
        'kind = "wandb", join = false, mode = "offline"'
    )
    told = parsed('uri = "https://ada:secret@mlflow.example.org"').tracker.as_toml()
    assert "secret" not in told
    assert "mlflow.example.org" in told


@pytest.mark.parametrize(("uri", "expected"), [
    ("sqlite:////nowhere/mlflow.db", True), ("file:///nowhere/wandb", True), ("mlruns", True),
    ("http://127.0.0.1:9", False), ("postgresql+psycopg2://a:b@127.0.0.1:9/mlflow", False),
    ("https://no-such-host.invalid", False), ("http://127.0.0.1:none", False),
])  # fmt: skip
def test_only_a_server_can_be_out_of_reach(uri: str, expected: bool) -> None:
    assert is_reachable(uri) is expected
