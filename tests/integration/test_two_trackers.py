"""A repo that has changed its tracker: old runs stay where they are, and can be asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from anchored.cli import main as cli
from anchored.errors import AmbiguousRun, UnknownRun, WrongUse
from anchored.history.find import found, listed
from anchored.records import FlowLink
from anchored.restore.restore import restore
from anchored.resume.close import claim_unfinished, continue_run
from anchored.resume.flow_runs import close_dead
from anchored.run.open import RunRequest, open_run
from anchored.run.train import fetch_inputs
from anchored.run.version_data import push_data, version_data
from tests.killed import resume
from tests.repos import Repo, result_of
from tests.services.prefect_server import PrefectServer

MLFLOW = '[tracker]\nkind = "mlflow"\n'
WANDB = '[tracker]\nkind = "wandb"\n'
REGISTERED = '[retrain]\nmetric = "total"\nregistered_model = "summer"\n'


@pytest.fixture
def repo(repo: Repo) -> Repo:
    """A training repo that names MLflow as its tracker, and a registered model."""
    repo.configure("[train.params]", f"{REGISTERED}\n{MLFLOW}\n[train.params]")
    return repo


@pytest.fixture
def moved(repo: Repo) -> Repo:
    """The same with a run "v1" in MLflow, and since then W&B as the tracker."""
    repo.run("v1")
    repo.configure(MLFLOW, WANDB)
    return repo


def names(repo: Repo, tracker: str | None = None) -> list[str]:
    return [run.name for run in listed(repo.open(tracker=tracker))]


def printed(repo: Repo, capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    """The JSON of a command that is run in this process."""
    capsys.readouterr()
    assert cli.main([*argv, "--json", "--repo", str(repo.root)]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_run_of_the_other_tracker_is_named_and_nothing_is_made(
    moved: Repo, capsys: pytest.CaptureFixture[str]
) -> None:
    before = moved.state()
    assert cli.main(["list", "--repo", str(moved.root)]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        "", "no runs yet; another tracker has some: add --tracker mlflow\n",
    )  # fmt: skip
    done = moved.anchored("show", "v1", "--json")
    place = f"W&B at {(moved.root / 'wandb').as_uri()}; MLflow at sqlite:///{moved.root}/mlflow.db"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: no run answers to 'v1' in {place} has one\nhint: add --tracker mlflow\n"
    )
    known = found(moved.open(tracker="mlflow"), "v1")
    for wanted in (known.run_id, known.run_id[:6], "latest"):
        with pytest.raises(UnknownRun, match=r"MLflow at .* has one") as told:
            found(moved.open(), wanted)
        assert told.value.hint == "add --tracker mlflow"
    with pytest.raises(UnknownRun, match=r"^no run answers to 'nobody'\n"):
        found(moved.open(), "nobody")
    assert moved.state() == before
    assert not (moved.root / "wandb").exists()


def test_a_run_is_reproduced_and_audited_where_it_was_recorded(
    moved: Repo, prefect_server: PrefectServer
) -> None:
    option = ("--tracker", "mlflow", "--json")
    document = result_of(moved.anchored("reproduce", "v1", *option, **prefect_server.env))
    assert document["verdict"] == "identical"
    assert names(moved, "mlflow") == ["reproduction of v1", "v1"]
    again = found(moved.open(tracker="mlflow"), document["reproduction"])
    assert again.tracker.kind == "mlflow"
    assert again.prefect.flow_run_id
    result = result_of(moved.anchored("audit", *option, **prefect_server.env))
    assert (result["runs"], result["reproducible"]) == (1, 1)
    assert not (moved.root / "wandb").exists()
    assert moved.anchored("audit", "--tracker", "else").returncode == 2


def test_every_command_behaves_alike_with_both(
    moved: Repo, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    moved.promote("v1", tracker="mlflow")
    moved.run("v2", params={"power": 2})
    moved.promote("v2")
    pairs: dict[str, tuple[str, ...]] = {"v1": ("--tracker", "mlflow"), "v2": ()}
    for name, option in pairs.items():
        tracker = option[-1] if option else None
        (line,) = printed(moved, capsys, "list", *option)
        shown = printed(moved, capsys, "show", name, *option)
        assert (line["name"], shown["name"], shown["state"]) == (name, name, "sealed")
        assert shown["tracker"]["kind"] == (tracker or "wandb")
        assert shown["params"] == {"power": int(name[1])}
        assert printed(moved, capsys, "show", "@champion", *option) == shown
        assert printed(moved, capsys, "show", shown["run_id"][:6], *option) == shown
        changed = printed(moved, capsys, "diff", name, "latest", *option)
        assert (changed["data"], changed["code"]["files"]) == ([], [])
        back = restore(moved.open(tracker=tracker), name, str(tmp_path / name))
        assert {output.path for output in back.outputs} == {"data/numbers.csv", "models/model.bin"}
        audit = moved.audit(tracker=tracker)
        assert (audit.runs, audit.findings) == (2, ()), "run refs are those of both"
        assert moved.reproduce(name, tracker=tracker).verdict == "identical"
        assert names(moved, tracker) == [f"reproduction of {name}", name]
    with pytest.raises(UnknownRun, match=r"W&B at .* has one") as told:
        found(moved.open(tracker="mlflow"), "v2")
    assert told.value.hint == "add --tracker wandb"


def test_a_name_that_fits_several_runs_is_refused_in_each(moved: Repo) -> None:
    for power in (2, 3):
        moved.run("same", params={"power": power})
    with pytest.raises(AmbiguousRun, match="fits 2 runs"):
        found(moved.open(), "same")
    with pytest.raises(UnknownRun, match=r"W&B at .* has 2"):
        found(moved.open(tracker="mlflow"), "same")
    moved.configure(WANDB, MLFLOW)
    moved.run("same")
    assert found(moved.open(), "same").params == {"power": 1}, "a tracker's names are its own"


def test_back_from_wandb_and_without_a_database(repo: Repo) -> None:
    repo.configure(MLFLOW, WANDB + 'mode = "offline"\n')
    run = repo.run("w1")
    repo.configure(WANDB + 'mode = "offline"\n', MLFLOW)
    (repo.root / "mlflow.db").unlink()
    for wanted in ("w1", run.run_id, run.run_id[:6], "latest"):
        with pytest.raises(UnknownRun, match=r"MLflow at .*; W&B at .* has one") as told:
            found(repo.open(), wanted)
        assert told.value.hint == "add --tracker wandb"
    assert repo.anchored("list", "--json").stdout == "[]\n"
    assert not (repo.root / "mlflow.db").exists(), "looking makes no database"
    assert repo.reproduce("w1", tracker="wandb").verdict == "identical"
    assert not (repo.root / "mlflow.db").exists()
    (repo.root / "wandb").rename(repo.root / "away")
    with pytest.raises(UnknownRun, match=r"^no run answers to 'w1'\n"):
        found(repo.open(), "w1")


def test_the_experiment_comes_back_with_its_tracker(repo: Repo) -> None:
    repo.run("v1")
    text = (repo.root / "anchored.toml").read_text().replace(MLFLOW, WANDB)
    repo.write("anchored.toml", text.replace('"sums"', '"sums-of-a-team"'))
    repo.commit("Change tracker and experiment")
    repo.configure(WANDB, WANDB + 'entity = "team"\n')
    assert names(repo, "mlflow") == ["v1"]
    assert repo.reproduce("v1", tracker="mlflow").verdict == "identical"
    assert {run.experiment for run in listed(repo.open(tracker="mlflow"))} == {"sums"}
    assert repo.open(tracker="wandb").config == repo.open().config


def test_a_place_that_the_option_does_not_lead_to_is_named_with_its_settings(repo: Repo) -> None:
    repo.run("v1")
    (repo.root / "mlflow.db").rename(repo.root / "old.db")
    repo.configure(MLFLOW, MLFLOW + 'uri = "sqlite:///old.db"\n')
    repo.configure('uri = "sqlite:///old.db"\n', 'uri = "http://127.0.0.1:9/"\n')
    repo.configure(MLFLOW + 'uri = "http://127.0.0.1:9/"\n', WANDB + 'mode = "offline"\n')
    with pytest.raises(UnknownRun, match=r"MLflow at sqlite:///.*/old.db has one") as told:
        found(repo.open(), "v1")
    assert told.value.hint == (
        'kind = "mlflow", uri = "sqlite:///old.db" under [tracker] in anchored.toml looks there'
    )


def test_wandb_offline_is_looked_into_where_the_server_is_asked(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.configure(MLFLOW, WANDB)
    repo.run("w1")
    repo.configure(WANDB, MLFLOW)
    with pytest.raises(UnknownRun, match=r"W&B at file:.* has one") as told:
        found(repo.open(), "w1")
    assert told.value.hint == "add --tracker wandb"
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody answers there
    with pytest.raises(UnknownRun, match=r"W&B at file:.* has one") as told:
        found(repo.open(), "w1")
    assert told.value.hint == (
        "`wandb sync` brings it to the server; "
        'kind = "wandb", mode = "offline" under [tracker] in anchored.toml looks there'
    )


def test_a_script_may_have_chosen_the_id_of_its_run_in_wandb(repo: Repo) -> None:
    import wandb

    repo.configure(MLFLOW, WANDB)
    for run_id in ("My-run_1", "x7"):
        settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
        wandb.init(
            mode="offline", project="sums", dir=repo.root, id=run_id, name=f"by {run_id}",
            reinit="create_new", settings=settings,
        ).finish()  # fmt: skip
    wandb.teardown()  # logs are on disk when W&B's service has ended, not when a run has
    assert found(repo.open(), "My-run_1").name == "by My-run_1"
    assert found(repo.open(), "x7").name == "by x7"
    for absent in ("My-run", "my-run_1", "x", "My_run"):  # a prefix is of hex digits
        with pytest.raises(UnknownRun):
            found(repo.open(), absent)


def begun(repo: Repo) -> str:
    """The key of a run that was opened and whose process is gone."""
    workspace = repo.open()
    key = open_run(workspace, RunRequest(name="cut"), FlowLink()).key
    version_data(workspace, key)
    push_data(workspace, key)
    fetch_inputs(workspace, key)
    workspace.journals.release(key)
    return key


def test_an_interrupted_run_goes_on_in_its_own_tracker(repo: Repo) -> None:
    begun(repo)
    repo.configure(MLFLOW, WANDB)
    (run,) = resume(repo)
    assert run.tracker.kind == "mlflow"
    assert (names(repo, "mlflow"), names(repo)) == (["cut"], [])


def test_an_interrupted_run_of_an_earlier_version_waits_for_its_own_tracker(repo: Repo) -> None:
    key = begun(repo)
    journals = repo.open().journals
    journals.write(replace(journals.read(key), places=None))
    repo.configure(MLFLOW, WANDB)
    done = repo.anchored("resume", "cut")
    assert done.returncode == 2
    assert "cut was opened in MLflow at sqlite:///" in done.stderr
    assert "hint: add --tracker mlflow\n" in done.stderr
    with pytest.raises(WrongUse, match="was opened in MLflow") as told:
        continue_run(repo.open(), key, FlowLink())
    assert told.value.hint == "add --tracker mlflow"
    assert close_dead(repo.open()) == []
    assert repo.open().journals.read(key) is not None
    (left,) = claim_unfinished(repo.open(tracker="mlflow"))
    assert left.resumable
    repo.open().journals.release(key)
    assert names(repo, "mlflow") == ["cut"]
