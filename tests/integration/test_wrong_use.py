"""Wrong input: the error names the thing and the way out, and nothing is changed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anchored.errors import (
    BadInput,
    BadName,
    BadParam,
    ConfigError,
    DirtyTree,
    NotReady,
    WrongUse,
)
from anchored.journal import FOLDER
from anchored.records import FlowLink
from anchored.run.open import RunRequest, open_run
from anchored.workspace.open import open_repo
from tests.proof import assert_sealed
from tests.repos import CONFIG, Repo

LONG = "n" * 201


def traces(repo: Repo) -> dict[str, object]:
    """All that a refused run could have left behind."""
    return {
        "tree": repo.git("status", "--porcelain", "--ignored"),
        "index": repo.git("ls-files", "--stage"),
        "refs": repo.git("for-each-ref", "--format=%(refname) %(objectname)"),
        "remote refs": repo.git("ls-remote", str(repo.origin)),
        "objects": repo.git("count-objects"),
        "store": sorted(str(p) for p in repo.store.rglob("*") if p.is_file()) if repo.store.is_dir() else None,
        "database": (repo.root / "mlflow.db").read_bytes(),
        "journals": sorted(str(p) for p in (repo.root / FOLDER).glob("*/journal.json")),
    }  # fmt: skip


def refused(repo: Repo, error: type[WrongUse], match: str, **request: Any) -> WrongUse:
    """The error, once it is seen to be exit code 2 and to have changed nothing."""
    before = traces(repo)
    with pytest.raises(error, match=match) as raised:
        open_run(repo.open(), RunRequest(**request), FlowLink())
    assert raised.value.exit_code == 2
    assert traces(repo) == before
    return raised.value


# --- arguments ------------------------------------------------------------------------------------


def test_a_name_or_a_parameter_that_cannot_be_is_refused(repo: Repo) -> None:
    for name in ("", LONG, "a\x1b[31mb"):
        refused(repo, BadName, "run name", name=name)
    refused(repo, BadParam, "'powr'.*power", params={"powr": "2"})
    refused(repo, BadParam, "'power' is int", params={"power": "two"})


# --- configuration --------------------------------------------------------------------------------


def test_a_broken_configuration_is_named_with_key_and_line(repo: Repo) -> None:
    good = (repo.root / "anchored.toml").read_text()
    for old, new, place, problem in (
        ("power = 1", "power = 1\nx = ", "anchored.toml:14", "TOML"),
        ('["data/numbers.csv"]', '["../x.csv"]', "anchored.toml:4: data.inputs", "outside the repo"),
        ("power = 1", 'power = 1\n[tracker]\nuri = "file:///tmp/x"', "tracker.uri", "file store"),
    ):  # fmt: skip
        repo.configure(old, new)
        assert place in refused(repo, ConfigError, problem).message
        repo.write("anchored.toml", good)
        repo.commit()


def test_a_broken_table_in_pyproject_is_named_with_its_whole_key(repo: Repo) -> None:
    repo.git("rm", "--quiet", "anchored.toml")
    repo.write("pyproject.toml", '[project]\nname = "x"\n\n[tool.anchored.data]\ninputs = 3\n')
    repo.commit()
    assert (
        "pyproject.toml:5: tool.anchored.data.inputs"
        in refused(repo, ConfigError, "inputs").message
    )


def test_without_a_configuration_init_is_the_way_out(repo: Repo) -> None:
    repo.git("rm", "--quiet", "anchored.toml")
    repo.commit()
    assert "anchored init" in str(refused(repo, ConfigError, "anchored.toml").hint)


def test_a_configuration_that_is_not_committed_is_refused(repo: Repo) -> None:
    repo.git("rm", "--quiet", "anchored.toml")
    repo.commit()
    repo.write("anchored.toml", CONFIG)
    assert "git add anchored.toml" in str(refused(repo, NotReady, "not committed").hint)


# --- inputs ---------------------------------------------------------------------------------------


def make_missing(repo: Repo) -> None:
    (repo.root / "data/numbers.csv").unlink()


def make_leaving_link(repo: Repo) -> None:
    make_missing(repo)
    (repo.root / "data/numbers.csv").symlink_to("/etc/hostname")


def make_dangling_link(repo: Repo) -> None:
    make_missing(repo)
    (repo.root / "data/numbers.csv").symlink_to("nowhere")


def make_behind_link(repo: Repo) -> None:
    (repo.root / "data").rename(repo.root.parent / "elsewhere")
    (repo.root / "data").symlink_to(repo.root.parent / "elsewhere")


def make_folder_holding_leaving_link(repo: Repo) -> None:
    make_missing(repo)
    repo.write("data/numbers.csv/part.csv", "1\n")
    (repo.root / "data/numbers.csv/other.csv").symlink_to("/etc/hostname")


def make_folder_holding_linked_folder(repo: Repo) -> None:
    make_missing(repo)
    repo.write("data/numbers.csv/part.csv", "1\n")
    (repo.root / "data/numbers.csv/all").symlink_to("/etc")


def make_empty_folder(repo: Repo) -> None:
    make_missing(repo)
    (repo.root / "data/numbers.csv/sub").mkdir(parents=True)


def make_pipe(repo: Repo) -> None:
    make_missing(repo)
    os.mkfifo(repo.root / "data/numbers.csv")


def make_folder_holding_a_name_that_is_not_utf_8(repo: Repo) -> None:
    make_missing(repo)
    repo.write("data/numbers.csv/part.csv", "1\n")
    os.close(os.open(os.fsencode(repo.root) + b"/data/numbers.csv/caf\xe9.csv", os.O_CREAT))


def make_tracked(repo: Repo) -> None:
    repo.git("add", "data")
    repo.git("commit", "--quiet", "--message", "Data")


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (make_missing, "no such input"),
        (make_leaving_link, "leaves the repository"),
        (make_dangling_link, "not there|leaves"),
        (make_behind_link, "leaves the repository"),
        (make_folder_holding_leaving_link, "leaves the repository"),
        (make_folder_holding_linked_folder, "leaves the repository"),
        (make_empty_folder, "empty folder"),
        (make_pipe, "regular file"),
        (
            make_folder_holding_a_name_that_is_not_utf_8,
            r"b'caf\\xe9.csv', a name that is not UTF-8",
        ),
        (make_tracked, "tracked by Git"),
    ],
)
def test_an_input_that_cannot_be_versioned_is_named(
    repo: Repo, make: Callable[[Repo], None], match: str
) -> None:
    make(repo)
    assert "data/numbers.csv" in refused(repo, BadInput, match).message


# --- the repository -------------------------------------------------------------------------------


def test_no_git_repository_and_a_bare_one_are_refused(repo: Repo, tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="not in a Git repository") as raised:
        open_repo(tmp_path)
    assert "git init" in str(raised.value.hint)
    with pytest.raises(NotReady, match="bare"):
        open_repo(repo.origin)
    with pytest.raises(NotReady, match="not in a Git repository"):
        open_repo(tmp_path / "not there")


def test_a_repository_without_a_commit_is_refused(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "anchored.toml").write_text(CONFIG)
    with pytest.raises(NotReady, match="no commit yet"):
        open_run(open_repo(tmp_path), RunRequest(), FlowLink())


def without_dvc(repo: Repo) -> None:
    repo.git("rm", "-r", "--quiet", ".dvc")
    subprocess.run(["rm", "-rf", str(repo.root / ".dvc")], check=True)
    repo.commit()


@pytest.mark.parametrize(
    ("change", "match", "way_out"),
    [
        (without_dvc, "DVC is not set up", "anchored init"),
        (lambda r: r.dvc("remote", "remove", "store"), "no default DVC remote", "dvc remote add"),
        (lambda r: r.dvc("config", "core.remote", "gone"), "gone", "remote"),
        (lambda r: r.dvc("remote", "modify", "store", "url", "/proc/nothing/store"), "/proc/nothing", "URL"),
        (lambda r: r.dvc("remote", "modify", "store", "url", str(r.root / "train.py")), "train.py", "URL"),
        (lambda r: r.dvc("remote", "modify", "store", "url", str(r.root / "train.py/below")), "train.py", "URL"),
    ],
    ids=["no dvc", "no remote", "unknown remote", "proc", "a file", "below a file"],
)  # fmt: skip
def test_a_repository_that_is_not_ready_is_refused(
    repo: Repo, change: Callable[[Repo], object], match: str, way_out: str
) -> None:
    change(repo)
    repo.git("commit", "--quiet", "--all", "--allow-empty", "--message", "Change")
    assert way_out in str(refused(repo, NotReady, match).hint)


def test_uncommitted_changes_are_listed(repo: Repo) -> None:
    repo.write("train.py", "# changed\n")
    repo.write("new file é.txt", "staged\n")
    repo.git("add", "new file é.txt")
    repo.write("untracked.txt", "untracked\n")
    error = refused(repo, DirtyTree, "uncommitted")
    assert isinstance(error, DirtyTree)
    assert error.paths == ("new file é.txt", "train.py")
    assert "--snapshot" in str(error.hint)


def test_snapshot_pins_uncommitted_changes_to_the_run_alone(repo: Repo) -> None:
    repo.write("train.py", (repo.root / "train.py").read_text() + "print('changed')\n")
    repo.write("staged.txt", "staged\n")
    repo.git("add", "staged.txt")
    before = repo.state()
    run = repo.run("pinned", snapshot=True)
    assert_sealed(repo, run)
    after = repo.state()
    assert (after.head, after.branch, after.index, after.stash) == (
        before.head, before.branch, before.index, before.stash,
    )  # fmt: skip
    assert "changed" in repo.git("show", f"{run.git.source_commit}:train.py")
    assert repo.git("show", f"{run.git.commit}:staged.txt") == "staged"
    assert repo.git("status", "--porcelain") == "A  staged.txt\n M train.py\n?? data/"


# --- the command ----------------------------------------------------------------------------------


def test_the_command_says_what_is_wrong_and_how_to_go_on(repo: Repo) -> None:
    before = traces(repo)
    for arguments, match in (
        (["run", "one", "-p", "powr=2"], "error: unknown parameter 'powr'"),
        (["run", "one", "-p", "power"], "error: -p 'power' is not KEY=VALUE"),
        (["run", ""], "error: a run name must not be empty"),
        (["run", "one", "--fast"], "error: unrecognized arguments: --fast"),
        (["run", "one", "--repo", "/"], "error: / is not in a Git repository"),
        (["show", "nobody"], "error: no run answers to 'nobody'"),
        (["frobnicate"], "error: "),
    ):
        done = repo.anchored(*arguments)
        assert done.returncode == 2, done.stderr
        assert match in done.stderr
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert traces(repo) == before, arguments
