"""Runs that a stranger wrote among good ones: each is named, and all others go on as without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anchored.diff.diff import diff_runs
from anchored.errors import AnchoredError, WrongUse
from anchored.history.find import found
from anchored.restore.restore import restore
from tests.hostile import DEEP, HARMS, ManyRuns
from tests.repos import Repo

GOOD = 20


def test_hostile_runs_are_named_and_good_ones_go_on(repo: Repo, tmp_path: Path) -> None:
    runs = ManyRuns(repo, GOOD, len(HARMS))
    check_audit(runs)
    check_commands(runs)
    workspace = repo.open()
    first = found(workspace, runs.good[0].run_id)
    for number, good in enumerate(runs.good):
        to = tmp_path / f"good {number}"
        assert len(restore(workspace, good.run_id, str(to)).files) == 3
        assert (to / "models/model.bin").read_text() == f"model {number}\n"
    assert not diff_runs(workspace, first, found(workspace, runs.good[-1].run_id)).none
    for number, (run, harm) in enumerate(runs.harmed):
        check_harmed(workspace, first, run.run_id, harm.what, tmp_path / f"harmed {number}")
    assert not list(tmp_path.rglob(".anchored-restoring-*"))
    assert not list(repo.root.rglob("PWNED"))
    assert not list(tmp_path.rglob("evil"))


def check_audit(runs: ManyRuns) -> None:
    """The audit names every harmed run, by what is wrong with it, and no other."""
    audit = runs.repo.audit()
    problems: dict[str, set[str]] = {}
    for finding in audit.findings:
        problems.setdefault(finding.run_id, set()).add(str(finding.problem))
        assert len(finding.detail) < 1_000
    assert audit.runs == GOOD + len(HARMS)
    for run in runs.good:
        assert run.run_id not in problems
    for run, harm in runs.harmed:
        assert harm.problem in (problems.get(run.run_id) or {""}), harm.what


def check_commands(runs: ManyRuns) -> None:
    """What a user types speaks of all runs, and shows nothing that acts."""
    acting = next(run.run_id for run, harm in runs.harmed if harm.name)
    deep = next(run.run_id for run, harm in runs.harmed if harm.record == "[" * DEEP)
    commands = {
        "list": ["list", "--json"],
        "names": ["list", "-n", "100"],
        "show": ["show", acting],
        "diff": ["diff", acting, deep, "--patch"],
        "deep": ["show", deep],
    }
    done = {name: runs.repo.anchored(*command) for name, command in commands.items()}
    for name, result in done.items():
        assert result.returncode == 0, result.stderr
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & {*result.stdout, *result.stderr}, name
    every = {run.run_id for run in (*runs.good, *(run for run, _ in runs.harmed))}
    assert {run["run_id"] for run in json.loads(done["list"].stdout)} == every
    assert "\\x1b]0;pwned\\x07" in done["names"].stdout
    assert f"the record of {deep} cannot be read: " in done["deep"].stderr


def check_harmed(workspace: Any, first: Any, run_id: str, what: str, to: Path) -> None:
    """Such a run is compared, and is restored from what is left or refused by name."""
    refused = ""
    try:
        diff_runs(workspace, first, found(workspace, run_id))
        restore(workspace, run_id, str(to))
    except WrongUse as error:
        refused = error.message
    except AnchoredError as error:
        pytest.fail(f"{what}: {type(error).__name__}: {error}")
    assert len(refused) < 1_000, what
