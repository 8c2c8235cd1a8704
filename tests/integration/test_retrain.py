"""Retrain: new data in a worktree, nothing repeated, and a gate before the champion."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from anchored.decisions.gate import Outcome
from anchored.errors import (
    BadInput,
    BadName,
    BadParam,
    InputChanged,
    NotReady,
    RefreshFailed,
    TrainingFailed,
    WrongUse,
)
from anchored.history.aliases import run_of_alias
from anchored.ports import Silent
from anchored.records import RunRecord
from anchored.retrain import gate
from anchored.retrain.equal_run import equal_run
from anchored.retrain.refresh import refresh
from anchored.run.open import RetrainInputs, RunRequest
from tests.killed import assert_cache_is_whole
from tests.proof import assert_sealed
from tests.repos import Repo, pointers_at

Sealed = tuple[Repo, RunRecord]
# Brings one more number every time that the archive has one.
FETCH = """\
import os, pathlib
archive = pathlib.Path(os.environ["ARCHIVE"]).read_text().split()
here = pathlib.Path("data/numbers.csv")
lines = here.read_text().split() if here.exists() else []
here.parent.mkdir(exist_ok=True)
here.write_text("".join(f"{n}\\n" for n in dict.fromkeys([*lines, *archive])))
print("fetched", len(archive))
"""
RETRAIN = """
[retrain]
metric = "total"
goal = "max"
registered_model = "sums_model"
"""


def with_gate(repo: Repo) -> None:
    """The repo fetches from an archive, and has a gate."""
    repo.write("fetch.py", FETCH)
    inputs = 'inputs = ["data/numbers.csv"]'
    repo.configure(inputs, f'{inputs}\nrefresh = "python fetch.py"')
    repo.write("anchored.toml", (repo.root / "anchored.toml").read_text() + RETRAIN)
    repo.commit("Set up retraining")


def retrained_once(repo: Repo) -> RunRecord:
    """A champion, trained with the archive's number besides what was there."""
    with_gate(repo)
    archive = repo.root.parent / "archive"
    archive.write_text("1000\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARCHIVE", str(archive))
        return repo.retrain("one").run


def brought_by_hand(repo: Repo) -> RunRecord:
    """A run on all that the archive has."""
    with_gate(repo)
    repo.write("data/numbers.csv", "1\n1000\n")
    return repo.run("one")


@pytest.fixture
def champ(archive_file: Path, prepared_by: Callable[..., Sealed]) -> Sealed:
    return prepared_by(retrained_once)


@pytest.fixture
def current(archive_file: Path, prepared_by: Callable[..., Sealed]) -> Sealed:
    return prepared_by(brought_by_hand)


