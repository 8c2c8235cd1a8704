"""`anchored audit` of many runs beside the loop by hand: `git checkout`, `dvc status -c` for each.

The runs are written as `anchored run` leaves them, but fast: objects into cache and remote, commits
by `git fast-import`, tracker runs by SQL. Each has a commit, a ref and a model of its own; every
ten share a version of a folder of some hundred files, a tenth of which differs from the one before.

The loop by hand is timed on a sample of the runs and extrapolated, for all of it takes long. It
asks less: whether the cache is in sync with what DVC's index believes the remote to hold.

    python benchmarks/audit.py [runs] [rounds]
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anchored.records import RunRecord

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT))

from tests.repos import Repo, make_template  # noqa: E402
from tests.services.environment import clean_env  # noqa: E402
from tests.services.prefect_server import serve_prefect  # noqa: E402

FILES, SHARING, CHANGED, SAMPLE = 300, 10, 30, 10
IGNORED = {"data/.gitignore": "/set\n", "models/.gitignore": "/model.bin\n"}


class Runs:
    """A training repo with many sealed runs."""

    def __init__(self, home: Path, count: int) -> None:
        self.repo, self.count = Repo(make_template(home) / "work"), count
        self.commits: list[str] = []
        self.objects: set[str] = set()
        self._config()
        self._make()

    def _config(self) -> None:
        text = (self.repo.root / "anchored.toml").read_text()
        self.repo.write("anchored.toml", text.replace("data/numbers.csv", "data/set"))
        self.repo.git("commit", "--quiet", "--all", "--message", "Configure")

    def _make(self) -> None:
        from anchored.decisions.commit_record import CommitRecord, render_message
        from anchored.decisions.naming import run_ref
        from anchored.records import Environment, RunRecord, State

        environment = Environment(python="3.11", packages={f"p{n}": "1.0" for n in range(200)})
        ids = [hashlib.md5(f"run {n}".encode()).hexdigest() for n in range(self.count)]
        runs = [
            RunRecord(
                run_id=run_id, name=f"run {n}", experiment="sums", state=State.SEALED,
                data=(data,), model=(model,), params={"power": 1}, metrics={"total": float(n)},
                command="python train.py", environment={"md5": environment.md5},
            )
            for n, (run_id, (data, model)) in enumerate(zip(ids, self._pointers(), strict=True))
        ]  # fmt: skip
        base = self.repo.head
        stream = b"".join(
            commit(
                n, {f"{p.path}.dvc": rendered(p) for p in (*run.data, *run.model)}, base,
                render_message(CommitRecord(run)).encode(),
            )
            + f"reset {run_ref(run.run_id)}\nfrom :{n + 1}\n\n".encode()
            for n, run in enumerate(runs)
        )  # fmt: skip
        subprocess.run(
            ["git", "fast-import", "--quiet", "--force"],
            cwd=self.repo.root, input=stream, check=True,
        )  # fmt: skip
        self.repo.git("reset", "--quiet", "--hard", "main")
        self.commits = self.repo.git("rev-list", "--reverse", f"{base}..main").split()
        self.repo.git("push", "--quiet", "origin", "main", "refs/anchored/*:refs/anchored/*")
        sources = [base, *self.commits]
        self._track(
            [
                run.with_(git=run.git.with_(commit=commit, source_commit=source))
                for run, commit, source in zip(runs, self.commits, sources, strict=False)
            ],
            environment.render(),
        )

    def _pointers(self) -> Iterator[tuple[object, ...]]:
        """Of every run, its folder and its model."""
        from anchored.records import Pointer

        contents = [b""] * FILES
        for n in range(self.count):
            if n % SHARING == 0:
                start = n // SHARING * CHANGED
                for place in range(FILES) if n == 0 else range(start, start + CHANGED):
                    contents[place % FILES] = f"{n} {place}\n".encode() * 20
                entries = [
                    {"md5": self._stored(content), "relpath": f"part/{place:04}.csv"}
                    for place, content in enumerate(contents)
                ]
                folder = f"{self._stored(json.dumps(entries).encode(), '.dir')}.dir"
            model = f"model {n}\n".encode() * 50
            size = sum(map(len, contents))
            yield (
                Pointer("data/set", folder, size=size, nfiles=FILES),
                Pointer("models/model.bin", self._stored(model), size=len(model)),
            )

    def _stored(self, content: bytes, suffix: str = "") -> str:
        """The hash of an object, put into cache and remote."""
        md5 = hashlib.md5(content).hexdigest()
        if md5 + suffix not in self.objects:
            self.objects.add(md5 + suffix)
            place = f"files/md5/{md5[:2]}/{md5[2:]}{suffix}"
            cached, stored = self.repo.root / ".dvc/cache" / place, self.repo.store / place
            for file in (cached, stored):
                file.parent.mkdir(parents=True, exist_ok=True)
            cached.write_bytes(content)
            os.link(cached, stored)
        return md5

    def _track(self, runs: list[RunRecord], environment: bytes) -> None:
        """Tracker runs as copies of one that MLflow itself has written: it takes 10 ms for each."""
        from mlflow.tracking import MlflowClient

        from anchored.decisions.tags import render_tags

        client = MlflowClient(f"sqlite:///{self.repo.root}/mlflow.db")
        place = self.repo.root / "mlruns"
        experiment = client.create_experiment("sums", place.as_uri())
        first = client.create_run(experiment, run_name="template").info.run_id
        client.set_terminated(first)
        with closing(sqlite3.connect(self.repo.root / "mlflow.db")) as database, database:
            database.row_factory = sqlite3.Row
            template = dict(database.execute("SELECT * FROM runs").fetchone())
            names = list(template)
            database.executemany(
                f"INSERT INTO runs ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                (
                    [
                        *(template | {
                            "run_uuid": run.run_id,
                            "name": run.name,
                            "artifact_uri": f"{place.as_uri()}/{run.run_id}/artifacts",
                        }).values()
                    ]
                    for run in runs
                ),
            )  # fmt: skip
            database.executemany(
                "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
                (
                    (key, value, run.run_id)
                    for run in runs
                    for key, value in (render_tags(run) | {"mlflow.runName": run.name}).items()
                ),
            )
            database.executemany(
                "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)"
                " VALUES ('total', ?, 0, 0, 0, ?)",
                ((run.metrics["total"], run.run_id) for run in runs),
            )
        client.delete_run(first)
        for run in runs:
            folder = place / run.run_id / "artifacts/anchored"
            folder.mkdir(parents=True)
            (folder / "environment.json").write_bytes(environment)

    def by_hand(self, number: int) -> None:
        """What the loop does for one run."""
        self.repo.git("checkout", "--quiet", "--force", self.commits[number])
        self.repo.dvc("status", "--cloud", "--quiet")


def rendered(pointer: object) -> bytes:
    facts = [f"{key}: {value}" for key, value in pointer.to_json().items() if key != "path"]
    name = pointer.path.rsplit("/", 1)[-1]
    return ("outs:\n- " + "\n  ".join([*facts, "hash: md5", f"path: {name}"]) + "\n").encode()


def commit(number: int, files: dict[str, bytes], base: str, message: bytes) -> bytes:
    """A commit of `git fast-import`, on the one before."""
    lines = [
        b"commit refs/heads/main", f"mark :{number + 1}".encode(),
        f"committer Benchmark <b@localhost> {1_700_000_000 + number} +0000".encode(),
        f"data {len(message)}".encode(), message,
        f"from {base if number == 0 else f':{number}'}".encode(),
    ]  # fmt: skip
    for path, text in (files | {k: v.encode() for k, v in IGNORED.items()}).items():
        lines += [f"M 100644 inline {path}".encode(), f"data {len(text)}".encode(), text]
    return b"\n".join(lines) + b"\n\n"


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def audit(runs: Runs, env: dict[str, str], *options: str) -> dict[str, object]:
    done = runs.repo.anchored("audit", "--json", *options, **env)
    if done.returncode:
        sys.exit(f"the audit failed:\n{done.stdout[:2_000]}{done.stderr[-2_000:]}")
    return dict(json.loads(done.stdout))


def main(count: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="anchored-bench-audit-") as folder:
        home = Path(folder)
        os.environ |= clean_env(home)
        (home / "template").mkdir()
        (home / ".gitconfig").write_text("[user]\nname = B\nemail = b@localhost\n")
        runs = Runs(home / "template", count)
        times: dict[str, list[float]] = {"audit": [], "its flow": [], "deep": [], "by hand": []}
        found: dict[str, object] = {}
        with serve_prefect(home / "server") as server:
            for turn in range(-1, rounds):  # the first turn warms databases and caches
                taken = {"audit": seconds(lambda: found.update(audit(runs, server.env)))}
                taken["its flow"] = float(str(found["seconds"]))
                taken["deep"] = seconds(lambda: audit(runs, server.env, "--deep"))
                sample = range(0, count, max(1, count // SAMPLE))
                taken["by hand"] = statistics.mean(
                    seconds(lambda: runs.by_hand(n))  # noqa: B023
                    for n in sample
                )
                for name, value in taken.items() if turn >= 0 else ():
                    times[name].append(value)
                runs.repo.git("checkout", "--quiet", "main")
    report({name: statistics.median(values) for name, values in times.items()}, found, rounds)


def report(medians: dict[str, float], found: dict[str, object], rounds: int) -> None:
    count = int(str(found["runs"]))
    hand = medians["by hand"] * count
    print(f"medians of {rounds} rounds, {os.cpu_count()} cores")
    print(f"{count:,} runs, {found['objects']:,} distinct objects, {count * (FILES + 2):,} named")
    for name in ("audit", "its flow", "deep"):
        print(f"{name:10} {medians[name]:8.2f} s   {hand / medians[name]:6.0f} times faster")
    print(f"by hand    {hand:8.0f} s   extrapolated from {medians['by hand']:.2f} s a run")


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 1_000,
        int(sys.argv[2]) if len(sys.argv) > 2 else 3,
    )
