"""Many runs with a share of all requests to S3, Git and MLflow failing: sealed, lost, doubled?

Proxies reset connections before a request arrives or instead of its answer, or answer 503. A run is
begun and resumed until it is sealed, as a patient user would; then everything is healed, and the
audit is asked.

    python benchmarks/faults.py [runs] [share] [seed]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT))

from tests.faults import faulty  # noqa: E402
from tests.repos import Repo, make_template  # noqa: E402
from tests.services.environment import clean_env  # noqa: E402
from tests.services.git_server import serve_git  # noqa: E402
from tests.services.mlflow_server import serve_mlflow  # noqa: E402
from tests.services.proxy import cutting_proxy  # noqa: E402
from tests.services.s3 import serve_s3  # noqa: E402


def main(count: int, share: float, seed: int) -> None:
    with tempfile.TemporaryDirectory(prefix="anchored-faults-") as folder, ExitStack() as ended:
        home = Path(folder)
        os.environ |= clean_env(home)
        (home / ".gitconfig").write_text("[user]\nname = B\nemail = b@localhost\n")
        places = [home / name for name in ("git", "s3", "mlflow")]
        for place in places:
            place.mkdir()
        servers = [
            ended.enter_context(serve(place))
            for serve, place in zip((serve_git, serve_s3, serve_mlflow), places, strict=True)
        ]
        git, s3, mlflow = (
            (server, ended.enter_context(cutting_proxy(server.port))) for server in servers
        )
        repo = Repo(make_template(home / "template") / "work")
        work = faulty(repo, "faults", git=git, s3=s3, mlflow=mlflow)
        work.fail(share, seed)
        start = time.monotonic()
        for number in range(count):
            work.run(f"run {number}", power=number + 1)
            print(f"run {number}: {work.tries} tries so far", file=sys.stderr)
        seconds, failed = time.monotonic() - start, work.failed
        work.heal()
        counts = work.counts()
        sealed = [name for (name, state), n in counts.items() if state == "sealed" and n == 1]
        open_runs = sum(n for (_, state), n in counts.items() if state != "sealed")
        audit = repo.audit(deep=True)
        print(f"{count} runs, {share:.0%} of requests failed: {failed}, {seconds:.0f} s")
        print(f"sealed once {len(sealed)}, not sealed {open_runs}, tries {work.tries}")
        print(f"doubled {sum(n > 1 for n in counts.values())}, lost {count - len(sealed)}")
        print(f"audit: {audit.runs} runs, {len(audit.findings)} findings")
        for finding in audit.findings:
            print(f"  {finding.name}: {finding.problem}: {finding.detail}")


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 60,
        float(sys.argv[2]) if len(sys.argv) > 2 else 0.3,
        int(sys.argv[3]) if len(sys.argv) > 3 else 1,
    )
