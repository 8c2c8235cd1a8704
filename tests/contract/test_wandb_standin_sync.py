"""What was recorded offline reaches the stand-in by the real `wandb sync`."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
import wandb

from tests.contract.wandb_client import Client


def sync(client: Client, *folders: Path) -> None:
    done = subprocess.run(
        ["wandb", "sync", *map(str, folders)], env=client.env(), cwd=client.folder,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture
def segments(client: Client, tmp_path: Path) -> list[Path]:
    """Two folders of one offline run: what it logged, and tags that were added later."""
    run = client.init("a1", mode="offline", name="one", config={"a": 1}, tags=["t"])
    run.log({"loss": 1.0})
    run.log({"loss": 0.5})
    (tmp_path / "out/deep").mkdir(parents=True)
    (tmp_path / "out/deep/log.txt").write_text("line")
    run.save(str(tmp_path / "out/deep/log.txt"), base_path=str(tmp_path / "out"), policy="now")
    (tmp_path / "model.bin").write_text("weights")
    artifact = wandb.Artifact("m", type="model", metadata={"md5": "abc"})
    artifact.add_file(str(tmp_path / "model.bin"))
    run.log_artifact(artifact, aliases=["best"])
    run.finish()

    time.sleep(1)  # the folder's name has its second
    again = client.init("a1", mode="offline", resume="allow", config={"a": 1, "b": 2})
    again.summary.update({"loss": 0.5, "more": 7})
    again.finish()
    return sorted((tmp_path / "wandb").glob("offline-run-*-a1"))


@pytest.mark.parametrize("at_once", [True, False])
def test_two_segments_become_one_run(
    client: Client, segments: list[Path], tmp_path: Path, at_once: bool
):
    for folders in [segments] if at_once else [[segment] for segment in segments]:
        sync(client, *folders)
    sync(client, *segments)  # nothing is left to do, and so nothing is sent twice

    run = client.run("a1")
    assert run.config == {"a": 1, "b": 2}
    assert (run.summary["loss"], run.summary["more"]) == (0.5, 7)
    assert (run.name, run.tags, run.state) == ("one", ["t"], "finished")
    assert [row["loss"] for row in run.scan_history()] == [1, 0.5]
    with run.file("deep/log.txt").download(root=str(tmp_path / "down")) as down:
        assert down.read() == "line"
    artifact = client.api().artifact(f"{client.path}/m:best")
    assert (artifact.version, artifact.metadata) == ("v0", {"md5": "abc"})
    assert sorted(artifact.aliases) == ["best", "latest"]
    assert artifact.logged_by().id == "a1"
    root = artifact.download(root=str(tmp_path / "model"), skip_cache=True)
    assert (Path(root) / "model.bin").read_text() == "weights"
