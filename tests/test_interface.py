"""The public interface: commands, JSON, tags, artifacts and exit codes that others rely on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from anchored.cli.main import main
from tests.forked import in_process
from tests.migrated import put_prefect_database
from tests.repos import Repo, result_of

COMMANDS = {
    "init": ("--remote", "--untrack"),
    "run": ("NAME", "-p", "--snapshot"),
    "resume": ("RUN", "--tracker"),
    "list": ("--tracker",),
    "show": ("RUN", "--latest", "--tracker"),
    "restore": ("RUN", "--to", "--latest", "--tracker"),
    "promote": ("RUN", "--alias", "--latest", "--tracker"),
    "audit": ("--deep", "--tracker"),
    "demo": ("DIR",),
}
EVERYWHERE = ("--repo", "--json", "--debug")
# Of the document in the public interface: every key with the type of its value.
POINTER = {"path": str, "md5": str, "size": int, "nfiles": int}
RUN: dict[str, Any] = {
    "run_id": str, "name": str, "experiment": str, "state": str,
    "git": {"commit": str, "source_commit": str, "branch": str, "repo_url": str, "ref": str},
    "data": [POINTER], "model": [POINTER], "params": dict, "metrics": dict, "command": str,
    "environment": {"md5": str, "python": str, "platform": str, "packages": dict},
    "tracker": {"kind": str, "uri": str, "url": str},
    "prefect": {"flow_run_id": str, "url": str},
    "started": str, "ended": str, "reproduces": type(None), "verdict": type(None),
}  # fmt: skip
TAGS = {
    "git_commit", "git_source_commit", "mlflow.source.git.commit", "git_branch", "git_repo_url",
    "dvc_data_md5", "dvc_model_md5", "dvc_data_md5/data/numbers.csv",
    "dvc_model_md5/models/model.bin", "anchored.state", "anchored.environment_md5",
}  # fmt: skip


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What the command line prints before it ends by itself."""
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert not ended.value.code
    return capsys.readouterr().out


def assert_shape(value: Any, shape: Any, place: str = "") -> None:
    """The value has every key of the shape, in values of its types; more keys are allowed."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), place
        assert shape.keys() <= value.keys(), f"{place}: {shape.keys() - value.keys()}"
        for key, inner in shape.items():
            assert_shape(value[key], inner, f"{place}.{key}")
    elif isinstance(shape, list):
        assert value, f"{place} is empty"
        for item in value:
            assert_shape(item, shape[0], place)
    else:
        assert type(value) is shape, f"{place} is {value!r}"


def test_commands_and_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    top = said(capsys, "--help")
    for option in EVERYWHERE:
        assert option in top
    for command, options in COMMANDS.items():
        assert f"\n    {command} " in top
        told = said(capsys, command, "--help")
        for option in (*options, *EVERYWHERE):
            assert option in told, f"{command} {option}"
    version = [sys.executable, "-m", "anchored", "--version"]
    assert subprocess.run(version, capture_output=True, text=True, check=True).stdout.startswith(
        "anchored "
    )


def test_a_sealed_run_has_the_tags_artifacts_and_json_that_are_promised(repo: Repo) -> None:
    run = repo.run("it's one", params={"power": 2})
    tags = repo.tags(run.run_id)
    assert tags.keys() >= TAGS
    assert all(tags[name] for name in TAGS)
    assert tags["anchored.state"] == "sealed"
    assert tags["dvc_data_md5"] == tags["dvc_data_md5/data/numbers.csv"] == run.data[0].md5
    assert tags["dvc_model_md5"] == tags["dvc_model_md5/models/model.bin"] == run.model[0].md5
    assert run.git.ref == f"refs/anchored/runs/{run.run_id}"
    for artifact in ("anchored/run.json", "anchored/environment.json", "anchored/train.log"):
        assert repo.artifact(run.run_id, artifact), artifact
    shown = result_of(repo.anchored("show", "it's one", "--json"))
    assert_shape(shown, RUN)
    assert shown == json.loads(repo.artifact(run.run_id, "anchored/run.json") or b"")
    assert shown == run.to_json()
    listed = result_of(repo.anchored("list", "--json"))
    assert_shape(listed, [{key: kind for key, kind in RUN.items() if key != "environment"}])
    assert "environment" not in listed[0]
    del shown["environment"]
    assert listed == [shown]


def test_a_run_answers_to_name_id_prefix_and_latest_and_nothing_else(
    repo: Repo, tmp_path: Path
) -> None:
    one, two = repo.run("one"), repo.run("two", params={"power": 2})
    for wanted, run in (
        ("one", one), (one.run_id, one), (one.run_id[:6], one), ("latest", two), ("two", two),
    ):  # fmt: skip
        assert result_of(repo.anchored("show", wanted, "--json"))["run_id"] == run.run_id
    assert [run["name"] for run in result_of(repo.anchored("list", "--json", "-n", "1"))] == ["two"]
    the_repo_may_be_named_by_option_or_variable(repo, Repo(tmp_path))
    an_unknown_run_is_wrong_use(repo)
    an_ambiguous_run_is_wrong_use(repo, two.run_id, repo.run("two", params={"power": 3}).run_id)


def the_repo_may_be_named_by_option_or_variable(repo: Repo, elsewhere: Repo) -> None:
    by_option = elsewhere.anchored("list", "--json", "--repo", str(repo.root / "data"))
    by_variable = elsewhere.anchored("list", "--json", ANCHORED_REPO=str(repo.root))
    for listed in (by_option, by_variable):
        assert [run["name"] for run in result_of(listed)] == ["two", "one"]


def an_ambiguous_run_is_wrong_use(repo: Repo, first: str, second: str) -> None:
    refused = repo.anchored("show", "two", "--json")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert first in refused.stderr
    assert second in refused.stderr
    latest = result_of(repo.anchored("show", "two", "--latest", "--json"))
    assert latest["run_id"] == second


def an_unknown_run_is_wrong_use(repo: Repo) -> None:
    unknown = repo.anchored("show", "nobody")
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("error: no run answers to 'nobody'\nhint: ")
    assert "Traceback" not in unknown.stderr
    assert "Traceback" in repo.anchored("show", "nobody", "--debug").stderr


def test_the_whole_command_prints_one_json_document(
    repo: Repo, isolated: Path, request: pytest.FixtureRequest
) -> None:
    put_prefect_database(isolated / "prefect", request.config)
    done = repo.anchored_started("run", "far", "-p", "power=2", "--json")
    run = result_of(done)
    assert_shape(run, RUN)
    assert (run["state"], run["params"]) == ("sealed", {"power": 2})
    assert run["prefect"]["flow_run_id"]
    assert "total is" in done.stderr, "training's own lines go to stderr"
    failed = repo.anchored("run", "bad", "-p", "powr=2")
    assert (failed.returncode, failed.stdout) == (2, "")


def test_flows_and_tasks_have_their_names() -> None:
    assert in_process(assert_names).exitcode == 0


def assert_names() -> None:
    from flows.experiment import experiment
    from tasks.train_and_log import train_and_log
    from tasks.version_data import version_data
    from tasks.version_model import version_model

    names = [experiment.name, version_data.name, train_and_log.name, version_model.name]
    assert names == ["experiment", "version_data", "train_and_log", "version_model"]
    assert {"repo", "run_name", "params"} <= experiment.parameters.properties.keys()


def test_exit_codes(repo: Repo) -> None:
    for argv, code in ((["list"], 0), (["resume"], 0), (["nonsense"], 2), (["show", "x"], 2)):
        assert repo.anchored(*argv).returncode == code, argv
