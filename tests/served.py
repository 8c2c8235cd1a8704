"""A training repo that others reach over a Git server, and that works from anywhere."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.repos import Repo


class Served(Repo):
    """Somebody's training repo, whose Git remote `origin` lies on a server under `name`."""

    def __init__(self, root: Path, name: str, origin: Path) -> None:
        super().__init__(root)
        self.name, self.origin = name, origin

    def push(self, path: str, text: str) -> str:
        """Somebody commits a file and pushes it."""
        self.git("pull", "--quiet", "--no-rebase", "origin", "main")
        self.write(path, text)
        self.git("add", "--force", "--", path)
        self.git("commit", "--quiet", "--message", f"Write {path}")
        self.git("push", "--quiet", "origin", "main")
        return self.head

    def served(self, ref: str = "refs/heads/main") -> str:
        """Where a ref stands on the server."""
        return self.git("rev-parse", ref, cwd=self.origin)


def serve(repo: Repo, name: str, origin: Path, url: str) -> Served:
    """Puts a repo behind a server, its DVC remote and tracker at absolute places."""
    made = Served(repo.root, name, origin)
    made.git("remote", "set-url", "origin", url)
    config = (made.root / ".dvc/config").read_text()
    made.write(".dvc/config", config.replace("../../store", str(made.store)))
    _hold_input(made)
    uri = f'[tracker]\nuri = "sqlite:///{made.root}/mlflow.db"\n\n'
    made.configure("[train.params]", f"{uri}[train.params]")
    made.git("push", "--quiet", "--set-upstream", "origin", "main")
    return made


def _hold_input(repo: Repo) -> None:
    """What `dvc add` and `dvc push` leave, without their time."""
    content = (repo.root / "data/numbers.csv").read_bytes()
    md5 = hashlib.md5(content).hexdigest()
    held = repo.store / "files/md5" / md5[:2] / md5[2:]
    held.parent.mkdir(parents=True)
    held.write_bytes(content)
    out = f"- md5: {md5}\n  size: {len(content)}\n  hash: md5\n  path: numbers.csv\n"
    repo.write("data/numbers.csv.dvc", f"outs:\n{out}")
    repo.write("data/.gitignore", "/numbers.csv\n")
    repo.git("add", "data")
