"""What W&B offline alone promises: nothing steers its entries, and nothing is left of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from anchored.adapters.wandb.log import segments
from anchored.adapters.wandb.place import runs_at
from anchored.records import Ended
from tests.contract.backends import NOW, WandbOffline, opened
from tests.killed import wait_for

ENTRIES = """\
import os, sys
from datetime import datetime, UTC
from pathlib import Path
from anchored.workspace.tracker_process import TrackerProcess, TrackerProxy
from anchored.adapters.wandb.place import runs_at
from anchored.adapters.wandb.tracker import WandbTracker
from anchored.ports import LoggedFiles
from anchored.records import Ended

process = TrackerProcess("anchored.adapters.wandb.tracker", "")
tracker = TrackerProxy(process, WandbTracker(runs_at(
    Path.cwd(), os.environ, project="sums", entity=None, mode="offline", base_url=None)))
run_id = tracker.open_run(name="one", tags={}, started=datetime.now(UTC)).run_id
files = LoggedFiles(texts={"anchored/run.json": b"{}", "x.tmp": b""})
tracker.log(run_id, params={"a": 1}, metrics={"m": 1.0}, files=files, tags={"git_commit": "1"})
tracker.end_run(run_id, Ended.FINISHED, name="one", ended=datetime.now(UTC))
"""
STEERED = {
    "MODE": "disabled", "DISABLED": "true", "RUN_ID": "other", "RESUME": "must", "PROJECT": "other",
    "NAME": "other", "TAGS": "a,b", "NOTES": "noted", "RUN_GROUP": "group", "SWEEP_ID": "sweep",
    "JOB_TYPE": "train", "IGNORE_GLOBS": "*.json,*.tmp", "SILENT": "false", "CONSOLE": "wrap",
    "X_PRIMARY": "false", "SAVE_CODE": "true", "FORK_FROM": "other?_step=1",
}  # fmt: skip
SETTINGS = """\
[default]
mode = disabled
project = other
run_id = other
ignore_globs = *.json
resume = must
"""


INITS = [
    "", 'name="its own"', 'project="mine"', 'tags=["a"], notes="n", group="g", job_type="j"',
    'mode="offline"', 'resume="allow"', "save_code=True", 'reinit="create_new"',
]  # fmt: skip
# A process of its own for each way to begin a run, of one that has W&B imported.
JOINING = """\
import json, os, sys, wandb

def train(init):
    run = eval(f"wandb.init(config={{'depth': 3, 'net': {{'width': 8}}}}, {init})")
    for step in range(5):
        run.log({"score": step / 4, "val": {"loss": 1 - step / 4}})
    run.config.update({"git_commit": "nonsense", "anchored.state": "mine", "team": "oceans"})
    open("hello.txt", "w").write("hello")
    run.save("hello.txt", policy="now")
    run.finish()
    wandb.finish()
    return run.id

for init, variables in json.loads(sys.argv[1]).items():
    if not (child := os.fork()):
        os.mkdir(variables["WANDB_RUN_ID"])
        os.chdir(variables["WANDB_RUN_ID"])
        os.environ.update(variables)
        os._exit(train(init) != variables["WANDB_RUN_ID"])
    assert os.waitpid(child, 0)[1] == 0, init
"""


def recorded(folder: Path, then: str = "") -> subprocess.CompletedProcess[str]:
    """A process that records a run in a folder, with its tracker aside."""
    return subprocess.run(
        [sys.executable, "-c", ENTRIES + then],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(params=["variables", "settings"])
def steered(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    isolated: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A folder whose user sends W&B's runs elsewhere, or nowhere."""
    if request.param == "variables":
        for name, value in STEERED.items():
            monkeypatch.setenv(f"WANDB_{name}", value)
    else:
        for file in (isolated / ".config/wandb/settings", tmp_path / "wandb/settings"):
            file.parent.mkdir(parents=True)
            file.write_text(SETTINGS)
    return tmp_path


