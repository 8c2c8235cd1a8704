"""Git sets variables where it starts us, as in a hook: they must lead nothing into another repo."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from anchored.adapters.git.repo import GitRepo
from anchored.errors import NotReady
from anchored.workspace.open import init
from tests.proof import assert_sealed
from tests.repos import Repo

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
PLACES = {
    "GIT_DIR": ".git",
    "GIT_WORK_TREE": ".",
    "GIT_INDEX_FILE": ".git/index",
    "GIT_COMMON_DIR": ".git",
    "GIT_OBJECT_DIRECTORY": ".git/objects",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": ".git/objects",
}
SCRIPT = """\
import os, pathlib, subprocess

here = subprocess.check_output(["git", "rev-parse", "--show-toplevel"], text=True).strip()
assert os.path.samefile(here, "."), here
pathlib.Path("models").mkdir(exist_ok=True)
pathlib.Path("models/model.bin").write_text("model")
pathlib.Path("metrics.json").write_text('{"total": 1}')
"""


@pytest.fixture(params=["another repo", "nowhere"])
def misled(
    request: pytest.FixtureRequest, new_repo: Callable[[str], Repo], tmp_path: Path
) -> tuple[Repo, dict[str, str]]:
    """Another repo, and variables that lead to it, or to a folder that does not exist."""
    other = new_repo("other")
    folder = other.root if request.param == "another repo" else tmp_path / "nowhere"
    variables = {name: str(folder / place) for name, place in PLACES.items()}
    return other, variables | {"GIT_NAMESPACE": "elsewhere", "GIT_PREFIX": "data/"}


def test_each_command_is_about_the_right_repo(
    repo: Repo, misled: tuple[Repo, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.write("mine.txt", "mine\n")
    head = repo.commit("Mine alone")
    repo.write("mine.txt", "changed\n")
    other, variables = misled
    before, tree, ref = other.state(), tmp_path / "tree", "refs/anchored/runs/1"
    with monkeypatch.context() as context:
        for name, value in variables.items():
            context.setenv(name, value)
        environ = dict(os.environ)
        assert GitRepo.top_level(repo.root / "data") == repo.root
        code = GitRepo(repo.root)
        assert (code.root, code.head(), code.branch()) == (repo.root, head, "main")
        assert code.read(head, "mine.txt") == b"mine\n"
        assert code.read_many([(head, "mine.txt")]) == [b"mine\n"]
        assert code.changed_files() == ("mine.txt",)
        assert code.tracked_under("mine.txt") == ("mine.txt",)
        code.untracked_files()
        commit = code.commit(head, {"new.txt": b"new\n"}, message="New", when=WHEN)
        snapshot = code.commit_working_tree(message="Snapshot", when=WHEN)
        assert code.read(snapshot, "mine.txt") == b"changed\n"
        code.add_worktree(tree, commit)
        assert (tree / "new.txt").read_text() == "new\n"
        code.remove_worktree(tree)
        code.create(ref, commit)
        code.publish(ref)
        assert code.published_refs()[ref] == commit
        clone = GitRepo.cloned(repo.origin.as_uri(), tmp_path / "clone")
        assert clone.bring_ref(ref) == commit
        assert dict(os.environ) == environ
    assert repo.git("rev-parse", ref) == commit
    assert repo.git("rev-parse", ref, cwd=repo.origin) == commit
    assert repo.git("status", "--porcelain", "mine.txt") == "M mine.txt"
    assert other.state() == before


def test_a_run_is_not_misled_nor_is_its_training(
    repo: Repo, misled: tuple[Repo, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.script(SCRIPT)
    other, variables = misled
    before = other.state()
    with monkeypatch.context() as context:
        for name, value in variables.items():
            context.setenv(name, value)
        assert repo.open().root == repo.root
        environ = dict(os.environ)
        sealed = repo.run()
        assert {name: os.environ.get(name) for name in variables} == variables
        assert environ.keys() <= os.environ.keys()
    assert_sealed(repo, sealed)
    assert other.state() == before


def test_what_init_writes_is_in_the_right_repo(
    misled: tuple[Repo, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = Repo(tmp_path / "plain")
    repo.root.mkdir()
    repo.git("init", "--quiet")
    repo.write("train.py", SCRIPT)
    repo.commit()
    other, variables = misled
    before = other.state()
    with monkeypatch.context() as context:
        for name, value in variables.items():
            context.setenv(name, value)
        init(repo.root, remote=str(tmp_path / "remote"), untrack=False)
    assert (repo.root / ".dvc/config").exists()
    assert other.state() == before
    assert repo.git("fsck", "--no-dangling") == ""


def test_two_repos_in_two_threads_do_not_meet(
    new_repo: Callable[[str], Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    repos = [new_repo("one"), new_repo("two")]

    def commits(repo: Repo) -> str:
        tip = ""
        for number in range(10):
            code = GitRepo(repo.root)
            files = {"name.txt": f"{repo.root} {number}".encode()}
            tip = code.commit(tip or code.head(), files, message="Next", when=WHEN)
            assert code.read(tip, "name.txt") == files["name.txt"]
        code.keep("refs/anchored/runs/1", tip)
        return tip

    with monkeypatch.context() as context:
        context.setenv("GIT_DIR", str(repos[0].root / ".git"))
        context.setenv("GIT_INDEX_FILE", str(repos[0].root / ".git/index"))
        environ = dict(os.environ)
        with ThreadPoolExecutor(2) as threads:
            tips = list(threads.map(commits, repos))
        assert dict(os.environ) == environ
    for repo, tip in zip(repos, tips, strict=True):
        assert repo.git("rev-parse", "refs/anchored/runs/1") == tip
        assert repo.git("show", f"{tip}:name.txt") == f"{repo.root} 9"


def test_one_repo_is_read_by_many_threads(repo: Repo) -> None:
    for number in range(20):
        repo.write(f"{number}.txt", f"{number}\n" * 1000)
    head, code = repo.commit("Files"), GitRepo(repo.root)

    def wrong(number: int) -> bool:
        name = number % 20
        return code.read(head, f"{name}.txt") != f"{name}\n".encode() * 1000

    with ThreadPoolExecutor(4) as threads:
        assert not any(threads.map(wrong, range(400)))


def test_what_has_no_working_tree_is_no_training_repo(repo: Repo, tmp_path: Path) -> None:
    for opened in (GitRepo, GitRepo.top_level):
        with pytest.raises(NotReady, match="bare"):
            opened(repo.origin)
        for folder in (tmp_path, tmp_path / "gone"):
            with pytest.raises(NotReady, match="not in a Git repository"):
                opened(folder)
    for folder in ("data", ".git", "train.py"):
        with pytest.raises(NotReady, match="not in a Git repository"):
            GitRepo(repo.root / folder)


@pytest.mark.parametrize("start", [".", "data", "train.py", ".git", ".git/hooks"])
def test_the_working_tree_is_found_from_any_folder_of_it(
    repo: Repo, start: str, tmp_path: Path
) -> None:
    (repo.root / ".git/hooks").mkdir(exist_ok=True)
    assert GitRepo.top_level(repo.root / start) == repo.root
    (tmp_path / "link").symlink_to(repo.root / start)
    assert GitRepo.top_level(tmp_path / "link") == repo.root


def test_the_root_is_as_it_was_given(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(repo.root)
    code = GitRepo(tmp_path / "link")
    assert code.root == tmp_path / "link"
    assert code.commit_working_tree(message="None", when=WHEN) == repo.head


def test_a_repo_that_git_cannot_read_is_refused_in_its_words(repo: Repo) -> None:
    (repo.root / ".git/config").write_text("[core\n")
    with pytest.raises(NotReady, match=r"refuses this repository: .*config"):
        GitRepo(repo.root)


@pytest.mark.parametrize("name", ["two\nlines", "caf\udce9", "two words", "é"])
def test_a_file_is_read_whatever_its_name_is(repo: Repo, name: str) -> None:
    repo.write(name, "content\n")
    head, code = repo.commit("A file"), GitRepo(repo.root)
    assert code.read(head, name) == b"content\n"
    assert code.read(head, f"{name} 2") is None
    assert code.read(head, "train.py") == (repo.root / "train.py").read_bytes()
    assert code.read(head, "gone") is None
    assert code.read("0" * 40, "train.py") is None
