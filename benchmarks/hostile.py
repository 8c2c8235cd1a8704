"""What hostile runs cost the others: the same commands with and without them, in ratios.

Two repositories of as many runs each: in one all are good, in the other a stranger wrote every
sixth (200 among 1,000 good ones), in each of the ways of `tests/hostile.py`. Commands are timed in
turns, one repository after the other, and the medians compared.

Every good run has to be spoken of, and every hostile one named, or this ends with an error.

    python benchmarks/hostile.py [good runs] [hostile runs] [rounds]
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT))

from tests.hostile import ManyRuns  # noqa: E402
from tests.repos import Repo, make_template  # noqa: E402
from tests.services.environment import clean_env  # noqa: E402

ALLOWED = 1.1
SAMPLE = 20  # good runs that are shown, compared and restored in a turn


class Timed:
    """What a user does in one repository, in this process: starting Python costs both the same."""

    def __init__(self, runs: ManyRuns, home: Path) -> None:
        self.runs, self.home = runs, home
        step = max(1, len(runs.good) // SAMPLE)
        self.sample = runs.good[::step][:SAMPLE]
        self.turn = 0

    def commands(self) -> dict[str, Callable[[], None]]:
        return {
            "list": self.list,
            "audit": self.audit,
            "show": self.show,
            "diff": self.diff,
            "restore": self.restore,
        }

    def list(self) -> None:
        spoken_of = {run.run_id for run in self.runs.repo.runs()}
        check({run.run_id for run in self.every} <= spoken_of, "list lacks a run")

    def audit(self) -> None:
        audit = self.runs.repo.audit()
        json.dumps(audit.to_json())
        found = {finding.run_id for finding in audit.findings}
        named = {run.run_id for run, harm in self.runs.harmed if harm.problem}
        check(audit.runs == len(self.every), "the audit lacks a run")
        check(found == named, f"the audit names {len(found)} runs, not {len(named)}")

    def show(self) -> None:
        from anchored.history.find import found

        workspace = self.runs.repo.open()
        for run in self.sample:
            check(found(workspace, run.run_id).git.commit == run.commit, "another run is shown")

    def diff(self) -> None:
        from anchored.diff.diff import diff_runs
        from anchored.history.find import found

        workspace = self.runs.repo.open()
        first = found(workspace, self.sample[0].run_id)
        for run in self.sample[1:]:
            check(
                not diff_runs(workspace, first, found(workspace, run.run_id)).none, "no difference"
            )

    def restore(self) -> None:
        from anchored.restore.restore import restore

        workspace, self.turn = self.runs.repo.open(), self.turn + 1
        for run in self.sample:
            to = self.home / f"restored {self.turn} {run.run_id}"
            check(len(restore(workspace, run.run_id, str(to)).files) == 3, "files are missing")

    @property
    def every(self) -> list[object]:
        return [*self.runs.good, *(run for run, _ in self.runs.harmed)]


def check(holds: bool, otherwise: str) -> None:
    if not holds:
        sys.exit(otherwise)


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def made(home: Path, good: int, hostile: int) -> Timed:
    home.mkdir()
    return Timed(ManyRuns(Repo(make_template(home) / "work"), good, hostile), home)


def main(good: int, hostile: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="anchored-bench-hostile-") as folder:
        home = Path(folder)
        os.environ |= clean_env(home)
        (home / ".gitconfig").write_text("[user]\nname = B\nemail = b@localhost\n")
        both = made(home / "without", good + hostile, 0), made(home / "with", good, hostile)
        times: dict[str, tuple[list[float], list[float]]] = {}
        for turn in range(-1, rounds):  # the first turn warms databases and caches
            for name in both[0].commands():
                for place, timed in enumerate(both[:: 1 if turn % 2 else -1]):
                    place = place if turn % 2 else 1 - place  # noqa: PLW2901
                    taken = seconds(timed.commands()[name])
                    if turn >= 0:
                        times.setdefault(name, ([], []))[place].append(taken)
    report(times, good, hostile, rounds)


def report(
    times: dict[str, tuple[list[float], list[float]]], good: int, hostile: int, rounds: int
) -> None:
    print(f"medians of {rounds} rounds, {os.cpu_count()} cores")
    print(f"{good + hostile:,} good runs, beside {good:,} good and {hostile:,} hostile ones")
    totals = [0.0, 0.0]
    for name, pair in times.items():
        without, with_them = (statistics.median(values) for values in pair)
        totals = [totals[0] + without, totals[1] + with_them]
        print(f"{name:8} {without:8.2f} s {with_them:8.2f} s   ratio {with_them / without:.2f}")
    print(f"{'all':8} {totals[0]:8.2f} s {totals[1]:8.2f} s   ratio {totals[1] / totals[0]:.2f}"
          f"   (at most {ALLOWED} is promised)")  # fmt: skip


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    main(*(arguments + [1_000, 200, 3][len(arguments) :]))
