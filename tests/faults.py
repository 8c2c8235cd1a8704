"""Runs whose every service fails at times: S3, the Git server and the MLflow server behind proxies."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from anchored.decisions.tags import DOUBLES, STATE
from anchored.errors import AnchoredError
from tests.killed import resume
from tests.repos import Repo
from tests.services.git_server import GitServer
from tests.services.mlflow_server import MlflowServer
from tests.services.proxy import Proxy
from tests.services.s3 import S3Server

TRIES = 60  # of one run, with all services failing


@dataclass
class Faulty:
    """A training repo all of whose services are reached through proxies."""

    repo: Repo
    proxies: dict[str, Proxy]
    tries: int = 0

    @property
    def failed(self) -> dict[str, int]:
        """By service, the requests that came to harm."""
        return {name: proxy.failed for name, proxy in self.proxies.items()}

    def fail(self, share: float, seed: int) -> None:
        for number, proxy in enumerate(self.proxies.values()):
            proxy.fail(share, seed + number)

    def heal(self) -> None:
        for proxy in self.proxies.values():
            proxy.heal()

    def run(self, name: str, power: int) -> None:
        """One run, begun and resumed as often as it takes a patient user."""
        for number in range(TRIES):
            self.tries += 1
            try:
                if number and any(self.repo.open().journals.all()):
                    resume(self.repo)
                elif not self._sealed(name):
                    self.repo.run(name, params={"power": power})
                if not any(self.repo.open().journals.all()) and self._sealed(name):
                    return
            except AnchoredError:
                continue

    def _sealed(self, name: str) -> bool:
        named = self.repo.open().tracker.runs_named(name)
        return any(run.tags.get(STATE) == "sealed" for run in named)

    def counts(self) -> Counter[tuple[str, str]]:
        """How many runs there are of each name and state, but for those closed as doubles."""
        runs = self.repo.open().tracker.runs()
        return Counter((r.name, r.tags.get(STATE, "")) for r in runs if DOUBLES not in r.tags)


def faulty(
    repo: Repo,
    experiment: str,
    *,
    git: tuple[GitServer, Proxy],
    s3: tuple[S3Server, Proxy],
    mlflow: tuple[MlflowServer, Proxy],
) -> Faulty:
    """The repo with its remotes and its tracker behind the proxies, which do no harm yet."""
    origin = git[0].create(experiment)
    repo.origin = origin
    repo.git("remote", "set-url", "origin", git[0].url_of(experiment, port=git[1].port))
    s3[0].create(experiment)
    s3[0].configure(repo.root, experiment, port=s3[1].port)
    uri = mlflow[0].url_at(mlflow[1].port)
    repo.configure('"sums"\n', f'"{experiment}"\n[tracker]\nuri = "{uri}"\n')
    repo.git("push", "--quiet", "--set-upstream", "origin", "main")
    return Faulty(repo, {"git": git[1], "s3": s3[1], "mlflow": mlflow[1]})
