"""A sparse checkout of the user's: training sees the complete commit all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from anchored.adapters.git.repo import GitRepo
from tests.repos import Repo


def made(folder: Path, *names: str) -> Repo:
    folder.mkdir()
    repo = Repo(folder)
    repo.git("init", "--quiet")
    for name in names:
        repo.write(name, f"{name}\n")
    repo.git("add", ".")
    repo.git("commit", "--quiet", "--message", "Begin")
    return repo


@pytest.mark.parametrize("how", ["cone", "no-cone", "by hand", "skipped"])
def test_a_worktree_is_complete_though_the_users_is_sparse(tmp_path: Path, how: str) -> None:
    inner = made(tmp_path / "inner", "kept/it", "far/away")
    repo = made(tmp_path / "repo", "kept/here", "left/out", "top")
    repo.git("submodule", "--quiet", "add", str(inner.root), "module")
    repo.git("commit", "--quiet", "--message", "Add a submodule")
    for place in (repo.root, repo.root / "module"):
        if how == "by hand":
            repo.git("config", "core.sparseCheckout", "true", cwd=place)
            info = Path(repo.git("rev-parse", "--absolute-git-dir", cwd=place)) / "info"
            info.mkdir(exist_ok=True)
            (info / "sparse-checkout").write_text("kept\n")
            repo.git("read-tree", "-mu", "HEAD", cwd=place)
        elif how != "skipped":
            repo.git("sparse-checkout", "set", f"--{how}", "kept", cwd=place)
    if how == "skipped":
        repo.git("update-index", "--skip-worktree", "left/out")
        (repo.root / "left/out").unlink()
    assert not (repo.root / "left/out").exists()
    before = repo.git("config", "--list"), repo.git("ls-files", "-t")
    tree = tmp_path / "tree"
    GitRepo(repo.root).add_worktree(tree, repo.head)
    found = {str(f.relative_to(tree)) for f in tree.rglob("*") if f.is_file() and f.name != ".git"}
    there = {".gitmodules", "kept/here", "left/out", "top", "module/kept/it", "module/far/away"}
    assert {name for name in found if ".git/" not in name} == there
    assert repo.git("status", "--porcelain", cwd=tree) == ""
    assert (repo.git("config", "--list"), repo.git("ls-files", "-t")) == before
