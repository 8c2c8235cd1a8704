"""`anchored init` sets up what is missing, commits nothing, and may be repeated."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from anchored.decisions.starter import imports_wandb_alone
from anchored.errors import WrongUse
from anchored.workspace.open import init, open_repo
from tests.proof import assert_sealed
from tests.repos import SCRIPT, Repo

CONFIG = """\
[data]
inputs = ["data/numbers.csv"]
[train]
command = "python train.py"
model = "models/model.bin"
[train.params]
power = 1
"""


@pytest.fixture
def plain(tmp_path: Path) -> Repo:
    """A Git repository as a user has it before they hear of DVC, its data tracked by Git."""
    repo = Repo(tmp_path / "work")
    repo.root.mkdir()
    repo.git("init", "--quiet")
    repo.write("train.py", SCRIPT)
    repo.write("data/numbers.csv", "1\n2\n")
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", "Begin")
    return repo


def test_a_plain_repository_becomes_ready_and_a_run_seals(plain: Repo) -> None:
    plain.write("anchored.toml", CONFIG)
    first = init(plain.root, remote=str(plain.store), untrack=True)
    assert any("numbers.csv" in line for line in first.done)
    assert plain.git("ls-files", "data") == ""
    assert (plain.root / "data/numbers.csv").read_text() == "1\n2\n"
    plain.git("add", "--all")
    plain.git("commit", "--quiet", "--message", "Set up")
    assert "data/numbers.csv" not in plain.git("ls-files")
    assert_sealed(plain, plain.run(), git_remote=False)


def test_twice_changes_nothing(plain: Repo) -> None:
    init(plain.root, remote=str(plain.store), untrack=False)
    before = plain.state(), (plain.root / "anchored.toml").read_text()
    again = init(plain.root, remote=str(plain.store), untrack=False)
    assert again.done == ()
    assert before == (plain.state(), (plain.root / "anchored.toml").read_text())


def test_it_writes_what_it_found_and_says_what_it_could_not_know(
    plain: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:secret@mlflow.example.org")
    result = init(plain.root, remote=None, untrack=False)
    text = (plain.root / "anchored.toml").read_text()
    assert 'inputs = ["data/numbers.csv"]' in text
    assert 'command = "python train.py"' in text
    assert 'uri = "https://mlflow.example.org"' in text
    assert "secret" not in text
    assert any("train.model" in line for line in result.todo)
    assert any("--remote" in line for line in result.todo)
    assert any("--untrack" in line for line in result.todo)


def test_a_script_that_logs_to_wandb_gets_wandb(plain: Repo) -> None:
    plain.write("train.py", "import numpy\nimport wandb\n\nwandb.init()\n")
    init(plain.root, remote=None, untrack=False)
    text = (plain.root / "anchored.toml").read_text()
    assert tomllib.loads(text)["tracker"] == {"kind": "wandb"}
    assert "/wandb/" in (plain.root / ".gitignore").read_text().splitlines()
    assert init(plain.root, remote=None, untrack=False).done == ()


def test_any_other_script_gets_mlflow(plain: Repo) -> None:
    plain.write("train.py", "import mlflow, os\nimport wandb\n")
    init(plain.root, remote=None, untrack=False)
    tracker = tomllib.loads((plain.root / "anchored.toml").read_text())["tracker"]
    assert tracker == {"kind": "mlflow", "uri": "sqlite:///mlflow.db"}


@pytest.mark.parametrize(("script", "alone"), [
    ("import numpy\nimport wandb\n", True), ("    from wandb import init\n", True),
    ("import mlflow, os\nimport wandb\n", False), ("print('import wandb')\n", False),
    ("from mlflow import start_run\n", False),
])  # fmt: skip
def test_what_a_script_imports_says_where_it_logs(script: str, alone: bool) -> None:
    assert imports_wandb_alone(script) is alone


def test_existing_pointers_become_inputs_and_model(plain: Repo) -> None:
    init(plain.root, remote=str(plain.store), untrack=False)
    (plain.root / "anchored.toml").unlink()
    plain.git("rm", "-r", "--quiet", "--cached", "data")
    plain.write("models/best.joblib", "model")
    plain.dvc("add", "data/numbers.csv", "models/best.joblib")
    init(plain.root, remote=None, untrack=False)
    config = open_repo(plain.root).config
    assert config.data.inputs == ("data/numbers.csv",)
    assert config.train.model == "models/best.joblib"


def test_another_remote_is_refused_and_so_are_credentials(plain: Repo, tmp_path: Path) -> None:
    init(plain.root, remote=str(plain.store), untrack=False)
    with pytest.raises(WrongUse, match="already"):
        init(plain.root, remote=str(tmp_path / "elsewhere"), untrack=False)
    with pytest.raises(WrongUse, match="credentials"):
        init(plain.root, remote="https://user:secret@example.org/store", untrack=False)


def test_the_tracked_data_of_a_run_is_refused_with_the_way_out(plain: Repo) -> None:
    plain.write("anchored.toml", CONFIG)
    init(plain.root, remote=str(plain.store), untrack=False)
    plain.git("add", "--all")
    plain.git("commit", "--quiet", "--message", "Set up")
    done = plain.anchored("run", "one")
    assert done.returncode == 2
    assert "tracked by Git" in done.stderr
    assert "--untrack" in done.stderr
