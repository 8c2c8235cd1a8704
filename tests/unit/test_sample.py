"""The sample training repository: its data are exact, its training repeatable, its split honest."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from anchored.system.file_lock import locked
from tests.conftest import of_all_workers

PROJECT = Path(__file__).resolve().parents[2]
OUTPUTS = ("data/nino_sst.nc", "data/nino34_index.csv")
TRAINED = (
    "models/model.joblib",
    "metrics.json",
    "predictions.csv",
    "plots/timeseries.png",
    "plots/scatter.png",
    "plots/seasons.png",
)
NAMES = ("first", "again", "altered_test", "altered_later", "altered_train", "full")
# A script in several folders, by one process: most of its time goes into imports.
IN_TURN = """\
import os, runpy, sys

command, *folders = sys.argv[1:]
sys.argv = command.split()
base = os.getcwd()
for folder in folders:
    os.chdir(os.path.join(base, folder))
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


def start(repo: Path, *command: str, **variables: str) -> subprocess.Popen[str]:
    """Return `python <command>`, started in `repo` without any tracker in its environment."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "ANCHORED_"))}
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=repo,
        env=env | variables,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(*processes: subprocess.Popen[str]) -> None:
    """Wait for all; fail with the output of the first that did not exit with 0."""
    results = [(process, process.communicate(timeout=300)[0]) for process in processes]
    for process, output in results:
        assert process.returncode == 0, output


def hashes(repo: Path, paths: tuple[str, ...]) -> dict[str, str]:
    """Return the md5 of each of `paths`."""
    return {path: hashlib.md5((repo / path).read_bytes()).hexdigest() for path in paths}


def rows(path: Path) -> list[dict[str, str]]:
    """Return a CSV file's rows."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def metrics(repo: Path) -> dict[str, float]:
    """Return what training wrote into metrics.json."""
    values: dict[str, float] = json.loads((repo / "metrics.json").read_text())
    return values


def alter(repo: Path, *, since: str) -> None:
    """Warm every region by 3 K in each month from `since` ("YYYY-MM") on, in the archive.

    The anomalies change sign from month to month too, so that nothing stays correlated.
    """
    archive = repo / "archive/nino_regions.dat"
    header, *lines = archive.read_text().splitlines()
    for i, line in enumerate(lines):
        year, month, *values = line.split()
        if f"{year}-{int(month):02}" >= since:
            changed = [f"{(-1) ** i * float(value) + 3:.2f}" for value in values]
            lines[i] = " ".join([year, month, *changed])
    archive.write_text("\n".join([header, *lines]) + "\n")


def made(base: Path) -> Path:
    """Trained copies of the sample in a new folder; all but two of them by one process."""
    found = {name: base / name for name in NAMES}
    for repo in found.values():
        shutil.copytree(PROJECT / "examples/enso", repo)
        (repo / "archive").mkdir()
        shutil.copy(PROJECT / "data/nino_regions.dat", repo / "archive")
    alter(found["altered_test"], since="1990-01")
    alter(found["altered_later"], since="1995-01")
    alter(found["altered_train"], since="1989-12")
    finish(start(base, "-c", IN_TURN, "fetch.py --through 1999", *NAMES))
    finish(start(found["full"], "fetch.py"))
    # What must not matter differs: the folder, hash seeds, and the threads that BLAS may use.
    finish(
        start(found["first"], "train.py", PYTHONHASHSEED="0", OMP_NUM_THREADS="1"),
        start(found["again"], "train.py", PYTHONHASHSEED="1", OMP_NUM_THREADS="2"),
    )
    finish(start(base, "-c", IN_TURN, "train.py", *NAMES[2:], PYTHONHASHSEED="2"))
    return base


