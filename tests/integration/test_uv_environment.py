"""`environment = "uv"`: training runs in what its commit locks, not in what is on the PATH."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from anchored.errors import EnvironmentFailed, NotReady
from tests.proof import assert_sealed
from tests.repos import Repo

SCRIPT = """\
import json, pathlib, sys, tiny

pathlib.Path("models").mkdir(exist_ok=True)
pathlib.Path("models/model.bin").write_text(tiny.VERSION)
json.dump({"total": 1}, open("metrics.json", "w"))
print(sys.prefix)
"""


def wheel(folder: Path, version: str) -> None:
    """A wheel of a package `tiny`, so that nothing has to come from a network."""
    folder.mkdir(exist_ok=True)
    info = f"tiny-{version}.dist-info"
    with zipfile.ZipFile(folder / f"tiny-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr("tiny.py", f"VERSION = {version!r}\n")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def locked(repo: Repo) -> Repo:
    """A repo whose commit locks tiny 1.0, beside the wheels it comes from."""
    wheel(repo.root / "wheels", "1.0")
    wheel(repo.root / "wheels", "2.0")
    repo.write("requirements.txt", "--no-index\n--find-links wheels\ntiny==1.0\n")
    repo.configure('model = "models/model.bin"', 'model = "models/model.bin"\nenvironment = "uv"')
    repo.script(SCRIPT)
    return repo


def environment_of(repo: Repo, run_id: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(
        repo.artifact(run_id, "anchored/environment.json") or b""
    )
    return document


def test_training_sees_the_locked_packages_and_no_others(locked: Repo) -> None:
    run = locked.run()
    assert_sealed(locked, run)
    document = environment_of(locked, run.run_id)
    assert document["packages"] == {"tiny": "1.0"}
    assert document["kind"] == "uv"


def test_another_lock_is_another_environment_and_the_first_is_kept(locked: Repo) -> None:
    first = locked.run("one")
    locked.write("requirements.txt", "--no-index\n--find-links wheels\ntiny==2.0\n")
    locked.commit()
    second = locked.run("two")
    assert environment_of(locked, second.run_id)["packages"] == {"tiny": "2.0"}
    assert first.environment["md5"] != second.environment["md5"]
    built = [p for p in (Path.home() / ".cache/anchored/environments").iterdir() if p.is_dir()]
    assert len(built) == 2


def test_what_cannot_be_built_fails_the_run_in_uvs_words(locked: Repo) -> None:
    locked.write("requirements.txt", "--no-index\ntiny==9.9\n")
    locked.commit()
    with pytest.raises(EnvironmentFailed) as caught:
        locked.run()
    assert any("tiny" in line for line in caught.value.tail)
    assert locked.runs()[0].state == "failed"


def test_a_commit_without_a_lock_is_refused(repo: Repo) -> None:
    repo.configure('model = "models/model.bin"', 'model = "models/model.bin"\nenvironment = "uv"')
    with pytest.raises(NotReady, match=r"neither uv\.lock nor requirements\.txt"):
        repo.run()
