"""A folder that is behind: data that an earlier commit of the branch had are no news."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from anchored.errors import BadInput, NotReady
from anchored.journal import FOLDER as RUNS
from anchored.ports import Silent
from anchored.records import FlowLink
from anchored.run.input_folder import Content, behind_in_folder, compare
from anchored.run.open import RunRequest, check_request, open_run
from anchored.run.version_data import version_data
from tests.repos import Repo

FILE, FOLDER = "data/numbers.csv", "data/set"


class Told(Silent):
    """A report that keeps its warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def put(repo: Repo, content: str | dict[str, str], path: str = FILE) -> None:
    """Makes a file, or the files of a folder, all that is at a path."""
    place = repo.root / path
    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    for name, text in (content if isinstance(content, dict) else {"": content}).items():
        repo.write(os.path.join(path, name) if name else path, text)


def version(repo: Repo, content: str | dict[str, str], path: str = FILE) -> str:
    """A commit in which an input has this content, as it also has in the folder; the commit."""
    put(repo, content, path)
    store = repo.open().store
    pointer = store.add(repo.root / path, path, Silent())
    repo.write(f"{path}.dvc", store.render_pointer(None, pointer))
    repo.git("add", "--force", f"{path}.dvc")
    repo.git("commit", "--quiet", "--message", f"Version of {path}")
    return repo.head


def content(repo: Repo, path: str = FILE, *, snapshot: bool = False) -> Content:
    """What the folder holds at a path, by what HEAD has."""
    (found,) = compare(repo.open(), [path], repo.head, snapshot=snapshot)
    return found.content


def refused(repo: Repo, **request: bool) -> BadInput:
    with pytest.raises(BadInput, match="an earlier version of it") as error:
        check_request(repo.open(), RunRequest(**request))
    return error.value


def test_earlier_data_are_refused_before_anything_is_begun(repo: Repo) -> None:
    put(repo, "0\n")
    check_request(repo.open(), RunRequest())  # nothing to compare with
    for text in ("1\n", "2\n"):
        version(repo, text)
    check_request(repo.open(), RunRequest())
    put(repo, "3\n")
    check_request(repo.open(), RunRequest())  # new
    put(repo, "1\n")
    before = repo.state()
    done = repo.anchored("run", "again")
    assert done.returncode == 2, done.stderr
    assert "error: data/numbers.csv: your folder has an earlier version" in done.stderr
    assert "hint: `dvc pull` brings the newest; --data-from-folder takes yours" in done.stderr
    with pytest.raises(BadInput):
        open_run(repo.open(), RunRequest(), FlowLink())
    assert (repo.state(), repo.runs()) == (before, [])
    refused(repo, snapshot=True)
    check_request(repo.open(), RunRequest(data_from_folder=True))
    # Committed as the newest, or pinned to one run as such, they are what is asked for.
    store = repo.open().store
    old = store.hashed_content(repo.root / FILE, FILE, "md5")
    repo.write(f"{FILE}.dvc", store.render_pointer(None, old))
    refused(repo)
    check_request(repo.open(), RunRequest(snapshot=True))
    version(repo, "1\n")
    check_request(repo.open(), RunRequest())
    put(repo, "2\n")
    refused(repo)

    (repo.root / FILE).unlink()
    told = Told()
    workspace = repo.open(told)
    key = open_run(workspace, RunRequest(), FlowLink()).key
    version_data(workspace, key)
    assert told.warnings == [f"{FILE} is not in your folder; taken as {FILE}.dvc names it"]
    workspace.journals.release(key)


def test_history_is_all_that_was_merged_and_a_pointer_may_come_and_go(repo: Repo) -> None:
    version(repo, "1\n")
    repo.git("switch", "--quiet", "--create", "side")
    version(repo, "side\n")
    repo.git("switch", "--quiet", "main")
    version(repo, "2\n")
    put(repo, "side\n")
    assert content(repo) == Content.NEW, "another branch's"
    repo.git("merge", "--quiet", "--strategy=ours", "side")
    assert content(repo) == Content.BEHIND
    repo.git("rm", "--quiet", f"{FILE}.dvc")
    repo.git("commit", "--quiet", "--message", "Take it out")
    assert content(repo) == Content.UNVERSIONED
    version(repo, "4\n")
    for text in ("1\n", "2\n", "side\n"):
        put(repo, text)
        assert content(repo) == Content.BEHIND
    # A detached HEAD has a history of its own.
    repo.git("switch", "--quiet", "--detach", "HEAD~3")
    assert content(repo) == Content.NEW
    put(repo, "2\n")
    assert content(repo) == Content.CURRENT
    put(repo, "4\n")
    assert content(repo) == Content.NEW


