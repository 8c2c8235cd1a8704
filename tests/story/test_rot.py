"""An object is lost: the audit names every run that shared it, and the next run brings it back."""

from __future__ import annotations

import shutil

from tests.proof import assert_sealed
from tests.repos import Repo, result_of
from tests.services.prefect_server import PrefectServer


def test_what_the_remote_lost_is_named_until_a_run_puts_it_back(
    repo: Repo, prefect_server: PrefectServer
) -> None:
    runs = [repo.run(f"run {n}", params={"power": n}) for n in (1, 2, 3)]
    other = repo.root.parent / "cache of another machine"
    shutil.copytree(repo.root / ".dvc/cache", other)
    md5 = runs[0].data[0].md5
    (repo.store / "files/md5" / md5[:2] / md5[2:]).unlink()

    done = repo.anchored("audit", "--json", **prefect_server.env)
    assert done.returncode == 1, done.stderr
    told = repo.anchored("audit", **prefect_server.env)
    assert told.returncode == 1
    assert told.stdout.count(md5) == 3
    for name in ("run 1", "run 2", "run 3"):
        assert name in told.stdout

    shutil.rmtree(repo.root / ".dvc/cache")
    lost = repo.anchored("reproduce", "run 2", **prefect_server.env)
    assert lost.returncode == 1
    assert md5 in lost.stdout

    shutil.rmtree(repo.root / ".dvc/cache", ignore_errors=True)
    shutil.copytree(other, repo.root / ".dvc/cache")
    assert_sealed(repo, repo.run("run 4", params={"power": 4}))
    clean = result_of(repo.anchored("audit", "--deep", "--json", **prefect_server.env))
    assert (clean["runs"], clean["reproducible"], clean["findings"]) == (4, 4, [])
    assert repo.reproduce("run 2").verdict == "identical"