@pytest.fixture
def archive_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where new numbers come from."""
    file = tmp_path / "archive"
    file.write_text("1000\n")
    monkeypatch.setenv("ARCHIVE", str(file))
    return file


@pytest.fixture
def archive(repo: Repo, archive_file: Path) -> Path:
    with_gate(repo)
    return archive_file


def fresh(repo: Repo) -> RetrainInputs:
    return refresh(repo.open(), RunRequest())


def equal(repo: Repo, **params: object) -> str | None:
    found = equal_run(repo.open(), fresh(repo), params)
    return None if found is None else found.run.name


def test_new_data_come_in_a_private_tree(repo: Repo, archive: Path) -> None:
    first = repo.run("one")
    repo.write("data/numbers.csv", "7\n")  # half done, by the user
    repo.write("notes.txt", "untracked\n")
    before = repo.state()
    found = fresh(repo)
    assert repo.state() == before
    assert (repo.root / "data/numbers.csv").read_text() == "7\n"
    assert found.changed == ("data/numbers.csv",)
    run = repo.retrain("two").run
    assert_sealed(repo, run)
    assert run.data == found.data
    assert run.metrics["total"] == first.metrics["total"] + 1000
    assert (repo.root / "data/numbers.csv").read_text() == "7\n"
    assert repo.git("status", "--porcelain") == "?? notes.txt"
    assert pointers_at(repo, repo.head)["data/numbers.csv.dvc"]["outs"][0]["md5"] == run.data[0].md5


def test_copies_are_real_and_the_cache_is_whole_whatever_refresh_does(
    repo: Repo, archive: Path
) -> None:
    run = repo.run("one")
    repo.write("fetch.py", 'open("data/numbers.csv", "a").write("5\\n")\nopen("train.py", "w")\n')
    repo.commit("Append in place")
    first = fresh(repo)
    assert first.data != run.data
    assert fresh(repo).data == first.data
    assert repo.retrain("two").run.metrics["total"] == run.metrics["total"] + 5
    assert repo.reproduce("one").verdict == "identical"


def test_a_refresh_that_fails_opens_no_run(repo: Repo, archive: Path) -> None:
    repo.run("one")
    archive.unlink()
    before = repo.state()
    with pytest.raises(RefreshFailed, match="refresh ended with exit status 1") as failure:
        repo.retrain("two")
    assert "FileNotFoundError" in "\n".join(failure.value.tail)
    assert repo.state() == before
    assert [run.name for run in repo.runs()] == ["one"]
    repo.write("fetch.py", 'import os; os.remove("data/numbers.csv")\n')
    repo.commit("Lose the data")
    with pytest.raises(BadInput, match=r"not there after data\.refresh"):
        repo.retrain("two")


def test_inputs_of_the_first_run_may_come_from_refresh_alone(repo: Repo, archive: Path) -> None:
    (repo.root / "data/numbers.csv").unlink()
    assert repo.retrain("one").run.metrics == {"total": 1000}
    repo.configure('refresh = "python fetch.py"\n', "")
    repo.configure('"data/numbers.csv"', '"data/others.csv"')
    with pytest.raises(BadInput, match=r"data/others.csv: is not versioned by any commit yet"):
        repo.retrain("two")


def test_training_is_skipped_where_it_would_only_repeat_a_run(
    current: Sealed, archive_file: Path
) -> None:
    repo, _ = current
    assert equal(repo) == "one"
    repo.run("other", params={"power": 2})
    assert equal(repo) == "one"
    assert equal(repo, power=2) == "other"
    assert equal(repo, power=3) is None
    retrained = repo.retrain("two")
    assert (retrained.outcome, retrained.run.name) == (Outcome.SKIPPED, "one")
    assert [run.name for run in repo.runs()] == ["other", "one"]
    repo.write("README", "another file\n")
    repo.commit()
    assert equal(repo) is None  # the source tree is another
    repo.git("rm", "--quiet", "README")
    repo.git("commit", "--quiet", "--message", "Back")
    assert equal(repo) == "one"  # whatever the commit
    archive_file.write_text("1001\n")
    assert equal(repo) is None


def test_another_environment_is_another_run(
    current: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo, _ = current
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    told: list[str] = []
    monkeypatch.setattr(Silent, "say", lambda _self, text: told.append(text))
    assert equal(repo) is None
    assert told[-1] == "all is as in run 'one', but for the environment"
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert equal(repo) == "one"


def test_runs_that_failed_or_reproduce_are_equal_to_nothing(repo: Repo, archive: Path) -> None:
    repo.write("data/numbers.csv", "1\n1000\n")
    repo.script("import nothing")
    with pytest.raises(TrainingFailed):
        repo.run("broken")
    assert equal(repo) is None


def test_the_champion_is_what_is_better_and_nothing_else(repo: Repo, archive: Path) -> None:
    first = repo.retrain("one")
    assert (first.outcome, first.decision.reason) == (Outcome.PROMOTED, "there is no champion yet")
    assert first.version.aliases == ("champion",)
    archive.write_text("-1\n")
    worse = repo.retrain("two")
    assert worse.outcome == Outcome.REFUSED
    assert worse.decision.improvement == -1
    assert champion(repo) == first.run.run_id
    assert_sealed(repo, worse.run)  # refused, and a run all the same
    kept = json.loads(repo.artifact(worse.run.run_id, "anchored/gate.json"))
    best = first.run.metrics["total"]
    assert (kept["passed"], kept["value"], kept["champion_value"]) == (False, best - 1, best)
    assert repo.tags(worse.run.run_id)["anchored.gate"] == "refused"
    again = repo.retrain("three")
    assert (again.outcome, again.run.name) == (Outcome.SKIPPED, "two")
    archive.write_text("5000\n")
    better = repo.retrain("four")
    assert (better.outcome, better.version.version) == (Outcome.PROMOTED, "2")
    assert champion(repo) == better.run.run_id


def test_a_retrain_that_was_cut_off_before_the_gate_is_judged_by_the_next(
    repo: Repo, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(gate, "judge", cut_off)
        with pytest.raises(KeyboardInterrupt):
            repo.retrain("one")
    (run,) = repo.runs()
    assert run.state == "sealed"
    assert repo.tags(run.run_id)["anchored.gate"] == "pending"
    retrained = repo.retrain("two")
    assert (retrained.outcome, retrained.run.name) == (Outcome.PROMOTED, "one")
    assert len(repo.runs()) == 1


EVALUATE = """\
import json, os, pathlib
total = int(pathlib.Path("models/model.bin").read_text())
wanted = sum(int(line) for line in open("data/numbers.csv"))
power = json.load(open(os.environ["ANCHORED_PARAMS"]))["power"]
json.dump({"total": 0, "error": abs(wanted - total), "power": power}, open("metrics.json", "w"))
"""


def test_both_models_are_evaluated_on_the_same_data(repo: Repo, archive: Path) -> None:
    repo.write("evaluate.py", EVALUATE)
    repo.configure(
        'metric = "total"\ngoal = "max"', 'metric = "error"\nevaluate = "python evaluate.py"'
    )
    first = repo.retrain("one")
    assert (
        first.outcome == Outcome.REFUSED
    )  # its own metrics, for there is nothing to evaluate with
    repo.promote("one")
    archive.write_text("1001\n")
    second = repo.retrain("two")
    assert second.outcome == Outcome.PROMOTED
    assert second.decision.evaluated
    assert (second.decision.value, second.decision.champion_value) == (0, 1001)
    # Inputs are links into the cache: what an evaluation does to them is mended, however it ends.
    spoil = 'import os\nos.chmod("data/numbers.csv", 0o644)\nopen("data/numbers.csv", "w")\nraise SystemExit(3)\n'
    repo.write("evaluate.py", spoil)
    repo.commit("Change inputs")
    archive.write_text("1002\n")
    with pytest.raises(InputChanged, match=r"retrain\.evaluate changed its own inputs"):
        repo.retrain("three")
    assert_cache_is_whole(repo)
    assert champion(repo) == second.run.run_id


def test_a_champion_that_nobody_can_compare_with_is_not_replaced(repo: Repo, archive: Path) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{repo.root}/mlflow.db")
    client.create_registered_model("sums_model")
    version = client.create_model_version("sums_model", str(repo.root / "models"))
    client.set_registered_model_alias("sums_model", "champion", version.version)
    retrained = repo.retrain("one")
    assert retrained.outcome == Outcome.REFUSED
    assert retrained.decision.reason == "the champion, version 1, names no run to compare with"
    repo.promote("one")
    archive.write_text("5000\n")
    assert repo.retrain("two").outcome == Outcome.PROMOTED


def test_a_decision_is_made_again_where_another_became_champion_meanwhile(champ: Sealed) -> None:
    repo, _ = champ
    repo.write("data/numbers.csv", "9000\n")
    best = repo.run("best")
    workspace, run = repo.open(), repo.run("middle", params={"power": 1})
    run = run.with_(metrics={"total": 8000})
    decision = gate.judge(workspace, run)
    assert decision.passed
    repo.promote("best")
    settled = gate.promote_if_better(workspace, run, decision)
    assert (settled.outcome, settled.decision.champion) == (Outcome.REFUSED, best.run_id)
    assert champion(repo) == best.run_id


def test_a_decision_survives_a_cut_behind_the_promotion(champ: Sealed, archive_file: Path) -> None:
    repo, _ = champ
    archive_file.write_text("5000\n")
    first = repo.retrain("two")
    repo.open().tracker.log(first.run.run_id, tags={"anchored.gate": "pending"})
    again = repo.retrain("three")
    assert (again.outcome, again.decision) == (first.outcome, first.decision)
    assert again.version.version == first.version.version
    assert again.decision.improvement == 5000


def test_without_a_gate_a_retrain_ends_with_the_seal(repo: Repo, archive: Path) -> None:
    repo.configure(RETRAIN, "")
    retrained = repo.retrain("one")
    assert (retrained.outcome, retrained.decision) == (Outcome.SEALED, None)
    assert_sealed(repo, retrained.run)
    assert repo.retrain("two").outcome == Outcome.SKIPPED


def test_params_that_a_script_logs_by_itself_are_no_change(repo: Repo, archive: Path) -> None:
    repo.configure("[train.params]\npower = 1\n", "")
    repo.script(
        "import mlflow, pathlib, json\n"
        "with mlflow.start_run():\n    mlflow.log_param('depth', 3)\n"
        "pathlib.Path('models').mkdir(exist_ok=True)\npathlib.Path('models/model.bin').write_text('1')\n"
        "json.dump({'total': 1}, open('metrics.json', 'w'))\n"
    )
    assert repo.retrain("one").outcome == Outcome.PROMOTED
    assert repo.retrain("two").outcome == Outcome.SKIPPED


def test_what_is_half_done_in_the_folder_plays_no_part(repo: Repo, archive: Path) -> None:
    repo.write("data/.gitignore", "*.dvc\n")
    repo.write("train.py", "half a line (")
    text = (repo.root / "anchored.toml").read_text()
    repo.write("anchored.toml", text.replace("sums_model", "another").replace('"total"', '"no"'))
    retrained = repo.retrain("one")
    assert retrained.version.model == "sums_model"
    assert "*.dvc" not in repo.git("show", f"{retrained.run.git.commit}:data/.gitignore")
    repo.write("anchored.toml", text.replace('"sums"', '"elsewhere"'))
    with pytest.raises(NotReady, match="another tracker or experiment than its committed state"):
        repo.retrain("two")


def test_what_cannot_be_retrained_is_refused_before_data_are_brought(
    repo: Repo, archive: Path
) -> None:
    repo.write("fetch.py", f"open({str(archive)!r}, 'w').write('fetched')\n")
    repo.commit("Tell")
    with pytest.raises(BadParam, match="unknown parameter 'powr'"):
        repo.retrain("one", params={"powr": 2})
    with pytest.raises(BadName):
        repo.retrain("")
    assert repo.runs() == []
    repo.configure('metric = "total"', 'metric = "total"\nevaluate = "python e.py {nothing}"')
    with pytest.raises(WrongUse, match=r"retrain.evaluate: \{nothing\} is not among"):
        repo.retrain("one")
    assert archive.read_text() == "1000\n"


def test_a_link_out_of_the_tree_is_no_data(repo: Repo, archive: Path) -> None:
    repo.run("one")
    repo.write(
        "fetch.py",
        f"import os\nos.remove('data/numbers.csv')\nos.symlink({str(archive)!r}, 'data/numbers.csv')\n",
    )
    repo.commit("Link")
    with pytest.raises(BadInput, match="a link that leaves the tree"):
        repo.retrain("two")


def champion(repo: Repo) -> str:
    return run_of_alias(repo.open().tracker, "sums_model", "champion")
