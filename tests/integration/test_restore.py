"""`anchored restore`: what a run was made of and made, by hash, into a folder of the user's."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anchored.adapters.dvc import export as handing_out
from anchored.adapters.dvc.store import DvcStore
from anchored.decisions.restoring import WantedFile
from anchored.errors import AnchoredError, ObjectLost, WrongUse
from anchored.records import RunRecord
from anchored.restore.restore import restore
from anchored.system.files import stamp_of
from tests.contract.remotes import QUIET, forget, store
from tests.repos import Repo, result_of

SCRIPT = """\
import json, os, pathlib

folder = pathlib.Path("models")
(folder / "deep").mkdir(parents=True, exist_ok=True)
total = sum(int(line) for line in open("data/numbers.csv"))
(folder / "weights.bin").write_bytes(b"%d" % total)
(folder / "deep" / "same.bin").write_bytes(b"%d" % total)
(folder / "deep" / "it's \\"one\\" \\u00e9").write_bytes(os.urandom(100_000))
json.dump({"total": total}, open("metrics.json", "w"))
"""


def folder_run(repo: Repo) -> RunRecord:
    """A run whose model is a folder, with two files alike in it."""
    repo.write("train.py", SCRIPT)
    repo.configure('model = "models/model.bin"', 'model = "models"')
    return repo.run("one")


@pytest.fixture
def sealed(prepared_by: Callable[..., tuple[Repo, RunRecord]]) -> tuple[Repo, RunRecord]:
    return prepared_by(folder_run)


@pytest.fixture
def repo(sealed: tuple[Repo, RunRecord]) -> Repo:
    return sealed[0]


@pytest.fixture
def run(sealed: tuple[Repo, RunRecord]) -> RunRecord:
    return sealed[1]


@pytest.fixture
def plain(new_repo: Callable[[str], Repo]) -> Repo:
    """A repo without any run."""
    return new_repo("plain")


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def objects(repo: Repo, place: str) -> dict[str, Path]:
    """Every object of the cache or of the remote, by its hash."""
    home = repo.store if place == "remote" else repo.root / ".dvc/cache"
    return {f.parent.name + f.name: f for f in home.glob("files/md5/??/*")}


def spoil(file: Path, content: bytes = b"not this") -> None:
    file.chmod(0o644)
    file.write_bytes(content)


def assert_restored(folder: Path, repo: Repo, run: RunRecord) -> None:
    """Data and model lie there, as the remote has them, and nothing else."""
    expected = {}
    there = objects(repo, "remote")
    for pointer in (*run.data, *run.model):
        content = there[pointer.md5].read_bytes()
        if not pointer.is_folder:
            expected[pointer.path] = content
            continue
        for entry in json.loads(content):
            expected[f"{pointer.path}/{entry['relpath']}"] = there[entry["md5"]].read_bytes()
    assert contents(folder) == expected


@pytest.mark.parametrize("is_cold", [False, True], ids=["warm", "cold"])
def test_data_and_model_are_handed_out_and_nothing_else_is_touched(
    repo: Repo, run: RunRecord, tmp_path: Path, is_cold: bool
) -> None:
    if is_cold:
        forget(repo)
        repo.write(".dvc/cache/tmp", "Git tells of a folder that holds something")
    before = repo.state()
    result = result_of(repo.anchored("restore", "one", "--to", str(tmp_path / "to"), "--json"))
    assert repo.state() == before
    assert_restored(tmp_path / "to", repo, run)
    assert result.keys() == {"run_id", "name", "to", "files"}
    assert (result["run_id"], result["name"]) == (run.run_id, "one")
    assert result["to"] == str(tmp_path / "to")
    hashes = {f["path"]: f["md5"] for f in result["files"]}
    assert len(result["files"]) == 4
    for path, content in contents(tmp_path / "to").items():
        assert hashes[path] == hashlib.md5(content).hexdigest()


def test_by_default_it_stands_below_restored_and_git_does_not_see_it(
    repo: Repo, run: RunRecord
) -> None:
    done = repo.anchored("restore", "one")
    assert done.returncode == 0, done.stderr
    assert_restored(repo.root / "restored/one", repo, run)
    data, model = done.stdout.splitlines()
    assert data.split("  ") == [
        "data/numbers.csv",
        "290 B",
        str(repo.root / "restored/one/data/numbers.csv"),
    ]
    assert model.startswith("models  100.0 KB in 3 files  ")
    assert "restored" not in repo.git("status", "--porcelain")


@pytest.mark.parametrize("name", ["../../up", "é" * 150])
def test_any_name_has_a_folder_of_its_own(plain: Repo, name: str) -> None:
    plain.run("ab")
    plain.run(name, params={"power": 2})
    home = plain.root / "restored"
    for wanted in ("ab", name):
        to = restore(plain.open(), wanted).to
        assert to.parent == home
        assert (to / "models/model.bin").is_file()
    assert len([folder for folder in home.iterdir() if folder.is_dir()]) == 2


def test_runs_of_one_name_do_not_share_a_folder(plain: Repo) -> None:
    runs = plain.run("same"), plain.run("same", params={"power": 2})
    folders = [restore(plain.open(), run.run_id).to for run in runs]
    assert [(f / "models/model.bin").read_text() for f in folders] == ["4950\n", "328350\n"]


def test_what_is_handed_out_is_the_users_to_change(
    repo: Repo, run: RunRecord, tmp_path: Path
) -> None:
    restore(repo.open(), "one", str(tmp_path / "to"))
    umask = os.umask(0)
    os.umask(umask)
    for file in (tmp_path / "to").rglob("*"):
        if file.is_file():
            assert not file.is_symlink()
            assert (file.stat().st_nlink, file.stat().st_mode & 0o777) == (1, 0o666 & ~umask)
            file.write_bytes(b"changed")
    for md5, file in objects(repo, "cache").items():
        assert hashlib.md5(file.read_bytes()).hexdigest() == md5.removesuffix(".dir")


class Reflinking(DvcStore):
    """A store whose file system can reflink: as no test's own can, the bytes are copied."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reflinked: list[str] = []

    def reflink(self, source: str, target: str) -> None:
        shutil.copyfile(source, target)
        self.reflinked.append(source)


