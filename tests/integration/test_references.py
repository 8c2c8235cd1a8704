"""Which run is meant: a name never takes over what an alias, an id or `latest` refers to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from anchored.errors import AmbiguousRun, UnknownRun
from anchored.history.find import found
from tests.repos import Repo

START = datetime(2026, 1, 1, tzinfo=UTC)
RETRAIN = """
[retrain]
metric = "total"
goal = "max"
registered_model = "sums_model"
"""


class Named:
    """Runs with no more than a name, each newer than the one before."""

    def __init__(self, repo: Repo) -> None:
        repo.write("anchored.toml", (repo.root / "anchored.toml").read_text() + RETRAIN)
        self.repo, self.workspace, self.count = repo, repo.open(), 0

    def run(self, name: str) -> str:
        """Opens a run as somebody may who writes to the tracker; its id."""
        self.count += 1
        started = START + timedelta(days=self.count)
        run_id: str = self.workspace.tracker.open_run(name=name, tags={}, started=started).run_id
        return run_id

    def alias(self, run_id: str) -> None:
        from mlflow.tracking import MlflowClient

        client = MlflowClient(f"sqlite:///{self.repo.root}/mlflow.db")
        client.create_registered_model("sums_model")
        version = client.create_model_version("sums_model", "s3://bucket/model", run_id=run_id)
        client.set_registered_model_alias("sums_model", "champion", version.version)

    def meant(self, wanted: str, *, latest: bool = False) -> str:
        return found(self.workspace, wanted, latest=latest).run_id

    def refused(self, wanted: str, *ids: str) -> AmbiguousRun:
        """The error, which names these runs, whether the newest is asked for or not."""
        for latest in (True, False):
            with pytest.raises(AmbiguousRun) as error:
                self.meant(wanted, latest=latest)
            assert {line.split()[0] for line in error.value.candidates} == set(ids)
        assert "--latest" not in str(error.value.hint)
        return error.value


def test_a_name_takes_over_no_other_meaning(repo: Repo) -> None:
    named = Named(repo)
    one = named.run("one")
    alias = named.run("@champion")
    with pytest.raises(UnknownRun) as unknown:
        named.meant("@champion")  # no model has it yet
    assert alias in str(unknown.value.hint)
    named.alias(one)
    for absent in ("@", "@nobody", "@a b", "@a/b", "@../champion", "@champion\0", "@" + "a" * 300):
        with pytest.raises(UnknownRun):
            named.meant(absent)
    error = named.refused("@champion", one, alias)
    assert "'@champion'" in error.message
    assert "'one'" in error.message

    prefix, whole = named.run(one[:8]), named.run(one)
    named.refused(one[:8], one, prefix)
    assert named.meant(one) == named.meant(one, latest=True) == one
    assert named.meant(one[:7]) == one

    latest = named.run("latest")
    assert named.meant("latest") == latest, "it is the newest, whatever its name"
    newest = named.run("newest")
    named.refused("latest", latest, newest)
    for run_id in (alias, prefix, whole, latest, newest):
        assert named.meant(run_id) == run_id, "an id is the way out"


def test_only_what_is_spelled_just_so_is_meant(repo: Repo) -> None:
    named = Named(repo)
    ids = {name: named.run(name) for name in ("One", "one", "caf\xe9", "cafe\u0301", "Latest")}
    for name, run_id in ids.items():
        assert named.meant(name) == run_id
    assert named.meant("latest") == ids["Latest"] == named.meant(ids["Latest"][:6])
    for absent in (
        "ONE",
        "one ",
        " one",
        "one\u200b",
        "LATEST",
        ids["one"][:5],
        ids["one"].upper(),
    ):
        with pytest.raises(UnknownRun):
            named.meant(absent)
    again = named.run("one")
    with pytest.raises(AmbiguousRun) as error:
        named.meant("one")
    assert "--latest" in str(error.value.hint)
    assert named.meant("one", latest=True) == again
