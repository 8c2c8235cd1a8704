"""Submodules and Git LFS: what training needs of them is in the worktree, or the run says so."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from anchored.errors import NotReady
from tests.proof import assert_sealed
from tests.repos import Repo
from tests.services import ServiceMissing, require

READS = """
import json, pathlib
pathlib.Path("models").mkdir(exist_ok=True)
pathlib.Path("models/model.bin").write_text(open("{file}").read())
json.dump({{"n": len(open("{file}").read())}}, open("metrics.json", "w"))
"""


# --- submodules -----------------------------------------------------------------------------------


def library(repo: Repo, name: str, within: str | None = None) -> Path:
    """A bare repository with one file, and another as its submodule, named relative to it."""
    bare, work = repo.root.parent / f"{name}.git", repo.root.parent / f"{name}-work"
    repo.git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    repo.git("clone", "--quiet", str(bare), str(work))
    (work / "words.txt").write_text(f"words of {name}")
    if within:
        repo.git("submodule", "--quiet", "add", f"../{within}.git", "inner", cwd=work)
    repo.git("add", "--all", cwd=work)
    repo.git("commit", "--quiet", "--message", name, cwd=work)
    repo.git("push", "--quiet", "origin", "HEAD:main", cwd=work)
    return bare


@pytest.fixture
def nested(repo: Repo) -> Repo:
    """A repo whose training reads a file of a submodule's submodule."""
    library(repo, "inner-lib")
    library(repo, "outer-lib", within="inner-lib")
    repo.git("submodule", "--quiet", "add", "../outer-lib.git", "vendor/outer lib")
    repo.git("submodule", "--quiet", "update", "--init", "--recursive")
    repo.script(READS.format(file="vendor/outer lib/inner/words.txt"))
    return repo


def model_of(repo: Repo) -> str:
    run = repo.run()
    assert_sealed(repo, run)
    md5 = run.model[0].md5
    return (repo.store / "files/md5" / md5[:2] / md5[2:]).read_text()


def test_submodules_and_theirs_are_in_the_private_tree(nested: Repo) -> None:
    config = (nested.root / ".git/config").read_text()
    assert model_of(nested) == "words of inner-lib"
    assert (nested.root / ".git/config").read_text() == config
    assert not list((nested.root / ".git/worktrees").glob("*"))


def test_an_edit_in_a_submodule_does_not_leak(nested: Repo) -> None:
    (nested.root / "vendor/outer lib/inner/notes.txt").write_text("untracked")
    nested.git("config", "diff.ignoreSubmodules", "all")
    (nested.root / "vendor/outer lib/inner/words.txt").write_text("edited")
    assert model_of(nested) == "words of inner-lib"


def test_a_submodule_whose_inner_one_is_not_initialised(nested: Repo) -> None:
    nested.git(
        "submodule", "--quiet", "deinit", "--force", "inner", cwd=nested.root / "vendor/outer lib"
    )
    assert model_of(nested) == "words of inner-lib"


def test_submodules_that_the_users_clone_has_not_initialised(nested: Repo) -> None:
    nested.git("push", "--quiet")
    clone = Repo(nested.root.parent / "clone")
    nested.git("clone", "--quiet", str(nested.origin), str(clone.root))
    shutil.copytree(nested.root / "data", clone.root / "data", dirs_exist_ok=True)
    config = (clone.root / ".git/config").read_text()
    assert model_of(clone) == "words of inner-lib"
    assert (clone.root / ".git/config").read_text() == config
    assert not any((clone.root / "vendor/outer lib").iterdir())
    assert clone.git("status", "--porcelain") == ""


def test_a_submodule_that_cannot_be_had_is_named(nested: Repo) -> None:
    shutil.rmtree(nested.root / "vendor/outer lib")
    shutil.rmtree(nested.root / ".git/modules")
    shutil.rmtree(nested.root.parent / "outer-lib.git")
    (nested.root / "vendor/outer lib").mkdir()
    with pytest.raises(NotReady, match="outer-lib"):
        nested.run()
    assert nested.runs()[0].state == "failed"
    assert not list((nested.root / ".git/worktrees").glob("*"))


# --- Git LFS --------------------------------------------------------------------------------------


@pytest.fixture
def lfs(repo: Repo) -> Repo:
    """A repo whose training reads a file that Git LFS holds, pushed to the remote."""
    with require():
        if shutil.which("git-lfs") is None:
            raise ServiceMissing("git-lfs", how="apt-get install git-lfs")
    repo.git("lfs", "install")
    repo.git("remote", "set-url", "origin", repo.origin.as_uri())
    repo.git("lfs", "track", "weights/*.bin")
    repo.write("weights/a b.bin", "heavy weights")
    repo.script(READS.format(file="weights/a b.bin"))
    assert "git-lfs" in repo.git("show", "HEAD:weights/a b.bin")
    return repo


def lfs_objects(place: Path) -> int:
    return len([file for file in (place / "lfs/objects").rglob("*") if file.is_file()])


def test_lfs_files_are_in_the_private_tree_and_go_with_the_run(lfs: Repo) -> None:
    assert model_of(lfs) == "heavy weights"
    assert lfs_objects(lfs.origin) == 1


def test_lfs_files_are_fetched_for_the_private_tree(lfs: Repo) -> None:
    lfs.git("push", "--quiet")
    shutil.rmtree(lfs.root / ".git/lfs/objects")
    assert model_of(lfs) == "heavy weights"


def clone_without_lfs_files(repo: Repo) -> Repo:
    """A clone as Git makes it where LFS is not set up: pointers stand in the files' places."""
    repo.git("push", "--quiet", "--no-verify")
    clone = Repo(repo.root.parent / "clone")
    repo.git("-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false",
             "clone", "--quiet", repo.origin.as_uri(), str(clone.root))  # fmt: skip
    shutil.copytree(repo.root / "data", clone.root / "data", dirs_exist_ok=True)
    return clone


def test_lfs_files_that_are_nowhere_are_named(lfs: Repo) -> None:
    clone = clone_without_lfs_files(lfs)
    with pytest.raises(NotReady, match="weights"):
        clone.run()


def test_lfs_files_without_lfs_are_never_trained_on(
    lfs: Repo, isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = clone_without_lfs_files(lfs)
    without_lfs(lfs, isolated, monkeypatch)
    with pytest.raises(NotReady, match="weights") as refused:
        clone.run()
    assert "git lfs" in str(refused.value.hint)


def test_attributes_of_lfs_without_any_file_need_no_lfs(
    repo: Repo, isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.write(".gitattributes", "*.psd filter=lfs diff=lfs merge=lfs -text\n")
    repo.commit()
    without_lfs(repo, isolated, monkeypatch)
    assert_sealed(repo, repo.run())


def without_lfs(repo: Repo, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine like this one, without git-lfs and its settings."""
    settings = (home / ".gitconfig").read_text().split("[filter")[0]
    (home / ".gitconfig").write_text(settings)
    tools = repo.root.parent / "tools"
    tools.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for tool in Path(folder).glob("*") if Path(folder).is_dir() else ():
            # By its name, not by what it leads to: a folder of programs may hold broken links.
            if "lfs" not in tool.name and not os.path.lexists(tools / tool.name):
                (tools / tool.name).symlink_to(tool)
    monkeypatch.setenv("PATH", str(tools))
    assert subprocess.run(["git", "lfs"], capture_output=True, check=False).returncode != 0