def test_a_reflink_is_hashed_as_a_copy_is(repo: Repo, run: RunRecord, tmp_path: Path) -> None:
    one = Reflinking(repo.root)
    pointers = (*run.data, *run.model)
    cached = objects(repo, "cache")[run.data[0].md5]
    spoil(cached)
    one.export(pointers, tmp_path / "to", QUIET)
    assert_restored(tmp_path / "to", repo, run)
    from_remote = [source for source in one.reflinked if source.startswith(str(repo.store))]
    assert (len(one.reflinked), len(from_remote)) == (5, 1), "a corrupt one is made again"
    assert not cached.exists()


def test_a_corrupt_object_is_dropped_from_the_cache_and_taken_from_the_remote(
    repo: Repo, run: RunRecord, tmp_path: Path
) -> None:
    for file in objects(repo, "cache").values():
        spoil(file, file.read_bytes()[:-1] + b"?")
    restore(repo.open(), "one", str(tmp_path / "to"))
    assert_restored(tmp_path / "to", repo, run)
    for md5, file in objects(repo, "cache").items():
        assert hashlib.md5(file.read_bytes()).hexdigest() == md5.removesuffix(".dir")


@pytest.mark.parametrize("what", ["lacks", "holds, corrupt,"])
def test_an_object_that_is_lost_is_named_with_its_path(
    repo: Repo, run: RunRecord, tmp_path: Path, what: str
) -> None:
    lost, to = run.data[0].md5, tmp_path / "to"
    forget(repo)
    file = objects(repo, "remote")[lost]
    kept = file.read_bytes()
    spoil(file) if what != "lacks" else file.unlink()
    done = repo.anchored("restore", "one", "--to", str(to))
    assert done.returncode == 3
    assert f"error: the remote {what} object {lost} of data/numbers.csv\n" in done.stderr
    assert not (to / "data/numbers.csv").exists()
    assert len(contents(to)) == 3, "all else is there, and nothing half done"
    file.touch()
    spoil(file, kept)
    restore(repo.open(), "one", str(to))
    assert_restored(to, repo, run)


def test_a_lost_listing_is_named(repo: Repo, run: RunRecord, tmp_path: Path) -> None:
    forget(repo)
    objects(repo, "remote")[run.model[0].md5].unlink()
    with pytest.raises(
        ObjectLost, match=f"lacks object {run.model[0].md5}, which lists models"
    ) as e:
        restore(repo.open(), "one", str(tmp_path / "to"))
    assert not e.value.transient
    assert not (tmp_path / "to").exists()


# --- what is in the way ---------------------------------------------------------------------------


def test_what_is_there_already_is_kept_if_it_is_the_same(
    repo: Repo, run: RunRecord, tmp_path: Path
) -> None:
    to = tmp_path / "to"
    restore(repo.open(), "one", str(to))
    (to / "mine").write_text("stays")
    (to / "data/mine").write_text("stays too")
    (to / "models/weights.bin").unlink()
    kept = stamp_of(str(to / "data/numbers.csv"))
    restore(repo.open(), "one", str(to))
    assert stamp_of(str(to / "data/numbers.csv")) == kept
    assert (to / "data/mine").read_text() == "stays too"
    (to / "mine").unlink()
    (to / "data/mine").unlink()
    assert_restored(to, repo, run)


def _other_file(to: Path, _: Path) -> str:
    (to / "models/deep").mkdir(parents=True)
    (to / "models/deep/same.bin").write_text("mine")
    return "models/deep/same.bin is in the way"


def _file_for_folder(to: Path, _: Path) -> str:
    (to / "models").write_text("mine")
    return "models is in the way, where a folder"


