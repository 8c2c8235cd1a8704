"""`anchored diff`: why two runs differ, from their data, code, params, environment and metrics."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anchored.diff.diff import diff_runs
from anchored.history.find import found
from anchored.records import RunRecord
from tests.repos import Repo, result_of

NUMBERS = "".join(f"{n}\n" for n in range(100))
MORE = "".join(f"{n}\n" for n in range(101))


def diffed(repo: Repo, one: str = "one", other: str = "two", *, patch: bool = False) -> Any:
    """The JSON of the difference, by the step that the command calls."""
    workspace = repo.open()
    sides = [found(workspace, name) for name in (one, other)]
    document = diff_runs(workspace, *sides, patch=patch).to_json()
    return json.loads(json.dumps(document))


def nothing_but(document: Any, *parts: str) -> None:
    """Whether these parts alone say that something differs."""
    code = document["code"]
    said = {name for name in ("data", "params", "metrics", "environment") if document[name]}
    said |= {"code"} if code["files"] or "problem" in code else set()
    assert said == set(parts)


Pair = tuple[Repo, tuple[RunRecord, RunRecord]]


def on_a_folder(repo: Repo) -> Repo:
    """A repo whose input is a folder of three files, one of them deeper."""
    for name, content in {"a.txt": "1\n", "b.txt": "2\n", "deep/c.txt": "3\n"}.items():
        repo.write(f"data/parts/{name}", content)
    repo.script("""\
        import json, pathlib
        total = sum(int(p.read_text()) for p in pathlib.Path("data/parts").rglob("*.txt"))
        pathlib.Path("models").mkdir(exist_ok=True)
        pathlib.Path("models/model.bin").write_text(f"{total}\\n")
        json.dump({"total": total}, open("metrics.json", "w"))
        """)
    repo.configure("data/numbers.csv", "data/parts")
    return repo


def change_parts(repo: Repo) -> None:
    repo.write("data/parts/a.txt", "1000\n")
    (repo.root / "data/parts/b.txt").unlink()
    repo.write("data/parts/deep/d é.txt", "44\n")


@pytest.fixture
def folder(repo: Repo) -> Repo:
    return on_a_folder(repo)


def changed_folder(repo: Repo) -> tuple[RunRecord, RunRecord]:
    """Two runs, with the changes of `change_parts` between them."""
    one = on_a_folder(repo).run("one")
    change_parts(repo)
    return one, repo.run("two")


@pytest.fixture
def parts(prepared_by: Callable[..., Pair]) -> Pair:
    return prepared_by(changed_folder)


def changed_file(repo: Repo) -> tuple[RunRecord, RunRecord]:
    """Two runs, with more in their input the second time."""
    one = repo.run("one")
    repo.write("data/numbers.csv", MORE)
    return one, repo.run("two")


@pytest.fixture
def pair(prepared_by: Callable[..., Pair]) -> Pair:
    return prepared_by(changed_file)


CHANGED_PARTS = [
    {"path": "data/parts/a.txt", "change": "changed", "from": 2, "to": 5},
    {"path": "data/parts/b.txt", "change": "removed", "from": 2, "to": None},
    {"path": "data/parts/deep/d é.txt", "change": "added", "from": None, "to": 3},
]


def test_the_same_run_twice_differs_in_nothing(sealed: tuple[Repo, RunRecord]) -> None:
    repo, _ = sealed
    repo.run("two")
    document = diffed(repo, patch=True)
    nothing_but(document)
    assert document["code"]["patch"] == ""
    nothing_but(diffed(repo, "one", "one"))


def test_a_changed_file_is_told_with_its_sizes_and_so_is_the_model(pair: Pair) -> None:
    repo, (one, two) = pair
    document = diffed(repo)
    nothing_but(document, "data", "metrics")
    assert document["data"] == [
        {
            "path": "data/numbers.csv", "from": one.data[0].md5, "to": two.data[0].md5,
            "files": [{"path": "data/numbers.csv", "change": "changed",
                       "from": len(NUMBERS), "to": len(MORE)}],
        },
        {
            "path": "models/model.bin", "from": one.model[0].md5, "to": two.model[0].md5,
            "files": [{"path": "models/model.bin", "change": "changed", "from": 5, "to": 5}],
        },
    ]  # fmt: skip
    assert document["metrics"] == {"total": {"from": 4950, "to": 5050, "change": 100}}
    # The first run's pointers and .gitignore lines came between the two source commits.
    assert document["code"]["from"] != document["code"]["to"]


def test_the_files_of_a_folder_that_came_went_and_changed(parts: Pair) -> None:
    folder, _ = parts
    data = diffed(folder)["data"]
    assert [output["path"] for output in data] == ["data/parts", "models/model.bin"]
    assert data[0]["files"] == CHANGED_PARTS
    assert "problem" not in data[0]


def empty_cache(repo: Repo) -> None:
    shutil.rmtree(repo.root / ".dvc/cache")


def test_a_folder_is_told_from_the_remote_where_the_cache_is_cold(parts: Pair) -> None:
    folder, _ = parts
    empty_cache(folder)
    assert diffed(folder)["data"][0]["files"] == CHANGED_PARTS
    # Only listings have come.
    here = [p for p in (folder.root / ".dvc/cache/files/md5").rglob("*") if p.is_file()]
    assert len(here) == 2
    assert all(p.name.endswith(".dir") for p in here)


def test_a_listing_that_nobody_has_is_said_and_the_rest_told(parts: Pair) -> None:
    folder, (one, _) = parts
    empty_cache(folder)
    md5 = one.data[0].md5
    (folder.store / "files/md5" / md5[:2] / md5[2:]).unlink()
    document = diffed(folder)
    parts, model = document["data"]
    assert parts["files"] == []
    assert md5 in parts["problem"]
    assert model["files"][0]["from"] == 2
    assert document["metrics"]["total"]["change"] == 1044 - 3


def test_a_remote_that_is_gone_leaves_the_rest_to_be_told(parts: Pair) -> None:
    folder, _ = parts
    empty_cache(folder)
    folder.store.rename(folder.store.with_name("elsewhere"))
    folder.store.write_text("no folder")
    document = diffed(folder)
    assert document["data"][0]["problem"]
    assert document["metrics"]


def test_changed_code_without_what_dvc_writes(repo: Repo) -> None:
    repo.write("old.py", "x = 1\n")
    repo.commit()
    repo.run("one")
    repo.git("rm", "--quiet", "old.py")
    repo.write("new é.py", "y = 1\n")
    repo.write("train.py", (repo.root / "train.py").read_text() + "# changed\n")
    repo.write("data/numbers.csv", MORE)
    repo.commit()
    two = repo.run("two")
    document = diffed(repo)
    assert document["code"]["files"] == [
        {"path": "new é.py", "change": "added"},
        {"path": "old.py", "change": "removed"},
        {"path": "train.py", "change": "changed"},
    ]
    assert document["code"]["to"] == two.git.source_commit
    assert "patch" not in document["code"]
    patch = diffed(repo, patch=True)["code"]["patch"]
    assert "+# changed" in patch
    assert "+y = 1" in patch
    assert ".dvc" not in patch
    assert ".gitignore" not in patch


def test_a_gitignore_that_the_user_changed_is_code(sealed: tuple[Repo, RunRecord]) -> None:
    repo, _ = sealed
    repo.write(".gitignore", (repo.root / ".gitignore").read_text() + "*.tmp\n")
    repo.commit()
    repo.run("two")
    files = [file["path"] for file in diffed(repo, patch=True)["code"]["files"]]
    assert files == [".gitignore"]


def test_params_and_metrics_with_their_change(repo: Repo) -> None:
    repo.configure("power = 1", 'power = 1\nlabel = "a"')
    repo.run("one")
    repo.configure('label = "a"', "extra = true")
    repo.run("two", params={"power": 2})
    document = diffed(repo)
    assert document["params"] == {
        "power": {"from": 1, "to": 2},
        "label": {"from": "a", "to": None},
        "extra": {"from": None, "to": True},
    }
    assert document["metrics"] == {"total": {"from": 4950, "to": 328350, "change": 323400}}


def test_the_environment_by_package_and_variable(
    sealed: tuple[Repo, RunRecord], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repo, _ = sealed
    (tmp_path / "site/tiny-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "site/tiny-1.0.dist-info/METADATA").write_text("Name: tiny\nVersion: 1.0\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    repo.run("two")
    document = diffed(repo)
    nothing_but(document, "environment")
    assert document["environment"] == {
        "packages/tiny": {"from": None, "to": "1.0"},
        "variables/OMP_NUM_THREADS": {"from": None, "to": "3"},
    }


def test_a_lost_commit_is_said_and_the_rest_told(pair: Pair) -> None:
    repo, (_, two) = pair
    lost = "0123456789" * 4
    repo.git("push", "--quiet", "origin", f":{two.git.ref}")
    repo.git("update-ref", "-d", two.git.ref)
    tracker = repo.open().tracker
    tracker.log(two.run_id, tags={"git_commit": lost, "git_source_commit": lost})
    document = diffed(repo, patch=True)
    code = document["code"]
    assert (code["to"], code["files"]) == (lost, [])
    assert lost[:12] in code["problem"]
    assert "two" in code["problem"]
    assert [output["path"] for output in document["data"]] == [
        "data/numbers.csv", "models/model.bin",
    ]  # fmt: skip
    assert document["metrics"]["total"]["change"] == 100


def foreign(repo: Repo, name: str, **params: str) -> str:
    """An external run, with three tags and no artifact."""
    repo.dvc("add", "data/numbers.csv", "models/model.bin")
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", name)
    tags = {"git_commit": repo.head}
    for tag, path in (("data", "data/numbers.csv"), ("model", "models/model.bin")):
        text = (repo.root / f"{path}.dvc").read_text()
        tags[f"dvc_{tag}_md5"] = text.split("md5: ")[1].split("\n")[0]
    tracker = repo.open().tracker
    from datetime import UTC, datetime

    run_id: str = tracker.open_run(name=name, tags=tags, started=datetime.now(UTC)).run_id
    tracker.log(run_id, params=params, metrics={"total": 1.0})
    return run_id


def test_runs_that_anchored_did_not_make(repo: Repo) -> None:
    repo.run("own")
    repo.write("models/model.bin", "by hand\n")
    foreign(repo, "one", power="1")
    document = diffed(repo, "own", "one")
    nothing_but(document, "data", "metrics", "environment")
    assert [output["path"] for output in document["data"]] == ["models/model.bin"]
    assert document["environment"]["record"]["to"] is None
    repo.write("data/numbers.csv", MORE)
    foreign(repo, "two", power="2")
    document = diffed(repo)
    nothing_but(document, "data", "params")
    assert document["data"][0]["files"] == [
        {"path": "data/numbers.csv", "change": "changed", "from": len(NUMBERS), "to": len(MORE)}
    ]
    assert document["params"] == {"power": {"from": "1", "to": "2"}}


def test_the_command_shows_it_on_one_screen(folder: Repo) -> None:
    folder.run("one")
    for number in range(40):
        folder.write(f"data/parts/n{number:02}.txt", "7\n")
    folder.script((folder.root / "train.py").read_text() + "# [bold]changed\n")
    folder.run("two")
    done = folder.anchored("diff", "one", "two", "--patch")
    assert (done.returncode, done.stderr) == (0, "")
    for text in ("data/parts/n00.txt", "… and 28 more", "train.py", "total", "+280", "+40",
                 "+# [bold]changed"):  # fmt: skip
        assert text in done.stdout
    assert len(done.stdout.splitlines()) < 40
    document = result_of(folder.anchored("diff", "one", "two", "--json"))
    assert list(document) == ["data", "code", "params", "metrics", "environment"]
    assert len(document["data"][0]["files"]) == 40
    same = folder.anchored("diff", "one", "one")
    assert (same.returncode, same.stdout) == (0, "")
    assert "nothing differs" in same.stderr


def test_a_name_that_fits_several_is_an_error_with_candidates(repo: Repo) -> None:
    runs = [repo.run("one"), repo.run("one", params={"power": 2}), repo.run("two")]
    done = repo.anchored("diff", "two", "one")
    assert done.returncode == 2
    assert runs[0].run_id in done.stderr
    assert runs[1].run_id in done.stderr
    assert "--latest" in done.stderr
    latest = result_of(repo.anchored("diff", "two", "one", "--latest", "--json"))
    assert latest["params"]["power"] == {"from": 1, "to": 2}
    assert repo.anchored("diff", "two", "none").returncode == 2
