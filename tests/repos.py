"""Training repos for tests, and the ways to run Anchored on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from anchored.decisions.audit import Audit, RunsLost
from anchored.decisions.gate import Retrained
from anchored.history.find import found
from anchored.ports import SILENT, Report, Silent
from anchored.promote.promote import promote
from anchored.records import ModelVersion, Reproduction, RunRecord
from anchored.run.seal import Sealed
from anchored.workspace.open import open_repo
from tasks.reporting import RepoChoice, reporting_to
from tests import forked
from tests.services.environment import clean_env

CONFIG = """\
experiment = "sums"

[data]
inputs = ["data/numbers.csv"]

[train]
command = "python train.py"
model = "models/model.bin"
metrics = "metrics.json"
artifacts = ["report-*.txt"]

[train.params]
power = 1
"""

# Stdlib only: a training that imports nothing starts in 20 ms.
SCRIPT = """\
import json, os, pathlib

params = json.load(open(os.environ["ANCHORED_PARAMS"]))
total = sum(int(line) ** params["power"] for line in open("data/numbers.csv"))
pathlib.Path("models").mkdir(exist_ok=True)
pathlib.Path("models/model.bin").write_text(f"{total}\\n")
pathlib.Path("report-1.txt").write_text("report\\n")
json.dump({"total": total}, open("metrics.json", "w"))
print("total is", total)
"""


class Repo:
    """A training repo at `root`; beside it lie its bare Git remote and its DVC remote."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.origin = root.parent / "origin.git"
        self.store = root.parent / "store"

    def git(self, *args: str, cwd: Path | None = None) -> str:
        """Output of plain git, stripped."""
        done = subprocess.run(
            ["git", *args], cwd=cwd or self.root, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def dvc(self, *args: str) -> str:
        done = forked.dvc(*args, cwd=self.root, env=os.environ)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, path: str, content: str | bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            file.write_text(textwrap.dedent(content), encoding="utf-8")
        return file

    def commit(self, message: str = "Change") -> str:
        """Commits all that Git does not ignore, but for untracked inputs of the configuration."""
        self.git("add", "--all", "--", ":/", ":(exclude)data")
        self.git("commit", "--quiet", "--no-verify", "--message", message)
        return self.head

    def configure(self, old: str, new: str) -> None:
        """Replaces a part of anchored.toml and commits."""
        text = (self.root / "anchored.toml").read_text()
        assert old in text
        self.write("anchored.toml", text.replace(old, new))
        self.commit("Configure")

    def use_wandb(self) -> None:
        """Makes W&B the tracker, offline, and commits."""
        self.write(".gitignore", (self.root / ".gitignore").read_text() + "wandb/\n")
        self.configure("[data]", '[tracker]\nkind = "wandb"\nmode = "offline"\n\n[data]')

    def script(self, text: str) -> None:
        """Replaces train.py and commits."""
        self.write("train.py", text)
        self.commit("Change training")

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def anchored(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """What the command does; never raises for its exit code. Only its start is not a user's."""
        return forked.anchored(*args, cwd=self.root, env=os.environ | env)

    def anchored_started(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """The command as a user runs it, from the start of Python, and with what loads aside."""
        return subprocess.run(
            [sys.executable, "-m", "anchored", *args],
            cwd=self.root, env={**os.environ, **env}, capture_output=True, text=True,
            timeout=240, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def open(self, report: Any = None, tracker: str | None = None, run: str = "") -> Any:
        return open_repo(self.root, report or Silent(), tracker, run)

    def run(self, name: str | None = "one", report: Report = SILENT, **asked: Any) -> RunRecord:
        """One sealed run, by the flow itself, in this process and without Prefect."""
        return self.sealed(name, report, **asked).run

    def sealed(self, name: str | None = "one", report: Report = SILENT, **asked: Any) -> Sealed:
        """As `run`, with what became of the branch."""
        from flows.experiment import experiment

        with reporting_to(report):
            return experiment.fn(repo=str(self.root), run_name=name, **asked)

    def finish(self, key: str, report: Report = SILENT) -> Sealed:
        """A run that was opened in this process, brought to its end."""
        from flows.experiment import sealed_run

        with reporting_to(report):
            return sealed_run(RepoChoice(str(self.root)), self.open().journal(key))

    def retrain(self, name: str | None = None, report: Report = SILENT, **asked: Any) -> Retrained:
        from flows.retrain import retrain

        with reporting_to(report):
            return retrain.fn(repo=str(self.root), run_name=name, **asked)

    def promote(
        self, name: str, alias: str = "champion", tracker: str | None = None
    ) -> ModelVersion:
        workspace = self.open(tracker=tracker)
        return promote(workspace, found(workspace, name), alias=alias)

    def reproduce(self, wanted: str, report: Report = SILENT, **asked: Any) -> Reproduction:
        from flows.reproduce import reproduce

        with reporting_to(report):
            return reproduce.fn(run_name=wanted, repo=str(self.root), **asked)

    def audit(self, *, deep: bool = False, tracker: Any = None) -> Audit:
        """What an audit found, be it that runs are lost."""
        from flows.audit import audit

        try:
            with reporting_to(SILENT):
                return audit.fn(repo=str(self.root), deep=deep, tracker=tracker)
        except RunsLost as lost:
            return lost.audit

    def foreign(self, name: str, experiment: str = "sums", **tags: str) -> str:
        """The id of a run that a script of the user's own logged, with metrics if there are any."""
        from mlflow.entities import Metric, RunTag
        from mlflow.tracking import MlflowClient

        client = MlflowClient(f"sqlite:///{self.root}/mlflow.db")
        known = client.get_experiment_by_name(experiment)
        where = (
            known.experiment_id
            if known
            else client.create_experiment(experiment, (self.root / "mlruns").as_uri())
        )
        run_id = client.create_run(where, run_name=name).info.run_id
        file = self.root / "metrics.json"
        metrics = json.loads(file.read_text()) if file.exists() else {}
        client.log_batch(
            run_id,
            metrics=[Metric(key, value, 0, 0) for key, value in metrics.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        client.set_terminated(run_id)
        return str(run_id)

    def runs(self) -> list[RunRecord]:
        """The tracker's runs, newest first."""
        from anchored.history.find import listed

        return list(listed(self.open()))

    def artifact(self, run_id: str, path: str) -> bytes | None:
        content: bytes | None = self.open().tracker.artifact(run_id, path)
        return content

    def tags(self, run_id: str) -> dict[str, str]:
        return dict(self.open().tracker.run(run_id).tags)

    def state(self) -> TreeState:
        """All of the user's that a run must leave alone."""
        return TreeState(
            head=self.head,
            branch=self.git("rev-parse", "--abbrev-ref", "HEAD"),
            status=self.git("status", "--porcelain", "--ignored"),
            index=self.git("ls-files", "--stage"),
            stash=self.git("stash", "list"),
            worktrees=self.git("worktree", "list"),
        )


@dataclass(frozen=True)
class TreeState:
    """HEAD, index, working tree and stash, as Git tells of them."""

    head: str
    branch: str
    status: str
    index: str
    stash: str
    worktrees: str


def make_template(folder: Path) -> Path:
    """A training repo `work`, its Git remote `origin.git` and its DVC remote `store`.

    The MLflow database is migrated already: that takes seconds, and no test is about it.
    """
    work = folder / "work"
    env = {**os.environ, **clean_env(folder)}
    identity = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org",
                "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org"}  # fmt: skip

    def call(*args: str) -> None:
        subprocess.run(args, cwd=work, env=env | identity, check=True, capture_output=True)

    work.mkdir(parents=True)
    call("git", "init", "--quiet", "--initial-branch=main")
    call("git", "init", "--quiet", "--bare", "--initial-branch=main", "../origin.git")
    call("git", "remote", "add", "origin", "../origin.git")
    call(sys.executable, "-m", "dvc", "init", "--quiet")
    call(sys.executable, "-m", "dvc", "remote", "add", "--quiet", "-d", "store", "../store")
    (work / "data").mkdir()
    (work / "data/numbers.csv").write_text("".join(f"{n}\n" for n in range(100)))
    (work / "anchored.toml").write_text(CONFIG)
    (work / "train.py").write_text(SCRIPT)
    (work / ".gitignore").write_text("mlflow.db\nmlruns/\nmetrics.json\nreport-*.txt\n")
    call("git", "add", ".gitignore", "anchored.toml", "train.py", ".dvc", ".dvcignore")
    call("git", "commit", "--quiet", "--message", "Begin")
    call("git", "push", "--quiet", "--set-upstream", "origin", "main")
    migrate = "import sys; from mlflow.tracking import MlflowClient; MlflowClient(sys.argv[1]).search_experiments()"
    call(sys.executable, "-c", migrate, "sqlite:///mlflow.db")
    return folder


def pointers_at(repo: Repo, commit: str) -> dict[str, dict[str, Any]]:
    """Every `.dvc` file of a commit, by its path, read with git and PyYAML alone."""
    names = repo.git("ls-tree", "-r", "--name-only", "-z", commit).split("\0")
    return {
        name: yaml.safe_load(repo.git("show", f"{commit}:{name}"))
        for name in names
        if name.endswith(".dvc")
    }


def result_of(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON that a command with `--json` printed."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
