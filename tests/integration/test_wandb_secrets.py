"""The API key of W&B stays where its user has put it."""

from __future__ import annotations

import os
import secrets
import sys
import zlib
from pathlib import Path

import pytest

from tests import forked
from tests.repos import Repo

SCRIPT = """\
import json, os, pathlib, wandb

with wandb.init(config={"lags": 6}) as run:
    run.log({"loss": 0.5})
pathlib.Path("models").mkdir(exist_ok=True)
pathlib.Path("models/model.bin").write_text("weights")
pathlib.Path("report-1.txt").write_text("report")
json.dump({"total": 1}, open("metrics.json", "w"))
print(os.environ.get("WANDB_API_KEY", "no key"))
"""


def contents(folder: Path) -> list[tuple[Path, bytes]]:
    """All files below a folder; Git's objects as they are when read."""
    found = []
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            content = file.read_bytes()
            if file.parent.parent.name == "objects":
                content = zlib.decompress(content)
            found.append((file, content))
    return found


def run_alone(args: list[str]) -> None:
    """A run in a process that has not imported W&B before."""
    assert "wandb" not in sys.modules
    Repo(Path(args[0])).run()


@pytest.mark.parametrize("place", ["variable", "netrc", "settings"])
def test_the_key_of_wandb_is_written_nowhere(
    repo: Repo, isolated: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    key = secrets.token_hex(20)
    if place == "variable":
        monkeypatch.setenv("WANDB_API_KEY", key)
    elif place == "netrc":
        netrc = isolated / ".netrc"
        netrc.write_text(f"machine api.wandb.ai\n  login user\n  password {key}\n")
        netrc.chmod(0o600)
    else:
        settings = isolated / ".config/wandb/settings"
        settings.parent.mkdir(parents=True)
        settings.write_text(f"[default]\napi_key = {key}\n")
    repo.use_wandb()
    repo.script(SCRIPT)
    monkeypatch.setenv("WANDB_DEBUG", "true")
    monkeypatch.setenv("WANDB_CORE_DEBUG", "true")
    done = forked._captured(run_alone, [str(repo.root)], repo.root.parent, os.environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    read = contents(repo.root.parent)
    logs = {file.name for file, _ in read}
    assert {"debug-internal.log", "debug.log", "train.log"} <= logs
    assert [file for file, content in read if key.encode() in content] == []
    leaked = [file for file, content in contents(isolated) if key.encode() in content]
    assert {file.name for file in leaked} <= {".netrc", "settings"}