def test_folders_links_and_pointers_of_dvc_2_are_compared_by_what_they_hold(repo: Repo) -> None:
    version(repo, {"a": "1\n", "b/c": "2\n"}, FOLDER)
    version(repo, {"a": "1\n", "b/c": "3\n", "d": "4\n"}, FOLDER)
    put(repo, {"a": "1\n", "b/c": "2\n"}, FOLDER)
    assert content(repo, FOLDER) == Content.BEHIND
    repo.write(".dvcignore", "*.log\n")
    repo.write(f"{FOLDER}/x.log", "overlooked\n")
    assert content(repo, FOLDER) == Content.BEHIND
    repo.write(f"{FOLDER}/b/c", "2 and more\n")
    assert content(repo, FOLDER) == Content.NEW
    shutil.rmtree(repo.root / FOLDER)
    (repo.root / FOLDER).mkdir()
    assert content(repo, FOLDER) == Content.NEW, "not to be versioned, and so no earlier version"

    old = hashlib.md5(b"1\n2\n").hexdigest()  # of DVC 2, of a text with other line ends
    repo.write(f"{FILE}.dvc", f"outs:\n- md5: {old}\n  size: 6\n  path: numbers.csv\n")
    repo.git("add", "--force", f"{FILE}.dvc")
    repo.git("commit", "--quiet", "--message", "As DVC 2 left it")
    (repo.root / FILE).write_bytes(b"1\r\n2\r\n")
    assert content(repo) == Content.CURRENT
    version(repo, "5\n")
    (repo.root / FILE).write_bytes(b"1\r\n2\r\n")
    assert content(repo) == Content.BEHIND
    elsewhere = repo.root / ".dvc/tmp/elsewhere"
    os.rename(repo.root / FILE, elsewhere)
    (repo.root / FILE).symlink_to(elsewhere)
    assert content(repo) == Content.BEHIND


def test_a_shallow_clone_is_deepened_only_where_the_folder_differs(
    repo: Repo, tmp_path: Path
) -> None:
    version(repo, "1\n")
    version(repo, "2\n")
    repo.git("push", "--quiet")
    shallow = Repo(tmp_path / "shallow")
    repo.git("clone", "--quiet", "--depth=1", repo.origin.as_uri(), str(shallow.root))
    marker = shallow.root / ".git/shallow"
    put(shallow, "2\n")
    assert (content(shallow), marker.exists()) == (Content.CURRENT, True)
    put(shallow, "1\n")
    shallow.git("remote", "rename", "origin", "gone")
    shallow.git("remote", "remove", "gone")
    with pytest.raises(NotReady, match="shallow"):
        content(shallow)
    shallow.git("remote", "add", "origin", repo.origin.as_uri())
    assert (content(shallow), marker.exists()) == (Content.BEHIND, False)


def test_pull_writes_nothing_through_a_link_out_of_the_repository(
    repo: Repo, tmp_path: Path
) -> None:
    version(repo, "older\n")
    version(repo, "newer\n")
    outside = tmp_path / "outside"
    (repo.root / "data").rename(outside)
    (repo.root / "data").symlink_to(outside)
    for change in (lambda: put(repo, "older\n"), (outside / "numbers.csv").unlink):
        change()
        told = Told()
        behind_in_folder(repo.open(told), pull=True)
        assert "is behind a link that leaves the repository" in " ".join(told.warnings)
        assert "newer\n" not in {f.read_text() for f in outside.iterdir() if f.suffix == ".csv"}


def test_pull_brings_what_is_newer_and_leaves_what_is_the_users(repo: Repo) -> None:
    inputs = '["data/numbers.csv"]'
    repo.configure(inputs, '["data/numbers.csv", "data/set", "data/gone", "data/own", "data/log"]')
    repo.dvc("config", "cache.type", "hardlink,copy")
    repo.write(".dvcignore", "*.log\n")
    repo.commit("Set up")
    old = {"a": "1\n", "b/c": "2\n", "e": "left out later\n"}
    for path in ("data/numbers.csv", "data/own", "data/gone"):
        version(repo, "older\n", path)
        version(repo, "newer\n", path)
    for path in ("data/set", "data/log"):
        version(repo, old, path)
        version(repo, {"a": "1\n", "b/c": "3\n", "d": "4\n"}, path)
        put(repo, old, path)
    repo.write("data/log/x.log", "the user's, and DVC overlooks it\n")
    put(repo, "older\n")
    put(repo, "of no commit\n", "data/own")
    (repo.root / "data/gone").unlink()

    told = Told()
    assert behind_in_folder(repo.open(told)) == ("data/numbers.csv", "data/set", "data/log")
    assert told.warnings == []
    assert behind_in_folder(repo.open(told), pull=True) == ("data/log",)
    assert [line.split(" in ")[0].split(" is left")[0] for line in told.warnings] == [
        "data/own",
        "data/log",
    ]
    assert (repo.root / FILE).read_text() == (repo.root / "data/gone").read_text() == "newer\n"
    assert {p.name for p in (repo.root / FOLDER).rglob("*")} == {"a", "b", "c", "d"}
    assert (repo.root / FOLDER / "b/c").read_text() == "3\n"
    assert (repo.root / "data/own").read_text() == "of no commit\n"
    assert (repo.root / "data/log/x.log").exists()
    assert (repo.root / "data/log/b/c").read_text() == "2\n"
    # As `dvc checkout` leaves them: it has nothing to do.
    assert os.stat(repo.root / FILE).st_nlink == 3, "the other one, and the cache's"
    assert (
        not os.access(repo.root / FILE, os.W_OK) or os.stat(repo.root / FILE).st_mode & 0o222 == 0
    )
    assert (
        repo.dvc("status", f"{FILE}.dvc", f"{FOLDER}.dvc") == "Data and pipelines are up to date."
    )
    assert list((repo.root / RUNS).glob("scratch-*")) == []
    assert behind_in_folder(repo.open(), pull=True) == ("data/log",)
