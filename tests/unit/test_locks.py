"""Locks between processes: what waits for what, and what does not."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

from anchored.journal import Journals
from anchored.system.file_lock import locked
from tests.services.process import wait_for

HOLD = """
import sys
from pathlib import Path
from anchored.system.file_lock import locked
with locked(Path(sys.argv[1])) as waited:
    print(waited, flush=True)
    sys.stdin.read()
"""


def is_free(file: Path) -> bool:
    with file.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_whoever_waits_for_a_lock_says_so_and_gets_it_when_its_holder_dies(tmp_path: Path) -> None:
    file, said = tmp_path / "made" / "a.lock", []
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        wait_for(lambda: file.exists() and not is_free(file), timeout=30)

        def end_it() -> None:
            said.append("waiting")
            holder.kill()

        with locked(file, on_wait=end_it) as waited:
            assert waited
            assert said == ["waiting"]
            assert not is_free(file)
        assert holder.stdout is not None
        assert holder.stdout.read() == "False\n"
    with locked(file, on_wait=end_it) as waited:
        assert not waited
    assert is_free(file)


def test_nobody_waits_while_what_a_dead_process_left_is_taken_away(tmp_path: Path) -> None:
    journals, taken = Journals(tmp_path), []
    tree = journals.tree("0123456789")
    tree.mkdir(parents=True)
    with journals.scratch() as alive:
        (alive / "tree-1").mkdir()

        def take_away(left: Path) -> None:
            with journals.locked():  # as a run that begins meanwhile
                taken.append(left)
            with journals.scratch():
                journals.sweep(taken.append)  # by another process: it is not its own

        journals.sweep(take_away)
        assert taken == [tree]
        assert alive.is_dir()
    assert [path for path in journals.folder.iterdir() if path.is_dir()] == []


def test_a_run_that_is_closed_by_its_owner_just_now_is_nobody_elses(tmp_path: Path) -> None:
    journals = Journals(tmp_path)
    assert not journals._own("gone")
    journals.folder.mkdir(parents=True)
    (journals.folder / "a-file").touch()
    assert not journals._own("a-file")
    assert not journals.owns("gone")
