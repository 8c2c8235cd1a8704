"""Runs over a history that is then rewritten and collected: each reproduces `identical`.

In the repository where they were made, and in a fresh clone on another path with a cold cache. That
the sample's runs do so too is part of its own story.
"""

from __future__ import annotations

from anchored.records import RunRecord
from tests.repos import SCRIPT, Repo

ROUNDS = 4  # of one change of each kind


def changed(repo: Repo, text: str) -> None:
    """Other code, which does the same."""
    repo.script((repo.root / "train.py").read_text() + f"print({text!r})\n")


def one_file(repo: Repo, n: int) -> None:
    """Code, data and params change in turns."""
    if n % 3 == 0:
        repo.write("data/numbers.csv", "".join(f"{n * i}\n" for i in range(50)))
    elif n % 3 == 1:
        changed(repo, f"file {n}")


def folders(repo: Repo, n: int) -> None:
    """An input folder that grows and loses a file, and a model that is a folder."""
    if n == 0:
        repo.write("data/many/0.csv", "0\n")
        repo.configure('["data/numbers.csv"]', '["data/numbers.csv", "data/many"]')
        repo.configure('"models/model.bin"', '"models"')
        repo.script(SCRIPT + "pathlib.Path('models/parts').mkdir()\n"
                    "for f in pathlib.Path('data/many').iterdir():\n"
                    "    pathlib.Path('models/parts', f.name).write_bytes(f.read_bytes() * 2)\n")  # fmt: skip
    repo.write(f"data/many/{n}.csv", f"{n}\n")
    if n == 2:
        (repo.root / "data/many/0.csv").unlink()


def branches(repo: Repo, n: int) -> None:
    """Each run on a branch of its own, which is then gone."""
    repo.git("switch", "--quiet", "--detach")
    changed(repo, f"branch {n}")
    repo.git("switch", "--quiet", "--create", f"topic-{n}")


def rewrite(repo: Repo) -> None:
    """Everything that loses commits: rebase, squash-merge, deleted branches, collected garbage."""
    repo.git(
        "switch", "--quiet", "--create", "squashed", repo.git("rev-list", "--max-parents=0", "HEAD")
    )
    repo.git("merge", "--quiet", "--squash", "--strategy-option=theirs", "main")
    repo.git("commit", "--quiet", "--allow-empty", "--message", "All in one")
    repo.git("commit", "--quiet", "--amend", "--allow-empty", "--message", "All in one, reworded")
    for branch in repo.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split():
        if branch != "squashed":
            repo.git("branch", "--quiet", "--delete", "--force", branch)
    repo.git("branch", "--move", "main")
    repo.git("push", "--quiet", "--force", "origin", "main")
    for root in (repo.root, repo.origin):
        repo.git("reflog", "expire", "--expire=now", "--all", cwd=root)
        repo.git("gc", "--quiet", "--prune=now", cwd=root)


def cloned(repo: Repo, remote: str = "store") -> Repo:
    """A fresh clone, whose DVC remote is the same, and whose cache is empty."""
    clone = Repo(repo.root.parent / "another path" / "of it")
    repo.git("clone", "--quiet", str(repo.origin), str(clone.root))
    clone.dvc("remote", "modify", "--local", "--quiet", remote, "url", str(repo.store))
    text = (clone.root / "anchored.toml").read_text()
    uri = f'uri = "sqlite:///{repo.root}/mlflow.db"'
    text = text.replace('uri = "sqlite:///mlflow.db"', uri)
    if uri not in text:
        text += f"\n[tracker]\n{uri}\n"
    (clone.root / "anchored.toml").write_text(text)
    return clone


def assert_all_reproduce(repo: Repo, runs: list[RunRecord]) -> None:
    verdicts = {run.name: repo.reproduce(run.run_id).verdict for run in runs}
    assert verdicts == {run.name: "identical" for run in runs}


def test_runs_survive_whatever_git_forgets(repo: Repo) -> None:
    runs = []
    for n in range(ROUNDS):
        for change in (folders, one_file, branches):
            change(repo, n)
            name = f"run {len(runs)}"
            runs.append(repo.run(name, params={"power": 1 + len(runs) % 4}))
    rewrite(repo)
    assert_all_reproduce(repo, runs)
    assert_all_reproduce(cloned(repo), runs)
