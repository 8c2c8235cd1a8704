"""Runs that were sealed with a number's format in their command are still what they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from anchored.config import Config
from anchored.errors import ConfigError
from anchored.records import Verdict
from anchored.restore.restore import restore
from tests.repos import Repo


def test_a_format_of_the_past_is_reproduced_and_refused_for_new_runs(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.configure('"python train.py"', '"python train.py {power:03d}"')
    with monkeypatch.context() as before:
        before.setattr(Config, "check_placeholders", lambda _: None)
        run = repo.run("one")
    assert run.command == "python train.py 001"
    with pytest.raises(ConfigError, match=r"train\.command: \{power\} is a plain name") as raised:
        repo.run("two")
    assert "write {power}" in str(raised.value.hint)
    assert [run.name for run in repo.runs()] == ["one"]
    assert repo.audit().is_clean
    assert len(restore(repo.open(), "one", str(tmp_path / "to")).files) == 2
    assert repo.reproduce("one").verdict == Verdict.IDENTICAL
