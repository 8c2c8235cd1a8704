"""`anchored restore` and the worktree beside what one would type: seconds, and ratios.

(a) A folder of 20,000 files of 2 KB, and (b) one file of 2 GB. What is compared takes turns, so
that a busy moment of the machine hits all of it; medians are compared within this one run.

Nothing is deleted before the end: ext4 is slow to give inodes out again that were freed moments
ago, up to ten times (seen with Linux 6.18), and who goes after a deletion would pay for it. Every
round writes into new folders, and what was written is on the disk before the next one begins.

    python benchmarks/restore.py [rounds]
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT))

from tests.services.environment import clean_env  # noqa: E402

FILES, SIZE, LARGE = 20_000, 2_000, 2 * 1024**3
CONFIG = """\
experiment = "bench"

[data]
inputs = ["data/set"]

[train]
command = "python train.py"
model = "model.bin"
"""
# The same calls that training and the command make, in a process that has imported already.
TIMED = """\
import sys, time
from pathlib import Path
from anchored.adapters.dvc.store import DvcStore
from anchored.ports import Silent
from anchored.records import Pointer

work, md5, path, to = sys.argv[1:]
store, pointer = DvcStore(Path.cwd()), Pointer(path, md5)
store.cache("md5"), store.remote("md5")
begun = time.perf_counter()
if work == "worktree":
    store.fetch([pointer], Silent())
    store.checkout([pointer], Path(to), Silent())
else:
    store.export([pointer], Path(to), Silent())
