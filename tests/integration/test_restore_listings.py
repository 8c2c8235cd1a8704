"""`anchored restore` of listings that somebody else made: nothing is written where it may not."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from anchored.cli.render import print_json
from anchored.errors import BadInput
from anchored.records import Pointer, RunRecord
from tests.contract.remotes import QUIET, store
from tests.repos import Repo

Sealed = tuple[Repo, RunRecord]


def listing_of(repo: Repo, *entries: dict[str, object]) -> Pointer:
    """A folder whose listing is in the cache, as somebody else made it."""
    content = json.dumps(entries).encode()
    md5 = hashlib.md5(content).hexdigest()
    file = repo.root / ".dvc/cache/files/md5" / md5[:2] / f"{md5[2:]}.dir"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return Pointer("data/set", f"{md5}.dir")


@pytest.mark.parametrize(
    "path", ["../../out", "/tmp/out", "a/../../../out", "..", "a//b", "", ".", "a\0b"]
)
def test_a_listing_cannot_lead_out_of_its_folder(sealed: Sealed, tmp_path: Path, path: str) -> None:
    repo, run = sealed
    hostile = listing_of(repo, {"md5": run.data[0].md5, "relpath": path})
    with pytest.raises(BadInput, match="leaves the folder"):
        store(repo).export([hostile], tmp_path / "to", QUIET)
    assert not (tmp_path / "to").exists()


def test_a_listing_that_makes_no_sense_is_refused(sealed: Sealed, tmp_path: Path) -> None:
    repo, run = sealed
    md5 = run.data[0].md5
    for entries in (
        [{"md5": "../../../train.py", "relpath": "x"}],
        [{"md5": f"{md5}.dir", "relpath": "x"}],
        [{"md5": None, "relpath": "x"}],
        [{"md5": md5}],
        [{"md5": md5, "relpath": "x"}, {"md5": md5, "relpath": "x/y"}],
    ):
        with pytest.raises(BadInput):
            store(repo).export([listing_of(repo, *entries)], tmp_path / "to", QUIET)
    for path in ("../out", "/tmp/out", ".git/hooks", ".dvc/config"):
        with pytest.raises(BadInput):
            store(repo).export([replace(run.data[0], path=path)], tmp_path / "to", QUIET)
    assert not (tmp_path / "to").exists()


def test_a_file_name_need_not_be_unicode(
    sealed: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repo, run = sealed
    odd = listing_of(repo, {"md5": run.data[0].md5, "relpath": "\udcff.csv"})
    files = store(repo).export([odd], tmp_path / "to", QUIET)
    assert os.listdir(os.fsencode(tmp_path / "to/data/set")) == [b"\xff.csv"]
    print_json([file.path for file in files])
    assert json.loads(capsys.readouterr().out) == ["data/set/\udcff.csv"]
