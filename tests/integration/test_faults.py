"""With three in ten requests failing, at S3, Git and MLflow: no run is lost, none is made twice.

A sample; `benchmarks/faults.py` makes sixty.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.faults import faulty
from tests.killed import assert_nothing_is_left
from tests.repos import Repo
from tests.services.git_server import GitServer
from tests.services.mlflow_server import MlflowServer
from tests.services.proxy import Proxy
from tests.services.s3 import S3Server

RUNS = 1


def test_runs_through_faults_are_each_sealed_once(
    repo: Repo,
    git_server: GitServer,
    s3_server: S3Server,
    mlflow_server: MlflowServer,
    proxy: Callable[[int], Proxy],
) -> None:
    services = (git_server, s3_server, mlflow_server)
    git, s3, mlflow = ((server, proxy(server.port)) for server in services)
    work = faulty(repo, f"faults-{git[1].port}", git=git, s3=s3, mlflow=mlflow)
    work.fail(0.3, seed=11)
    for number in range(RUNS):
        work.run(f"run {number}", power=number + 1)
    assert min(work.failed["s3"], work.failed["mlflow"]) > 0, work.failed
    work.heal()
    assert work.counts() == {(f"run {number}", "sealed"): 1 for number in range(RUNS)}
    assert repo.audit(deep=True).findings == ()
    assert_nothing_is_left(repo)
