"""`anchored restore` of a large file takes no more memory than one of a small one."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path

from tests.contract.remotes import QUIET, store
from tests.repos import Repo


def test_memory_does_not_grow_with_the_size_of_a_file(repo: Repo, tmp_path: Path) -> None:
    large = repo.root / "data/large.bin"
    with large.open("wb") as file:
        for n in range(300):
            file.write(bytes([n % 251]) * 1_000_000)
    pointer = store(repo).add(large, "data/large.bin", QUIET)
    store(repo).push([pointer], QUIET)
    large.unlink()
    script = """
import resource, sys
from pathlib import Path
from anchored.adapters.dvc.store import DvcStore
from anchored.ports import Silent
from anchored.records import Pointer
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
DvcStore(Path.cwd()).export([Pointer("data/large.bin", sys.argv[1])], Path(sys.argv[2]), Silent())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 10_000, "it counts kilobytes"
    for place in ("warm", "cold"):
        argv = [sys.executable, "-c", script, pointer.md5, str(tmp_path / place)]
        done = subprocess.run(argv, cwd=repo.root, capture_output=True, text=True, check=True)
        assert int(done.stdout) < 60_000, f"{done.stdout} KB more, {place}"
        assert (tmp_path / place / "data/large.bin").stat().st_size == 300_000_000
        shutil.rmtree(repo.root / ".dvc/cache", ignore_errors=True)
