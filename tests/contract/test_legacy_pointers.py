"""Pointers that DVC 2 wrote: their hash overlooks line ends, a run's own does not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from anchored.decisions.pointers import LEGACY_HASH
from anchored.errors import ObjectLost
from anchored.records import Pointer
from tests.contract.remotes import LINES, QUIET, left_by_dvc_2, store
from tests.proof import assert_sealed
from tests.repos import Repo, pointers_at


def test_an_input_that_only_a_pointer_of_dvc_2_names_is_used_and_hashed_anew(repo: Repo) -> None:
    left_by_dvc_2(repo)
    repo.write(".gitignore", (repo.root / ".gitignore").read_text() + "/data/numbers.csv\n")
    repo.git("add", "--force", ".gitignore", "data/numbers.csv.dvc")
    repo.git("commit", "--quiet", "--message", "As DVC 2 left it")
    (repo.root / "data/numbers.csv").unlink()
    run = repo.run("old")
    assert run.metrics == {"total": 3}
    assert run.data[0].md5 == hashlib.md5(LINES).hexdigest()
    assert_sealed(repo, run)


@pytest.mark.parametrize("place", ["cache", "remote"])
def test_what_dvc_2_left_is_handed_out_and_verified(repo: Repo, tmp_path: Path, place: str) -> None:
    content = b"1\r\n2\r\n"
    old = hashlib.md5(content.replace(b"\r\n", b"\n")).hexdigest()
    listing = json.dumps([{"md5": old, "relpath": "deep/a.csv"}]).encode()
    listed = f"{hashlib.md5(listing).hexdigest()}.dir"
    home = repo.store if place == "remote" else repo.root / ".dvc/cache"
    for oid, bytes_ in ((old, content), (listed, listing)):
        file = home / oid[:2] / oid[2:]
        file.parent.mkdir(parents=True)
        file.write_bytes(bytes_)
    pointers = [Pointer("data/old.csv", old, hash_name=LEGACY_HASH),
                Pointer("data/set", listed, hash_name=LEGACY_HASH)]  # fmt: skip
    files = store(repo).export(pointers, tmp_path / "to", QUIET)
    assert [(file.path, file.md5) for file in files] == [
        ("data/old.csv", old), ("data/set/deep/a.csv", old),
    ]  # fmt: skip
    for file in files:
        assert (tmp_path / "to" / file.path).read_bytes() == content
    store(repo).export(pointers, tmp_path / "to", QUIET)
    (home / old[:2] / old[2:]).write_bytes(b"1\r\n3\r\n")
    with pytest.raises(ObjectLost, match=old):
        store(repo).export(pointers, tmp_path / "again", QUIET)
    assert not [f for f in (tmp_path / "again").rglob("*") if f.is_file()]


def test_a_run_of_dvc_2_is_reproduced_by_its_old_hashes(repo: Repo) -> None:
    """Data and model hashed with line ends folded, in the old layout, named by three tags."""
    repo.script(
        "import pathlib\n"
        "text = open('data/numbers.csv', newline='').read()\n"
        "pathlib.Path('models/model.bin').write_bytes((text * 2).encode())\n"
    )
    repo.configure('metrics = "metrics.json"\n', "")
    data, model = b"1\r\n2\r\n", b"1\r\n2\r\n" * 2
    for path, content in (("data/numbers.csv", data), ("models/model.bin", model)):
        old = hashlib.md5(content.replace(b"\r\n", b"\n")).hexdigest()
        file = repo.store / old[:2] / old[2:]
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
        name = path.rpartition("/")[2]
        repo.write(f"{path}.dvc", f"outs:\n- md5: {old}\n  size: {len(content)}\n  path: {name}\n")
        repo.git("add", "--force", f"{path}.dvc")
    repo.git("commit", "--quiet", "--message", "As DVC 2 left it")
    (repo.root / "data/numbers.csv").unlink()
    hashes = {"data": pointers_at(repo, repo.head)["data/numbers.csv.dvc"]["outs"][0]["md5"],
              "model": pointers_at(repo, repo.head)["models/model.bin.dvc"]["outs"][0]["md5"]}  # fmt: skip
    repo.foreign("old", git_commit=repo.head, dvc_data_md5=hashes["data"],
                 dvc_model_md5=hashes["model"])  # fmt: skip
    found = repo.reproduce("old")
    assert found.verdict == "identical", found
    assert found.checks[0].recorded == hashes["model"]
