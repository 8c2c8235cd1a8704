"""The real W&B client is content with the stand-in, which refuses what it does not know.

The stand-in is a model of the protocol, not the service; what is asserted here holds for the
unmodified SDK in front of that model.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from tests.contract.wandb_client import Client


def test_a_run_is_read_back_as_it_was_logged(client: Client):
    run = client.init(
        "a1", name="one", config={"lr": 0.1, "net": {"depth": 3}}, tags=["x"], notes="why",
        group="g", job_type="train",
    )  # fmt: skip
    run.define_metric("acc", summary="max")
    run.log({"loss": 1.0, "acc": 0.9})
    run.log({"loss": 0.5, "acc": 0.1})
    run.summary.update({"best": 7})
    run.config.update({"lr": 0.2, "new": "ü"}, allow_val_change=True)
    run.finish()

    read = client.run("a1")
    assert read.config == {"lr": 0.2, "net": {"depth": 3}, "new": "ü"}
    assert (read.name, read.tags, read.notes) == ("one", ["x"], "why")
    assert (read.group, read.job_type, read.state) == ("g", "train", "finished")
    assert (read.summary["loss"], read.summary["acc"]["max"], read.summary["best"]) == (0.5, 0.9, 7)
    assert [(row["_step"], row["loss"]) for row in read.scan_history()] == [(0, 1), (1, 0.5)]
    assert [row["acc"] for row in read.history(pandas=False)] == [0.9, 0.1]
    assert [row["loss"] for row in read.history(keys=["loss"], pandas=False)] == [1, 0.5]


@pytest.mark.parametrize("resume", ["allow", "must"])
def test_a_resumed_run_goes_on_where_it_was(client: Client, resume: str):
    run = client.init("a1", name="one", config={"lr": 0.1})
    run.log({"loss": 1.0})
    run.finish()
    run = client.init("a1", resume=resume, config={"more": 1})
    assert (run.starting_step, run.summary["loss"], run.config["lr"]) == (1, 1, 0.1)
    run.log({"acc": 0.9})
    run.finish()

    read = client.run("a1")
    assert (read.name, read.config) == ("one", {"lr": 0.1, "more": 1})
    assert (read.summary["loss"], read.summary["acc"]) == (1, 0.9)
    assert [row["_step"] for row in read.scan_history()] == [0, 1]


def test_a_run_that_must_be_there_and_is_not_is_refused(client: Client):
    with pytest.raises(wandb.errors.UsageError, match="does not exist"):
        client.init("a1", resume="must")


def test_an_entity_that_is_not_there_is_refused(client: Client):
    with pytest.raises(wandb.errors.CommError, match="nobody not found"):
        wandb.init(
            entity="nobody", project="p", id="a1", dir=client.folder, settings=client.settings()
        )


def test_a_run_ends_as_its_exit_code_says(client: Client):
    client.init("a1").finish(exit_code=3)
    assert client.run("a1").state == "failed"


def test_a_run_may_leave_its_end_to_another(client: Client):
    client.init("a1", changed={"x_update_finish_state": False}).finish()
    assert client.run("a1").state == "running"


def test_a_killed_run_is_running_until_it_is_missed(client: Client):
    script = (
        "import time, wandb\n"
        f"run = wandb.init(entity={client.server.team!r}, project={client.project!r}, id='a1')\n"
        "run.log({'loss': 1.0}); print('logged', flush=True); time.sleep(300)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=client.env(WANDB_SILENT="true"),
        stdout=subprocess.PIPE,
        cwd=client.folder,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"logged\n"
    process.kill()
    process.wait()  # the SDK's own server process outlives it by some seconds
    process.stdout.close()
    assert client.run("a1").state == "running"
    with client.server.crashing_after(0):
        assert client.run("a1").state == "crashed"


def test_a_run_without_an_entity_is_its_users(client: Client):
    run = wandb.init(project=client.project, id="a1", dir=client.folder, settings=client.settings())
    run.finish()
    assert client.api().run(f"{client.server.user}/{client.project}/a1").state == "finished"


def test_files_are_saved_overwritten_read_added_and_deleted(client: Client, tmp_path: Path):
    (tmp_path / "out/deep").mkdir(parents=True)
    file = tmp_path / "out/deep/a b.txt"
    for content in ("first", "second"):
        file.write_text(content)
        run = client.init("a1", resume="allow")
        run.save(str(file), base_path=str(tmp_path / "out"), policy="now")
        run.finish()
        with client.run("a1").file("deep/a b.txt").download(str(tmp_path / content)) as down:
            assert down.read() == content

    read = client.run("a1")
    names = {"deep/a b.txt", "wandb-summary.json", "config.yaml"}
    assert names <= {found.name for found in read.files(per_page=2)}
    added = tmp_path / "out/added.bin"
    added.write_bytes(bytes(range(256)) * 1000)
    read.upload_file(str(added), root=str(tmp_path / "out"))
    assert client.run("a1").file("added.bin").size == 256_000
    read.file("added.bin").delete()
    assert "added.bin" not in [found.name for found in client.run("a1").files()]
    assert client.run("a1").state == "finished"


def test_a_finished_run_is_changed_by_the_api(client: Client):
    client.init("a1", config={"lr": 0.1}).finish()
    read = client.run("a1")
    read.config["tag"] = {"nested": [1, 2]}
    read.name, read.notes = "renamed", "noted"
    read.tags.append("late")
    read.update()
    read.summary.update({"score": 1})

    read = client.run("a1")
    assert read.config == {"lr": 0.1, "tag": {"nested": [1, 2]}}
    assert (read.name, read.notes, read.tags) == ("renamed", "noted", ["late"])
    assert (read.summary["score"], read.state) == (1, "finished")
    read.delete()
    with pytest.raises(wandb.errors.CommError, match="Could not find run"):
        client.run("a1")


def test_what_is_not_there_is_said_to_be_missing(client: Client):
    with pytest.raises(wandb.errors.CommError, match="Could not find run"):
        client.run("a1")
    with pytest.raises(ValueError, match="Could not find project"):
        list(client.api().runs(client.path))


@pytest.fixture
def five(client: Client) -> Client:
    """A project with the runs r0 to r4; all named `same` but r0, r3 and r4 with a configuration."""
    api = client.api()
    api.create_project(client.project, client.server.team)
    for n in range(5):
        api.create_run(run_id=f"r{n}", project=client.project, entity=client.server.team)
        run = client.run(f"r{n}")
        run.name = "same" if n else "other"
        run.config.update({"n": n, "net": {"depth": n}} if n >= 3 else {})
        run.tags.append("odd" if n % 2 else "even")
        run.update()
        run.summary.update({"loss": 10 - n})
    return client


FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "01234"),
    ({"display_name": "same"}, "1234"),
    ({"displayName": {"$ne": "same"}}, "0"),
    ({"name": "r2"}, "2"),
    ({"name": {"$in": ["r1", "r3", "gone"]}}, "13"),
    ({"name": {"$nin": ["r1", "r3", "gone"]}}, "024"),
    ({"config.n.value": 3}, "3"),
    ({"config.n": {"$gte": 3}}, "34"),
    ({"config.net.value.depth": 4}, "4"),
    ({"config.n.value": {"$exists": False}}, "012"),
    ({"tags": "odd"}, "13"),
    ({"summary_metrics.loss": {"$lt": 8}}, "34"),
    ({"$and": [{"tags": "even"}, {"display_name": {"$regex": "^sa"}}]}, "24"),
    ({"$or": [{"name": "r0"}, {"config.n.value": 4}]}, "04"),
    ({"$nor": [{"name": "r0"}, {"config.n.value": 4}]}, "123"),
    ({"state": "finished"}, ""),
]


@pytest.mark.parametrize("lazy", [True, False])
def test_runs_are_found_by_filter(five: Client, lazy: bool):
    api = five.api()
    found = [
        (wanted, "".join(run.id[1:] for run in api.runs(five.path, filters=wanted, lazy=lazy)))
        for wanted, _ in FILTERS
    ]
    assert found == FILTERS


def test_runs_come_in_order_and_in_pages(five: Client):
    def read(order: str) -> list[tuple[str, int]]:
        runs = five.api().runs(five.path, order=order, per_page=2)
        assert len(runs) == 5
        return [(run.id, run.summary["loss"]) for run in runs]

    newest_first = [(f"r{n}", 10 - n) for n in (4, 3, 2, 1, 0)]
    assert read("-created_at") == newest_first
    assert read("+summary_metrics.loss") == newest_first
    assert [run_id for run_id, _ in read("-config.n.value")] == ["r4", "r3", "r0", "r1", "r2"]


def test_a_filter_that_is_not_known_is_an_error(five: Client):
    with pytest.raises(WandbApiFailedError, match="stand-in"):
        list(five.api().runs(five.path, filters={"name": {"$near": 1}}))
    assert len(five.server.unknown) == 1
    five.server.unknown.clear()


def test_projects_and_the_viewer_are_told(client: Client):
    api = client.api()
    api.create_project(client.project, client.server.team)
    assert client.project in [project.name for project in api.projects(client.server.team)]
    assert (api.viewer.username, api.default_entity) == (client.server.user, client.server.user)
