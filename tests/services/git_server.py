"""A Git server that speaks Git's own protocol: `git daemon` that accepts pushes."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services import ServiceMissing
from tests.services.environment import clean_env
from tests.services.loopback import free_port, listens
from tests.services.process import Server, start


@dataclass(frozen=True)
class GitServer:
    """Bare repositories under `base`, readable and writable by anybody on loopback."""

    base: Path
    port: int
    env: dict[str, str]
    process: Server

    def url_of(self, name: str, *, port: int | None = None) -> str:
        """The address of the repository; `port` is that of a proxy in between."""
        return f"git://127.0.0.1:{port or self.port}/{name}.git"

    def create(self, name: str) -> Path:
        """Make an empty bare repository with default branch `main`; return its folder."""
        path = self.base / f"{name}.git"
        command = ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(path)]
        subprocess.run(command, env=self.env, check=True)
        return path


@contextmanager
def serve_git(root: Path) -> Iterator[GitServer]:
    """Serve the repositories made under `root` until the end of the block."""
    env = clean_env(root)
    daemon = _find_daemon(env)
    base, port = root / "repos", free_port()
    base.mkdir(parents=True)
    # Git's automatic repacking detaches itself from its server and would outlive it.
    (root / ".gitconfig").write_text("[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n")
    server = start(
        [
            *(str(daemon), "--reuseaddr", "--listen=127.0.0.1", f"--port={port}"),
            *(f"--base-path={base}", "--export-all", "--enable=receive-pack"),
            *("--informative-errors", "--max-connections=0", str(base)),
        ],
        cwd=root,
        env=env,
        log=root / "git-daemon.log",
        ready=lambda: listens(port),
        timeout=30,
    )
    try:
        yield GitServer(base, port, env, server)
    finally:
        server.stop()


def _find_daemon(env: dict[str, str]) -> Path:
    how = "install git with its daemon (Debian: git; Fedora: git-daemon)"
    try:
        command = ["git", "--exec-path"]
        found = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise ServiceMissing("git", how=how) from error
    daemon = Path(found.stdout.strip()) / "git-daemon"
    if not daemon.exists():
        raise ServiceMissing("git daemon", how=how)
    return daemon
