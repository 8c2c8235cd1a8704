"""The DVC remote of a test's repository, set with DVC's own commands as a user would."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests import forked

NAME = "store"


def add_remote(
    repo: Path, url: str, *, options: Mapping[str, str], private: Mapping[str, str]
) -> None:
    """Make `url` the default remote of the repo; `private` options go to `config.local` alone."""
    commands = [["remote", "add", "--force", "--default", NAME, url]]
    commands += [["remote", "modify", NAME, *option] for option in options.items()]
    commands += [["remote", "modify", "--local", NAME, *option] for option in private.items()]
    assert forked.in_process(_run_all, repo, commands).exitcode == 0


def _run_all(repo: Path, commands: Sequence[Sequence[str]]) -> None:
    from dvc.cli import main

    os.chdir(repo)
    for command in commands:
        assert main([*command, "--quiet"]) == 0, command


def run_dvc(
    repo: Path, *arguments: str, env: Mapping[str, str] | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run the DVC command in the repo; its output is in the result, and in the error if `check`."""
    result = forked.dvc(*arguments, cwd=repo, env=os.environ if env is None else env)
    if check and result.returncode:
        raise AssertionError(f"dvc {' '.join(arguments)}\n{result.stdout}{result.stderr}")
    return result