def _folder_for_file(to: Path, _: Path) -> str:
    (to / "data/numbers.csv").mkdir(parents=True)
    return "numbers.csv is in the way, where a file"


def _leaving_folder(to: Path, away: Path) -> str:
    (to / "models").symlink_to(away)
    return "models is a link that leads elsewhere"


def _leaving_file(to: Path, away: Path) -> str:
    (to / "data").mkdir()
    (to / "data/numbers.csv").symlink_to(away / "not there")
    return "numbers.csv is a link that leads elsewhere"


def _no_folder(to: Path, _: Path) -> str:
    to.rmdir()
    to.write_text("mine")
    return "to is in the way"


@pytest.mark.parametrize("put", [
    _other_file, _file_for_folder, _folder_for_file, _leaving_folder, _leaving_file, _no_folder,
])  # fmt: skip
def test_the_users_own_is_never_replaced(
    repo: Repo, run: RunRecord, tmp_path: Path, put: Callable[[Path, Path], str]
) -> None:
    to, away = tmp_path / "to", tmp_path / "away"
    to.mkdir()
    away.mkdir()
    said = put(to, away)
    before = sorted(tmp_path.rglob("*")), contents(tmp_path)
    with pytest.raises(WrongUse, match=said):
        restore(repo.open(), "one", str(to))
    assert (sorted(tmp_path.rglob("*")), contents(tmp_path)) == before


def test_a_link_that_stays_inside_is_followed(repo: Repo, run: RunRecord, tmp_path: Path) -> None:
    to = tmp_path / "to"
    (to / "large").mkdir(parents=True)
    (to / "models").symlink_to("large")
    (tmp_path / "link").symlink_to("to")
    restore(repo.open(), "one", str(tmp_path / "link"))
    assert (to / "large/weights.bin").read_bytes() == b"4950"


def test_no_folder_of_git_or_dvc_is_written_to(repo: Repo, run: RunRecord) -> None:
    for to in (".git/x", ".dvc/cache/x"):
        with pytest.raises(WrongUse, match="itself"):
            restore(repo.open(), "one", str(repo.root / to))


def test_a_run_made_by_hand_is_restored_though_its_commit_is_gone(
    repo: Repo, run: RunRecord, tmp_path: Path
) -> None:
    run_id = repo.foreign(
        "by hand", git_commit="0" * 40, dvc_data_md5=run.data[0].md5, dvc_model_md5=run.model[0].md5
    )
    done = repo.anchored("restore", run_id, "--to", str(tmp_path / "to"))
    assert done.returncode == 0, done.stderr
    assert "warning: commit missing" in done.stderr
    assert_restored(tmp_path / "to", repo, run)


def test_a_run_that_names_nothing_is_wrong_use(repo: Repo, run: RunRecord) -> None:
    repo.foreign("bare", git_commit=repo.head + "0")
    done = repo.anchored("restore", "bare")
    assert done.returncode == 2, done.stderr
    assert "names neither data nor a model" in done.stderr
    assert not (repo.root / "restored").exists()


# --- interrupted, and large ---------------------------------------------------------------------------


def test_a_killed_call_is_completed_by_the_next(plain: Repo, tmp_path: Path) -> None:
    for n in range(3_000):
        plain.write(f"data/set/{n % 7}/{n}.bin", f"{n}\n" * 5)
    plain.configure('"data/numbers.csv"]', '"data/numbers.csv", "data/set"]')
    run, to = plain.run("many"), tmp_path / "to"
    argv = [sys.executable, "-m", "anchored", "restore", "many", "--to", str(to)]
    process = subprocess.Popen(argv, cwd=plain.root, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(to.glob(".anchored-*/data/set/0/*"))) < 20:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert contents(to), "killed too early to show anything"
    assert not (to / "data").exists(), "killed too late to show anything"
    torn = next(to.glob(".anchored-*/data/set/0/*"))
    torn.write_bytes(b"")
    restore(plain.open(), "many", str(to))
    assert_restored(to, plain, run)
    assert not list(to.glob(".anchored-*"))


def test_a_call_that_fails_for_good_leaves_nothing_behind(
    repo: Repo, run: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to, copied = tmp_path / "to", handing_out._Work._is_copied
    broken = "models/weights.bin"

    def is_copied(self: Any, source: str, file: WantedFile, *, far: bool) -> bool:
        if file.path == broken:
            Path(self._staging.place_of(file)).write_bytes(b"half of")
            raise PermissionError(13, "not yours")
        return copied(self, source, file, far=far)

    monkeypatch.setattr(handing_out._Work, "_is_copied", is_copied)
    pointers = (*run.data, *run.model)
    with pytest.raises((AnchoredError, OSError)):
        store(repo).export(pointers, to, QUIET)
    assert not list(to.glob(".anchored-*"))
    assert not contents(to)
    monkeypatch.undo()
    store(repo).export(pointers, to, QUIET)
    assert_restored(to, repo, run)