@pytest.fixture(scope="session")
def repos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Trained copies, through 1999 (twice, and altered) and through 2010, once for all workers."""
    base = of_all_workers(tmp_path_factory) / "sample"
    with locked(base.with_suffix(".lock")):
        if not base.exists():
            made(base.with_suffix(".part")).rename(base)
    return {name: base / name for name in NAMES}


def test_first_version_ends_with_1999(repos: dict[str, Path]) -> None:
    months = [row["date"] for row in rows(repos["first"] / OUTPUTS[1])]
    assert months == [f"{y}-{m:02}-01" for y in range(1950, 2000) for m in range(1, 13)]
    assert hashes(repos["first"], OUTPUTS) == hashes(repos["again"], OUTPUTS)


def test_refresh_appends_and_changes_nothing_older(repos: dict[str, Path]) -> None:
    old = (repos["first"] / OUTPUTS[1]).read_bytes()
    new = (repos["full"] / OUTPUTS[1]).read_bytes()
    assert new.startswith(old)
    assert rows(repos["full"] / OUTPUTS[1])[-1]["date"] == "2010-12-01"

    import xarray as xr

    first, full = (
        xr.load_dataset(repos[name] / OUTPUTS[0], engine="scipy") for name in ("first", "full")
    )
    assert full.sizes["time"] == 732
    assert full.sel(time=first["time"]).identical(first)
    assert full["sst"].attrs["units"] == "degC"
    assert float(full["anomaly"].sel(time="1997-11-01", region="nino34")) == 2.52


def test_fetching_again_leaves_equal_files_untouched(repos: dict[str, Path]) -> None:
    before = [(repos["full"] / path).stat().st_mtime_ns for path in OUTPUTS]
    finish(start(repos["full"], "fetch.py"))
    assert [(repos["full"] / path).stat().st_mtime_ns for path in OUTPUTS] == before


def test_training_twice_gives_the_same_bytes(repos: dict[str, Path]) -> None:
    assert hashes(repos["first"], TRAINED) == hashes(repos["again"], TRAINED)
    assert hashes(repos["first"], TRAINED[:1]) != hashes(repos["full"], TRAINED[:1])


def test_no_tracker_is_touched_unasked(repos: dict[str, Path]) -> None:
    assert not list(repos["first"].glob("mlflow.db*"))
    assert not (repos["first"] / "mlruns").exists()


@pytest.mark.parametrize("name", ["first", "full"])
def test_metrics_are_finite_and_beat_persistence(repos: dict[str, Path], name: str) -> None:
    values = metrics(repos[name])
    assert all(isinstance(v, int | float) and math.isfinite(v) for v in values.values())
    assert values["test_rmse"] < values["persistence_rmse"]
    assert values["test_rmse"] < values["damped_persistence_rmse"]
    mse_ratio = (values["test_rmse"] / values["persistence_rmse"]) ** 2
    assert values["skill_over_persistence"] == pytest.approx(1 - mse_ratio)
    assert values["n_test"] == len(rows(repos[name] / "predictions.csv"))


def test_test_period_does_not_reach_the_model(repos: dict[str, Path]) -> None:
    """The test period starts in January 1990; the last month before it does reach the model."""
    first, altered = metrics(repos["first"]), metrics(repos["altered_test"])
    assert hashes(repos["first"], TRAINED[:1]) == hashes(repos["altered_test"], TRAINED[:1])
    assert first["train_rmse"] == altered["train_rmse"]
    assert first["test_rmse"] != altered["test_rmse"]
    assert hashes(repos["first"], TRAINED[:1]) != hashes(repos["altered_train"], TRAINED[:1])


def test_a_forecast_knows_nothing_after_its_issue_month(repos: dict[str, Path]) -> None:
    first, altered = (rows(repos[n] / "predictions.csv") for n in ("first", "altered_later"))
    columns = ("issued", "target", "forecast", "persistence", "damped_persistence")
    for old, new in zip(first, altered, strict=True):
        same = all(old[column] == new[column] for column in columns)
        assert same == (old["issued"] < "1995-01-01"), old["issued"]
