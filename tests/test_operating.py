"""Commands, options and settings that the pages and the files for operators name are known."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from anchored.cli.main import parser

PROJECT = Path(__file__).parents[1]
DEPLOYMENTS = PROJECT / "deployments"
PAGES = [PROJECT / "README.md", *(PROJECT / "docs").glob("*.md"), *DEPLOYMENTS.glob("*.md")]
UNITS = sorted((DEPLOYMENTS / "systemd").glob("*.service"))
INSTALLED = "/opt/anchored/venv/bin/"
PROGRAMS = ("anchored", "mlflow", "prefect")


def commands(program: str) -> Iterator[list[str]]:
    """The arguments of every call of the program in an indented block, or in a unit."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^    (.*)$", text, re.MULTILINE):
            yield from call(line, program)
    for unit in UNITS:
        for line in re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE):
            yield from call(line, program)


def call(line: str, program: str) -> Iterator[list[str]]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # a line of TOML, or of a drawing
        return
    while words and re.match(r"[A-Z_]+=", words[0]):  # variables before a command
        del words[0]
    for place, word in enumerate(words):
        if (word == program and place == 0) or word == INSTALLED + program:
            yield words[place + 1 :]


def settings(prefix: str) -> set[str]:
    files = [*(DEPLOYMENTS / "etc").glob("*.env"), *UNITS, PROJECT / "docs/operating.md"]
    return {
        name
        for file in files
        for name in re.findall(rf"(?<!\w){prefix}_[A-Z0-9_]+", file.read_text(encoding="utf-8"))
    }


def test_calls_of_anchored_are_taken() -> None:
    found = list(commands("anchored"))
    assert ["audit", "--deep"] in found
    for arguments in found:
        parser().parse_args(arguments)


def test_calls_of_prefect_are_taken() -> None:
    from prefect.cli._app import _app as app

    found = list(commands("prefect"))
    assert ["worker", "start", "--pool", "anchored", "--limit", "1"] in found
    for arguments in found:
        app.parse_args(arguments, print_error=False, exit_on_error=False)


def test_calls_of_mlflow_are_taken() -> None:
    import click
    from mlflow.cli import cli

    found = list(commands("mlflow"))
    assert ["db", "upgrade", "postgresql:///mlflow"] in found
    for arguments in found:
        command: click.Command = cli
        words = iter(arguments)
        while isinstance(command, click.Group):
            command = command.commands[next(words)]
        command.make_context("mlflow", list(words))


def test_settings_of_prefect_are_known() -> None:
    import prefect.settings

    named = settings("PREFECT")
    assert "PREFECT_SERVER_API_AUTH_STRING" in named
    for name in named:
        assert hasattr(prefect.settings, name), name


def test_settings_of_mlflow_are_known() -> None:
    from mlflow import environment_variables
    from mlflow.cli import cli

    options = {option.envvar for option in cli.commands["server"].params if option.envvar}
    named = settings("MLFLOW")
    assert "MLFLOW_FLASK_SERVER_SECRET_KEY" in named
    assert {n for n in named - options if not hasattr(environment_variables, n)} == set()

    spec = importlib.util.find_spec("mlflow")
    assert spec is not None
    assert spec.origin is not None
    theirs = Path(spec.origin).parent.joinpath("server/auth/basic_auth.ini").read_text()
    ours = (DEPLOYMENTS / "etc/mlflow-auth.ini").read_text()
    for key in re.findall(r"^(\w+) =", ours, re.MULTILINE):
        assert re.search(rf"^(# )?{key} =", theirs, re.MULTILINE), key


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_installed_are_there(page: Path) -> None:
    for name in re.findall(r"(?<![\w/])deployments/[\w/.-]*\w", page.read_text(encoding="utf-8")):
        assert (PROJECT / name).exists(), name


def test_every_repository_has_a_mirror_with_its_run_refs_and_lfs_files(tmp_path: Path) -> None:
    stubs = tmp_path / "bin"
    stubs.mkdir()
    for program in ("pg_dump", "rclone"):
        (stubs / program).write_text("#!/bin/sh\n"
                                     'for a; do case $a in --file=*) : > "${a#--file=}";; esac; done\n')  # fmt: skip
        (stubs / program).chmod(0o755)

    def git(*arguments: str, cwd: Path) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=cwd, check=True, capture_output=True, text=True
        ).stdout

    for team in ("one", "two"):
        repo = tmp_path / team / "sums"
        repo.mkdir(parents=True)
        git("init", "--quiet", cwd=repo)
        if team == "two":
            git("lfs", "install", "--local", cwd=repo)
            git("lfs", "track", "*.bin", cwd=repo)
            (repo / "large.bin").write_text("large")
        (repo / "notes.txt").write_text(team)
        git("add", "--all", cwd=repo)
        git("commit", "--quiet", "--message", team, cwd=repo)
        git("update-ref", "refs/anchored/runs/1", "HEAD", cwd=repo)
    backup = tmp_path / "backup"
    backup.mkdir()
    urls = [f"file://{tmp_path}/one/sums", f"{tmp_path}/two/sums"]
    own = {"BACKUP_TO": str(backup), "BACKUP_REPOS": " ".join(urls), "BACKUP_ARTIFACTS": "a:b",
           "BACKUP_DVC": "a:c", "PATH": f"{stubs}:{os.environ['PATH']}"}  # fmt: skip
    for _ in range(2):
        subprocess.run([DEPLOYMENTS / "backup.sh"], env={**os.environ, **own}, check=True)
    for team in ("one", "two"):
        mirror = backup / "git" / tmp_path.relative_to("/") / team / "sums.git"
        assert git("show", "refs/anchored/runs/1:notes.txt", cwd=mirror) == team
    held = [file.read_text() for file in (mirror / "lfs/objects").rglob("*") if file.is_file()]
    assert held == ["large"]


def test_secrets_are_left_to_be_filled_in() -> None:
    for file in (DEPLOYMENTS / "etc").glob("*.env"):
        for name, value in re.findall(r"^(\w*(?:SECRET|PASSWORD|AUTH_STRING)\w*)=(.*)$",
                                      file.read_text(), re.MULTILINE):  # fmt: skip
            assert value.endswith("FILL-IN"), f"{file.name}: {name}"
