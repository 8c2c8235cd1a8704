"""Processes forked from a server that has everything imported, for what is not about imports.

A command of ours takes two seconds from Python's start, most of it imports. Forked, it runs the
same code with the same arguments, environment, folder and streams in a process of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_PRELOADED = [
    "tests.killed", "mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store",
    "anchored.adapters.mlflow.tracker", "dvc.cli", "dvc.repo", "rich.table", "flows.experiment",
    "flows.retrain", "flows.reproduce", "flows.audit", "anchored.adapters.dvc.store",
    # What these import when they are first used.
    "dvc.cachemgr", "dvc.data_cloud", "dvc.repo.index", "dvc.repo.stage", "dvc.scm", "dulwich.client",
    "dvc_data.hashfile.status", "mlflow.store.tracking.sqlalchemy_workspace_store", "ruamel.yaml",
    "sqlalchemy.dialects.sqlite", "email.policy", "tests.warm",
]  # fmt: skip
_PATIENCE = 240  # seconds that a command may take
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(_PRELOADED)


def anchored(*args: str, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What `anchored` with these arguments says and how it ends; never raises for its exit code."""
    return _captured(_run_anchored, args, cwd, env)


def dvc(*args: str, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """As `anchored`, for a command of DVC's own."""
    return _captured(_run_dvc, args, cwd, env)


def begun(*args: str, cwd: Path, env: Mapping[str, str]) -> Any:
    """The process in which `anchored` with these arguments has begun, heard by nobody."""
    command = (_run_anchored, (os.devnull,) * 3, str(cwd), [*args])
    process = _server.Process(target=_in_environment, args=(dict(env), _as_command, *command))
    process.start()
    return process


def started(target: Callable[..., None], *args: Any) -> Any:
    """A process that has begun to run a function, in the test's environment."""
    process = _server.Process(target=_in_environment, args=(dict(os.environ), target, *args))
    process.start()
    return process


def in_process(target: Callable[..., None], *args: Any) -> Any:
    """The process that has run a function to its end, whatever end that was."""
    process = started(target, *args)
    process.join(120)
    assert process.exitcode is not None
    return process


def _captured(
    main: Callable[..., None], args: Sequence[str], cwd: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        command = (main, (os.devnull, str(out), str(err)), str(cwd), [*args])
        process = _server.Process(target=_in_environment, args=(dict(env), _as_command, *command))
        process.start()
        process.join(_PATIENCE)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(args, _PATIENCE, out.read_text(), err.read_text())
        return subprocess.CompletedProcess(args, process.exitcode, out.read_text(), err.read_text())


def _as_command(
    main: Callable[..., None], streams: tuple[str, str, str], cwd: str, args: list[str]
) -> None:
    """Runs `main` in the folder, with the three standard streams in these files."""
    for number, file in enumerate(streams):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT), number)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, mode, encoding="utf-8", closefd=False)
        for number, mode in enumerate(("r", "w", "w"))
    )
    os.chdir(cwd)
    main(args)


def _in_environment(variables: dict[str, str], target: Callable[..., None], *args: Any) -> None:
    os.environ.clear()
    os.environ.update(variables)
    target(*args)


def _run_anchored(args: list[str]) -> None:
    from prefect.context import refresh_global_settings_context

    from anchored.cli.main import run_and_exit

    # Prefect reads its settings when it is imported, which was in another test's environment.
    refresh_global_settings_context()
    sys.argv = ["anchored", *args]
    run_and_exit()


def _run_dvc(args: list[str]) -> None:
    from dvc.cli import main

    sys.exit(main(args))
