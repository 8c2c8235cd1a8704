"""What an earlier version sealed is listed, audited, restored and reproduced by this one.

`tests/fixtures/sealed-DATE.tar.xz` is a training repo with its remotes, as main of that day left it
after two runs, `one` and `two` (with `power = 2`); its DVC cache is not in it.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from anchored.records import Verdict
from tests.repos import Repo

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.mark.parametrize("archive", sorted(FIXTURES.glob("sealed-*.tar.xz")), ids=lambda f: f.name)
def test_runs_of_an_earlier_version(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    repo = Repo(tmp_path / "work")
    assert [(run.name, run.state) for run in repo.runs()] == [("two", "sealed"), ("one", "sealed")]
    assert repo.audit(deep=True).findings == ()
    done = repo.anchored("restore", "one", "--to", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/models/model.bin").read_text() == "4950\n"
    assert repo.reproduce("two").verdict == Verdict.IDENTICAL
    assert repo.run("three").state == "sealed"
    assert repo.audit().findings == ()