print(time.perf_counter() - begun)
"""


class Bench:
    """A training repo with one run, its DVC remote, and new folders to write into."""

    def __init__(self, home: Path, path: str) -> None:
        self.home, self.path, self.env = home, path, os.environ | clean_env(home)
        self.root, self.remote = home / "repo", home / "remote"
        self._folders = 0
        (self.root / path).parent.mkdir(parents=True)
        (self.root / "train.py").write_text("open('model.bin', 'w').write('1')\n")
        (self.root / "anchored.toml").write_text(CONFIG.replace("data/set", path))
        (self.root / ".gitignore").write_text("/mlflow.db\n/mlruns/\n")

    def seal(self) -> None:
        """Makes the run `one`, with the content that stands at the path by now."""
        self.call("git", "init", "--quiet", "--initial-branch=main")
        self.call("git", "config", "user.name", "Benchmark")
        self.call("git", "config", "user.email", "benchmark@localhost")
        self.call("anchored", "init", "--remote", str(self.remote))
        self.call("git", "add", "--all", ":/")
        self.call("git", "commit", "--quiet", "--message", "Begin")
        self.call("anchored", "run", "one")
        shown = self.call("anchored", "show", "one", "--json")
        self.md5 = shown.split('"md5": "')[1].split('"')[0]

    def call(self, *command: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            command, cwd=cwd or self.root, env=self.env, capture_output=True, text=True,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"{command} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def new(self) -> Path:
        self._folders += 1
        return self.home / f"new{self._folders}"

    def timed(self, work: str, *, cold: bool = False) -> float:
        """One of our calls alone, without the start of a process and its imports."""
        with self._cache(cold=cold):
            argv = (sys.executable, "-c", TIMED, work, self.md5, self.path, str(self.new()))
            return float(self.call(*argv))

    def restore(self, *, cold: bool = False) -> float:
        """The whole command."""
        with self._cache(cold=cold):
            to = str(self.new())
            return seconds(lambda: self.call("anchored", "restore", "one", "--to", to))

    def dvc(self, *, cold: bool) -> float:
        """`dvc checkout` by copy, `dvc fetch` first where the cache is cold, in a clone."""
        clone = self.new()
        self.call("git", "clone", "--quiet", "--local", str(self.root), str(clone))
        own = clone / ".dvc/cache" if cold else self.root / ".dvc/cache"
        self.call("dvc", "config", "--local", "cache.dir", str(own), cwd=clone)
        self.call("dvc", "config", "--local", "cache.type", "copy", cwd=clone)
        os.sync()
        target = f"{self.path}.dvc"
        fetching = seconds(lambda: self.call("dvc", "fetch", target, cwd=clone)) if cold else 0
        return fetching + seconds(lambda: self.call("dvc", "checkout", target, cwd=clone))

    def cp(self) -> float:
        to = self.new()
        source = str(self.remote / "files/md5")
        return seconds(lambda: self.call("cp", "-r", source, str(to)))

    def md5sum_and_cp(self) -> float:
        source = str(self.root / ".dvc/cache/files/md5" / self.md5[:2] / self.md5[2:])
        to = str(self.new())
        return seconds(lambda: (self.call("md5sum", source), self.call("cp", source, to)))

    def _cache(self, *, cold: bool) -> _Hidden:
        return _Hidden(self.root / ".dvc/cache" if cold else None)


class _Hidden:
    """A folder that is not there meanwhile."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        if self._folder is not None:
            self._folder.rename(self._folder.with_name("hidden"))
        os.sync()

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.with_name("hidden").rename(self._folder)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def medians(variants: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, work in variants.items():
            os.sync()
            times[name].append(work())
    for name, values in times.items():
        spread = f"{min(values):.2f} to {max(values):.2f}"
        print(f"  {name:44} {statistics.median(values):6.2f} s   {spread}", flush=True)
    return {name: statistics.median(values) for name, values in times.items()}


def many_files(home: Path, rounds: int) -> None:
    bench = Bench(home, "data/set")
    folder = bench.root / bench.path
    folder.mkdir()
    for n in range(FILES):
        (folder / f"{n:05}.bin").write_bytes(os.urandom(SIZE))
    bench.seal()
    print(f"{FILES:,} files of {SIZE:,} bytes")
    taken = medians(
        {
            "dvc checkout by copy": lambda: bench.dvc(cold=False),
            "worktree, warm": lambda: bench.timed("worktree"),
            "cp -r of the remote folder": bench.cp,
            "handed out, cold": lambda: bench.timed("hand out", cold=True),
            "handed out, warm": lambda: bench.timed("hand out"),
            "dvc fetch + dvc checkout by copy": lambda: bench.dvc(cold=True),
            "anchored restore, cold, the whole command": lambda: bench.restore(cold=True),
        },
        rounds,
    )
    ratio(taken, "worktree, warm", "dvc checkout by copy", 0.25)
    ratio(taken, "handed out, cold", "cp -r of the remote folder", 1.25)
    ratio(
        taken, "anchored restore, cold, the whole command", "dvc fetch + dvc checkout by copy", 0.5
    )


def one_file(home: Path, rounds: int) -> None:
    bench = Bench(home, "data/large.bin")
    block = os.urandom(64 * 1024**2)
    with (bench.root / bench.path).open("wb") as file:
        for _ in range(LARGE // len(block)):
            file.write(block)
    bench.seal()
    print(f"one file of {LARGE / 1e9:.1f} GB")
    taken = medians(
        {
            "md5sum + cp": bench.md5sum_and_cp,
            "handed out, warm": lambda: bench.timed("hand out"),
            "anchored restore, warm, the whole command": bench.restore,
        },
        rounds,
    )
    ratio(taken, "handed out, warm", "md5sum + cp", 1.25)
    ratio(taken, "anchored restore, warm, the whole command", "md5sum + cp", 1.25)


def ratio(taken: dict[str, float], one: str, other: str, aim: float) -> None:
    print(f"  {one} / {other} = {taken[one] / taken[other]:.2f}, aim {aim}", flush=True)


def main(rounds: int) -> None:
    # Blocks of 4 KB for each small file, seven times a round, with the repo's own three copies.
    needed = max(FILES * 4096 * (9 * rounds + 4), LARGE * (3 * rounds + 4))
    for kind in (many_files, one_file):
        with tempfile.TemporaryDirectory(prefix="anchored-bench-") as folder:
            if shutil.disk_usage(folder).free < needed * 1.2:
                sys.exit(f"needs {needed * 1.2 / 1e9:.0f} GB of free disk in {folder}")
            kind(Path(folder), rounds)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
