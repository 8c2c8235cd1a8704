"""The showcase: the sample's two experiments, told by `anchored demo` and proved with plain tools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.proof import assert_sealed
from tests.repos import Repo
from tests.services.prefect_server import PrefectServer
from tests.story.test_history import assert_all_reproduce, cloned, rewrite


@pytest.fixture
def told(
    tmp_path: Path, prefect_server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> tuple[Repo, str]:
    """The demo's repo after its story, and what it told."""
    for name, value in prefect_server.env.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run(
        [sys.executable, "-m", "anchored", "demo", str(tmp_path / "demo")],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    repo = Repo(tmp_path / "demo" / "enso")
    repo.store = tmp_path / "demo" / "storage"
    return repo, done.stdout + done.stderr


def test_two_experiments_on_real_data_are_facts(told: tuple[Repo, str]) -> None:
    repo, text = told
    assert "anchored run experiment_v1" in text
    again, second, first = repo.runs()
    assert (first.name, second.name) == ("experiment_v1", "experiment_v2")
    assert (again.reproduces, again.verdict) == (first.run_id, "identical")
    assert "experiment_v1 is identical" in text
    assert "all 2 runs can be reproduced" in text
    for run in (first, second):
        assert_sealed(repo, run)
        assert len(run.data) == 2
        assert run.metrics["test_rmse"] < run.metrics["persistence_rmse"]
        # The script's own steps, logged through plain MLflow, are in the same run.
        assert "cv_rmse" in run.metrics
        assert repo.artifact(run.run_id, "predictions.csv")
        assert (repo.artifact(run.run_id, "plots/seasons.png") or b"").startswith(b"\x89PNG")
    assert first.data != second.data
    assert first.model != second.model
    assert repo.git("status", "--porcelain") == ""
    assert repo.head == second.git.commit
    repo.git("merge-base", "--is-ancestor", first.git.commit, second.git.commit)

    # They stay facts, whatever becomes of the branch, and wherever somebody clones it.
    rewrite(repo)
    assert_all_reproduce(cloned(repo, remote="storage"), [first, second])


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = subprocess.run(
        [sys.executable, "-m", "anchored", "demo", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
