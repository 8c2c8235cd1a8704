"""The DVC remote of a test's repository, set with DVC's own commands as a user would."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

NAME = "store"

_RUN_ALL = """
import json, sys
from dvc.cli import main
sys.exit(any(main([*command, "--quiet"]) for command in json.load(sys.stdin)))
"""


def add_remote(
    repo: Path, url: str, *, options: Mapping[str, str], private: Mapping[str, str]
) -> None:
    """Make `url` the default remote of the repo; `private` options go to `config.local` alone."""
    commands = [["remote", "add", "--force", "--default", NAME, url]]
    commands += [["remote", "modify", NAME, *option] for option in options.items()]
    commands += [["remote", "modify", "--local", NAME, *option] for option in private.items()]
    subprocess.run(
        # One process for all (each costs 0.35 s), and no secret on a command line.
        [sys.executable, "-c", _RUN_ALL],
        input=json.dumps(commands),
        cwd=repo,
        text=True,
        check=True,
    )


def run_dvc(
    repo: Path, *arguments: str, env: Mapping[str, str] | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run the DVC command in the repo; its output is in the result, and in the error if `check`."""
    result = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=repo,
        env=dict(os.environ if env is None else env),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if check and result.returncode:
        raise AssertionError(f"dvc {' '.join(arguments)}\n{result.stdout}{result.stderr}")
    return result
