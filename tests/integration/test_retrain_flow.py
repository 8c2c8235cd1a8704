"""`anchored retrain` as a user runs it, on a real Prefect server."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.repos import Repo, result_of
from tests.services.prefect_server import PrefectServer

FETCH = """\
import os, pathlib, time
deadline = time.monotonic() + 60
while not os.path.exists(os.environ["GATE"]) and time.monotonic() < deadline:
    time.sleep(0.05)
pathlib.Path("data/numbers.csv").write_text(open(os.environ["ARCHIVE"]).read())
"""
RETRAIN = """
[retrain]
metric = "total"
goal = "max"
registered_model = "sums_model"
alias = "challenger"
"""


def test_a_retrain_from_the_command_line(
    repo: Repo, prefect_server: PrefectServer, api: Callable[..., Any], tmp_path: Path
) -> None:
    archive, gate = tmp_path / "archive", tmp_path / "gate"
    archive.write_text("1\n2\n")
    gate.touch()
    repo.write("fetch.py", FETCH)
    inputs = 'inputs = ["data/numbers.csv"]'
    repo.configure(inputs, f'{inputs}\nrefresh = "python fetch.py"')
    repo.write("anchored.toml", (repo.root / "anchored.toml").read_text() + RETRAIN)
    repo.commit("Set up retraining")
    repo.run("by hand")
    repo.promote("by hand")
    env = {**prefect_server.env, "ARCHIVE": str(archive), "GATE": str(gate)}

    worse = repo.anchored("retrain", "--name", "worse", "--json", **env)
    assert worse.returncode == 1, worse.stderr
    told = json.loads(worse.stdout)
    assert (told["outcome"], told["gate"]["value"], told["gate"]["champion_value"]) == (
        "refused",
        3,
        4950,
    )
    assert told["run"]["state"] == "sealed"
    assert told["folder_behind"] == ["data/numbers.csv"]
    assert "your folder has an earlier version of data/numbers.csv" in worse.stderr
    assert (repo.root / "data/numbers.csv").read_text() != "1\n2\n"
    assert "refused: total 3, the champion's 4950: worse" in worse.stderr
    (flow_run,) = api("flow_runs/filter", flow_runs={"name": {"any_": ["worse"]}})
    assert (flow_run["state_type"], flow_run["state_name"]) == ("COMPLETED", "Refused")

    # Two at once: the second waits, and finds nothing left to do.
    gate.unlink()
    archive.write_text("5000\n")
    command = [sys.executable, "-m", "anchored", "retrain", "--pull", "--name"]
    both = [
        subprocess.Popen(
            [*command, name], cwd=repo.root, env={**os.environ, **env}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for name in ("first", "second")
    ]  # fmt: skip
    waiting = _one_that_waits(both)
    gate.touch()
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    outcomes = sorted(out.split(":")[0].split()[-1] for out, _ in said if "skipped" in out)
    assert outcomes == ["skipped"]
    assert "skipped" in said[both.index(waiting)][0]
    assert (repo.root / "data/numbers.csv").read_text() == "5000\n"
    assert repo.git("status", "--porcelain") == ""
    named = [run.name for run in repo.runs()]
    assert len(named) == 3
    shown = result_of(repo.anchored("show", "@challenger", "--json", **env))
    assert shown["name"] == named[0]
    assert result_of(repo.anchored("show", "@champion", "--json", **env))["name"] == "by hand"

    archive.unlink()
    failed = repo.anchored("retrain", **env)
    assert failed.returncode == 1
    assert "error: refresh ended with exit status 1" in failed.stderr
    assert "FileNotFoundError" in failed.stderr
    assert "hint: the command is 'python fetch.py'; no run was opened" in failed.stderr
    assert len(repo.runs()) == 3


def _one_that_waits(both: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    """The process that says so; the other one goes on when it is let."""
    with selectors.DefaultSelector() as selector:
        for process in both:
            selector.register(process.stderr, selectors.EVENT_READ, process)
        while True:
            for key, _ in selector.select(timeout=90):
                if "waiting for its end" in key.fileobj.readline():
                    return key.data
