"""A sealed run is whole, wherever one looks; the user's tree is only fast-forwarded."""

from __future__ import annotations

from tests.proof import assert_sealed
from tests.repos import Repo


def test_a_run_is_sealed(repo: Repo) -> None:
    run = repo.run("one", params={"power": 2})
    assert_sealed(repo, run)
    assert run.metrics == {"total": sum(n**2 for n in range(100))}
    assert run.params == {"power": 2}


def test_branch_is_fast_forwarded_and_nothing_else_changes(repo: Repo) -> None:
    repo.write("notes.txt", "untracked\n")
    repo.write("stashed.txt", "x\n")
    repo.git("add", "stashed.txt")
    repo.git("stash")
    before, run = repo.state(), repo.run()
    after = repo.state()
    assert repo.head == run.git.commit
    assert (after.branch, after.stash, after.worktrees.split()[0]) == (
        before.branch, before.stash, before.worktrees.split()[0],
    )  # fmt: skip
    assert repo.git("status", "--porcelain") == "?? notes.txt"
    assert len(after.worktrees.splitlines()) == 1
    assert repo.git("log", "--format=%s", f"{before.head}..HEAD").splitlines() == [
        "Version model of run one",
        "Version data of run one",
    ]
