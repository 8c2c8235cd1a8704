"""Pointers that DVC 2 wrote: their hash overlooks line ends, a run's own does not."""

from __future__ import annotations

import hashlib

from tests.proof import assert_sealed
from tests.repos import Repo


def test_an_input_that_only_a_pointer_of_dvc_2_names_is_used_and_hashed_anew(repo: Repo) -> None:
    content = b"1\r\n2\r\n"
    old = hashlib.md5(content.replace(b"\r\n", b"\n")).hexdigest()
    file = repo.store / old[:2] / old[2:]
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    repo.write("data/numbers.csv.dvc", f"outs:\n- md5: {old}\n  size: 6\n  path: numbers.csv\n")
    repo.write(".gitignore", (repo.root / ".gitignore").read_text() + "/data/numbers.csv\n")
    repo.git("add", "--force", ".gitignore", "data/numbers.csv.dvc")
    repo.git("commit", "--quiet", "--message", "As DVC 2 left it")
    (repo.root / "data/numbers.csv").unlink()
    run = repo.run("old")
    assert run.metrics == {"total": 3}
    assert run.data[0].md5 == hashlib.md5(content).hexdigest()
    assert_sealed(repo, run)
