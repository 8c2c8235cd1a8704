"""DVC's loggers belong to the process: muted while we transfer, and then as they were before."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from anchored.adapters.dvc.loggers import MUTED, muted_loggers
from anchored.errors import BadInput, RemoteFailed
from tests.contract.remotes import QUIET, forget, store
from tests.repos import Repo

State = list[tuple[str, int, bool, bool, list[logging.Handler], list[object]]]


def state() -> State:
    """All that can be set of DVC's loggers; one that came to be meanwhile is as it begins."""
    known = list(logging.root.manager.loggerDict)
    names = {name for name in known if name.split(".")[0] in {"dvc", *MUTED}} | {*MUTED}
    loggers = [logging.getLogger(name) for name in sorted(names)]
    states = [
        (x.name, x.level, x.disabled, x.propagate, list(x.handlers), list(x.filters))
        for x in loggers
    ]
    return [one for one in states if one[1:] != (logging.NOTSET, False, True, [], [])]


@pytest.fixture(autouse=True)
def own_levels() -> Iterator[None]:
    """Levels that somebody has chosen, each its own, so that none is right by chance."""
    before = {name: logging.getLogger(name).level for name in MUTED}
    for number, name in enumerate(MUTED):
        logging.getLogger(name).setLevel(logging.INFO + number)
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def block(folder: Path, md5: str) -> None:
    """Puts a folder where the object is to be a file."""
    (folder / "files/md5" / md5[:2] / md5[2:] / "inner").mkdir(parents=True)


def test_opening_a_store_leaves_the_loggers_alone(repo: Repo) -> None:
    before = state()
    one = store(repo)
    assert state() == before
    one.check_ready()
    one.probe_remote()
    assert state() == before


def test_work_leaves_the_loggers_as_they_were(repo: Repo, tmp_path: Path) -> None:
    one = store(repo)
    before = state()
    pointer = one.add(repo.root / "data/numbers.csv", "data/numbers.csv", QUIET)
    assert state() == before
    assert one.push([pointer], QUIET).sent == 1
    assert state() == before
    forget(repo)
    one = store(repo)
    assert one.fetch([pointer], QUIET) == 1
    assert state() == before
    one.checkout([pointer], tmp_path / "tree", QUIET)
    one.export([pointer], tmp_path / "to", QUIET)
    assert state() == before


@pytest.mark.parametrize("work", ["push", "add"])
def test_what_fails_leaves_the_loggers_as_they_were(repo: Repo, work: str) -> None:
    one = store(repo)
    pointer = one.add(repo.root / "data/numbers.csv", "data/numbers.csv", QUIET)
    before = state()
    if work == "push":
        block(repo.store, pointer.md5)
        with pytest.raises(RemoteFailed):
            one.push([pointer], QUIET)
    else:
        forget(repo)
        block(repo.root / ".dvc/cache", pointer.md5)
        with pytest.raises(BadInput):
            one.add(repo.root / "data/numbers.csv", "data/numbers.csv", QUIET)
    assert state() == before


FAILING = """
import logging, resource, sys
from pathlib import Path
from anchored.adapters.dvc.store import DvcStore
from anchored.errors import AnchoredError
from anchored.ports import Silent
work, file = sys.argv[1:]
store = DvcStore(Path.cwd())
if work == "push":
    pointer = store.add(Path.cwd() / file, file, Silent())
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    if work == "push":
        store.push([pointer], Silent())
    else:
        store.add(Path.cwd() / file, file, Silent())
except AnchoredError as error:
    print(type(error).__name__, error.message)
logging.getLogger("dvc_data.hashfile").warning("by others")
"""


@pytest.mark.parametrize("work", ["push", "add"])
def test_no_traceback_of_dvc_is_shown(repo: Repo, work: str) -> None:
    """No file may become as large as the input is, so that every copy of it fails."""
    repo.write("data/large.bin", bytes(2_000_000))
    argv = [sys.executable, "-c", FAILING, work, "data/large.bin"]
    done = subprocess.run(argv, cwd=repo.root, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("RemoteFailed" if work == "push" else "BadInput"), done.stdout
    assert "File too large" in done.stdout
    assert done.stderr == "WARNING: by others\n", "by the handler that DVC sets"


def test_the_last_of_two_threads_restores_the_levels() -> None:
    before = state()
    inside, outside = threading.Event(), threading.Event()

    def other() -> None:
        with muted_loggers():
            inside.set()
            outside.wait(10)

    thread = threading.Thread(target=other)
    with muted_loggers():
        thread.start()
        assert inside.wait(10)
    assert all(logging.getLogger(name).level == logging.CRITICAL for name in MUTED)
    outside.set()
    thread.join()
    assert state() == before


def test_an_error_inside_restores_the_levels() -> None:
    before = state()
    with pytest.raises(ZeroDivisionError), muted_loggers(), muted_loggers():
        1 / 0  # noqa: B018
    assert state() == before
