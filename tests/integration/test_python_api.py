"""The Python API: the same flows, their results as values, and nothing of the caller's changed."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable

import pandas as pd
import pytest

import anchored
from anchored.errors import DirtyTree, NotReady, TrainingFailed, UnknownRun
from tests.repos import Repo
from tests.services.prefect_server import PrefectServer

GATE = """\
[retrain]
metric = "total"
goal = "max"
registered_model = "sums"

[train.params]
"""

# In an interpreter of its own: two repos in two threads, and what the process was before.
THREADS = """
import json, logging, os, signal, sys
from concurrent.futures import ThreadPoolExecutor

def state():
    known = {"root": logging.root, **logging.root.manager.loggerDict}
    loggers = {
        name: (log.level, log.disabled, log.propagate, tuple(log.handlers), tuple(log.filters))
        for name, log in known.items()
        if isinstance(log, logging.Logger) and not name.startswith("prefect")
    }
    signals = {number: signal.getsignal(number) for number in signal.valid_signals()}
    return dict(os.environ), signals, loggers

before = state()
import anchored
repos = [anchored.open(path, prefect=False) for path in sys.argv[1:]]
with ThreadPoolExecutor(2) as threads:
    runs = list(threads.map(lambda repo: [repo.run(f"r{n}", params={"power": n}) for n in (1, 2)], repos))
after = state()
assert after[:2] == before[:2]
assert {name: after[2][name] for name in before[2]} == before[2]
found = [[run.name for run in repo.runs()] for repo in repos]
print(json.dumps([[[run.run_id for run in own] for own in runs], found]))
"""


def test_a_day_in_python(repo: Repo, caplog: pytest.LogCaptureFixture) -> None:
    repo.configure("[train.params]\n", GATE)
    opened = anchored.open(repo.root, prefect=False)
    with caplog.at_level(logging.INFO, "anchored"):
        one = opened.run("one")
    assert "total is 4950" in caplog.text
    assert (one.state, one.metrics, one.prefect.flow_run_id) == ("sealed", {"total": 4950}, "")
    retrained = opened.retrain("two", params={"power": 2})
    assert (retrained.outcome, retrained.run.name) == ("promoted", "two")
    assert opened.show("@champion").run_id == retrained.run.run_id

    differs = opened.diff("one", "two")
    assert differs.params["power"].after == 2
    assert opened.reproduce("one", tolerances={"total": 0.5}).verdict == "identical"
    restored = opened.restore("one")
    assert {file.path for file in restored.files} == {"data/numbers.csv", "models/model.bin"}
    assert opened.promote("one").aliases == ("champion",)
    audit = opened.audit()
    assert (audit.is_clean, audit.runs) == (True, 2)
    assert opened.resume() == ()

    runs = opened.runs()
    assert [run.reproduces for run in runs] == [one.run_id, None, None]
    frame = runs.to_pandas().set_index("run_id")
    assert frame.loc[one.run_id, "metrics.total"] == 4950
    assert frame.loc[one.run_id, "data.data/numbers.csv"] == one.data[0].md5
    assert isinstance(frame["started"].dtype, pd.DatetimeTZDtype)
    for value in (one, runs, retrained, differs, audit, opened.promote("one")):
        shown = value._repr_html_()
        assert shown.startswith("<table>")
        assert "color" not in shown


def test_errors_are_those_of_the_commands(repo: Repo) -> None:
    opened = anchored.open(repo.root, prefect=False)
    with pytest.raises(UnknownRun):
        opened.show("nothing")
    repo.write("train.py", "raise SystemExit(3)\n")
    with pytest.raises(DirtyTree):
        opened.run("dirty")
    repo.commit()
    with pytest.raises(TrainingFailed, match="exit status 3"):
        opened.run("bad")
    assert opened.show("bad").state == "failed"
    with pytest.raises(NotReady, match="no Prefect server"):
        anchored.open(repo.root, prefect=True).run("never")
    (repo.store / "files").rename(repo.store / "gone")
    assert opened.audit().findings[0].problem == "unsealed"


def test_names_that_others_chose_are_text_in_a_notebook(repo: Repo) -> None:
    opened = anchored.open(repo.root, prefect=False)
    repo.foreign("<script>alert(1)</script>\u202e", git_commit=repo.head)
    shown = opened.runs()._repr_html_() + opened.runs()[0]._repr_html_()
    assert "<script>" not in shown
    assert "\u202e" not in shown
    assert "&lt;script&gt;" in shown


def test_a_configured_server_shows_the_same_flow(
    repo: Repo, prefect_server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: prefect_server.api_url}):
        run = anchored.open(repo.root).run("heard")
    assert run.prefect.flow_run_id
    assert run.prefect.url.endswith(run.prefect.flow_run_id)


def test_two_repos_in_two_threads(new_repo: Callable[[str], Repo]) -> None:
    repos = [new_repo("red"), new_repo("blue")]
    argv = [sys.executable, "-c", THREADS, *(str(repo.root) for repo in repos)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made, found = json.loads(done.stdout.splitlines()[-1])
    assert found == [["r2", "r1"], ["r2", "r1"]]
    for repo, ids in zip(repos, made, strict=True):
        assert {run.run_id for run in repo.runs()} == set(ids)
