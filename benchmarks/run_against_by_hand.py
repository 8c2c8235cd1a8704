"""`anchored run` beside the same work by hand, on the sample: seconds, and their ratio.

Both do one experiment whole: hash and push the data, train, log to MLflow, hash and push the model,
commit both pointers. By hand that is `dvc add`, `git commit`, `dvc push`, the training, a script
that logs to MLflow, `dvc add`, `git commit`, `dvc push`. Anchored does more: a worktree,
the environment, every object seen in the remote, a run ref pushed.

The variants take turns, so that a busy moment of the machine hits all of them; medians are compared
within this one run. Training alone is timed the same way and subtracted.

    python benchmarks/run_against_by_hand.py [rounds]
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT))

from tests.services.environment import clean_env  # noqa: E402
from tests.services.prefect_server import serve_prefect  # noqa: E402

LOG = """\
import json, subprocess, sys, yaml, mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("sst_enso")
commit = subprocess.check_output(["git", "rev-parse", "HEAD"], text=True).strip()
md5 = yaml.safe_load(open("data/nino_sst.nc.dvc"))["outs"][0]["md5"]
with mlflow.start_run(run_name=sys.argv[1]):
    mlflow.log_params({"lags": 6, "lead": 3, "seed": 42})
    mlflow.log_metrics(json.load(open("metrics.json")))
    mlflow.log_artifact("predictions.csv")
    mlflow.log_artifacts("plots", "plots")
    mlflow.set_tags({"git_commit": commit, "dvc_data_md5": md5})
"""
DATA = ("data/nino_sst.nc", "data/nino34_index.csv")


class Sample:
    """A copy of the sample repo with both remotes, in which one variant works."""

    def __init__(self, home: Path, env: dict[str, str]) -> None:
        self.root, self.env, self._through = home / "enso", env, 1980
        shutil.copytree(PROJECT / "examples/enso", self.root)
        (self.root / "archive").mkdir()
        shutil.copy(PROJECT / "data/nino_regions.dat", self.root / "archive")
        (self.root / "log_run.py").write_text(LOG)
        self.call("git", "init", "--quiet", "--initial-branch=main")
        self.call("git", "init", "--quiet", "--bare", "../origin.git")
        self.call("git", "remote", "add", "origin", "../origin.git")
        self.call("git", "config", "user.name", "Benchmark")
        self.call("git", "config", "user.email", "benchmark@localhost")
        self.call("anchored", "init", "--remote", "../storage")
        self.call("git", "add", "--all")
        self.call("git", "commit", "--quiet", "--message", "Begin")
        self.call("git", "push", "--quiet", "--set-upstream", "origin", "main")

    def call(self, *command: str, **env: str) -> None:
        done = subprocess.run(
            command, cwd=self.root, env=self.env | env, capture_output=True, text=True,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"{command} failed:\n{done.stdout}{done.stderr}")

    def new_data(self) -> None:
        """One year more, so that every experiment has data to hash and push."""
        self._through += 1
        self.call("python", "fetch.py", "--through", str(self._through))

    def by_hand(self, name: str) -> None:
        self.call("dvc", "add", "--quiet", *DATA)
        self.call("git", "add", "--all")
        self.call("git", "commit", "--quiet", "--message", f"Data of {name}")
        self.call("dvc", "push", "--quiet")
        self.train()
        self.call("python", "log_run.py", name)
        self.call("dvc", "add", "--quiet", "models/model.joblib")
        self.call("git", "add", "--all")
        self.call("git", "commit", "--quiet", "--allow-empty", "--message", f"Model of {name}")
        self.call("dvc", "push", "--quiet")
        self.call("git", "push", "--quiet")

    def anchored(self, name: str, **env: str) -> None:
        self.call("anchored", "run", name, **env)

    def train(self) -> None:
        """Training alone, its own MLflow lines included."""
        self.call(
            "python", "train.py", "--lags", "6", "--lead", "3", "--seed", "42",
            MLFLOW_TRACKING_URI="sqlite:///mlflow.db", MLFLOW_EXPERIMENT_NAME="sst_enso",
        )  # fmt: skip


@contextmanager
def sample(env: dict[str, str]) -> Iterator[Sample]:
    with tempfile.TemporaryDirectory(prefix="anchored-bench-") as folder:
        yield Sample(Path(folder), env)


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="anchored-bench-home-") as folder:
        home = Path(folder)
        env = os.environ | clean_env(home)
        with serve_prefect(home / "server") as server, sample(env) as hand, sample(env) as ours:
            alone = env | {"PREFECT_HOME": str(home / "alone")}
            variants: dict[str, tuple[Sample, Callable[[str], None]]] = {
                "training alone": (hand, lambda _: hand.train()),
                "by hand": (hand, hand.by_hand),
                "anchored run, server up": (ours, lambda n: ours.anchored(n, **server.env)),
                "anchored run, no server": (ours, lambda n: ours.anchored(n, **alone)),
            }
            times: dict[str, list[float]] = {name: [] for name in variants}
            for turn in range(-1, rounds):  # the first turn warms databases and caches
                for name, (repo, work) in variants.items():
                    repo.new_data()
                    taken = seconds(lambda: work(f"{name} {turn}"))  # noqa: B023
                    if turn >= 0:
                        times[name].append(taken)
            times["anchored --help"] = [
                seconds(lambda: ours.call("anchored", "--help")) for _ in range(2 * rounds)
            ]
    report({name: statistics.median(values) for name, values in times.items()}, rounds)


def report(medians: dict[str, float], rounds: int) -> None:
    training, hand = medians["training alone"], medians["by hand"] - medians["training alone"]
    print(f"medians of {rounds} interleaved rounds, {os.cpu_count()} cores")
    for name, value in medians.items():
        if name in {"training alone", "anchored --help"}:
            print(f"{name:26} {value:6.2f} s")
        else:
            own = value - training
            print(f"{name:26} {value:6.2f} s   on top of training {own:5.2f} s   {own / hand:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