def test_an_entry_is_what_it_is_whatever_steers_others(steered: Path) -> None:
    done = recorded(steered)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (run,) = WandbOffline(steered).tracker("sums").runs()
    assert (run.name, run.params, run.metrics) == ("one", {"a": "1"}, {"m": 1.0})
    assert (run.ending, run.tags["git_commit"]) == (Ended.FINISHED, "1")
    found = segments(steered / "wandb")
    assert {(s.run_id, s.project, s.exit_code) for s in found} == {(run.run_id, "sums", 0)}
    assert ["anchored/run.json", "x.tmp"] in [sorted(s.files) for s in found]


def test_a_script_joins_however_it_starts_its_run(tmp_path: Path) -> None:
    backend = WandbOffline(tmp_path / "repo")
    tracker = backend.tracker("sums")
    ids = {init: opened(tracker, "our name") for init in INITS}
    variables = {init: dict(tracker.training_variables(run_id)) for init, run_id in ids.items()}
    (tree := tmp_path / "tree").mkdir()
    argv = [sys.executable, "-c", JOINING, json.dumps(variables)]
    done = subprocess.run(argv, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ours = {"git_commit": "1" * 40, "anchored.state": "sealed"}
    for init, run_id in ids.items():
        tracker.log(run_id, params={"power": 1}, tags=ours)
        tracker.end_run(run_id, Ended.FINISHED, name="our name", ended=NOW)
        run = tracker.run(run_id)
        assert (run.name, run.ending) == ("our name", Ended.FINISHED), init
        assert run.metrics == {"score": 1.0, "val.loss": 0.0}, init
        assert run.params == {"power": "1", "depth": "3", "net.width": "8", "team": "oceans"}, init
        assert run.tags.items() >= {**ours, "team": "oceans"}.items(), init
        assert tracker.artifact(run_id, "hello.txt") == b"hello", init
    assert {run.run_id for run in tracker.runs()} == set(ids.values())


@pytest.mark.parametrize("end", ["", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
def test_nothing_runs_on_when_the_process_has_ended(tmp_path: Path, end: str) -> None:
    seen = "\nimport psutil; print([p.pid for p in psutil.Process().children(recursive=True)], flush=True)\n"
    done = recorded(tmp_path, seen + end)
    assert done.returncode == (-signal.SIGKILL if end else 0), done.stderr
    children = [int(pid) for pid in done.stdout.strip("[]\n").split(",")]
    assert len(children) == 2, "the tracker, and W&B's service"
    wait_for(lambda: not any(map(psutil.pid_exists, children)))


def test_runs_are_hidden_from_git(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    opened(WandbOffline(tmp_path).tracker())
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=tmp_path, capture_output=True, check=True
    )
    assert status.stdout == b""


@pytest.mark.parametrize("mode", ["", "offline", "dryrun", "disabled"])
def test_runs_stay_here_without_a_key_or_where_the_environment_says_so(
    tmp_path: Path, mode: str
) -> None:
    said = {"WANDB_MODE": mode, "WANDB_API_KEY": "1" * 40} if mode else {}
    runs = runs_at(
        tmp_path, {"HOME": str(tmp_path)} | said,
        project="sums", entity="lab", mode=None, base_url=None,
    )  # fmt: skip
    assert runs.place == (tmp_path / "wandb").as_uri()


def test_metrics_that_a_script_kept_to_itself_are_found(tmp_path: Path) -> None:
    """As one does that is not told of the run: it logs into the tree where it ran."""
    backend = WandbOffline(tmp_path / "repo")
    tracker = backend.tracker()
    (tree := tmp_path / "tree").mkdir()
    code = "import wandb\nfor n in (1, 2):\n  with wandb.init() as run: run.log({'loss': n})"
    env = {**os.environ, "WANDB_MODE": "offline"}
    subprocess.run([sys.executable, "-c", code], cwd=tree, env=env, check=True, capture_output=True)
    assert tracker.metrics_kept_in(tree) == {"loss": 2.0}
    assert tracker.metrics_kept_in(tmp_path / "elsewhere") == {}
