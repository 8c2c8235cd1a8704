"""Runs as `anchored run` leaves them, written fast, and among them some that a stranger wrote.

Objects go into cache and remote, commits are made by `git fast-import`, tags, names and times go
through MLflow's client or straight into its database.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from anchored.decisions.commit_record import CommitRecord, render_message
from anchored.decisions.naming import run_ref
from anchored.decisions.tags import RECORD, render_tags
from anchored.records import (
    ENVIRONMENT_DOCUMENT,
    RUN_DOCUMENT,
    Environment,
    GitFacts,
    Pointer,
    RunRecord,
    State,
)
from tests.repos import Repo

DEEP = 7_900
FOLDER, MODEL = "data/set", "models/model.bin"
ESCAPES = "\x1b]0;pwned\x07\x1b[2J\u202eevil\x9b31m\n[x](https://evil.example)"
ENVIRONMENT = Environment(python="3.11", packages={f"p{n}": "1.0" for n in range(50)})
BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


@dataclass
class Written:
    """What is written of one run: the files of its commit, its tags and artifacts, its folder."""

    name: str
    run_id: str
    message: bytes
    files: dict[str, bytes]
    tags: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    started: int | None = None
    place: str = ""
    commit: str = ""
    source: str = ""


@dataclass(frozen=True)
class Harm:
    """What a stranger does to a run, and the problem that an audit finds in it; empty for none."""

    what: str
    problem: str = "record-unreadable"
    data: str | bytes = ""  # in place of the pointer of its folder
    listing: str = ""  # in place of the listing that this pointer names
    record: str = ""  # in place of the tag `anchored.record`
    message: str = ""  # in place of the record in its commit's message
    artifacts: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    name: str = ""
    started: int | None = None
    place: str = ""  # in place of the address of its artifacts


def _entry(path: str, md5: str = "0" * 32) -> str:
    return json.dumps([{"md5": md5, "relpath": path}])


HARMS = (
    Harm("a date for a hash", "object-missing", data="outs:\n- {md5: 2001-99-99, path: set}\n"),
    Harm("an alias bomb", data=BOMB),
    Harm("deep YAML", data="[" * DEEP),
    Harm("a mapping for a size", data="outs:\n- {md5: x, path: set, size: {}}\n"),
    Harm("an endless size", data=f"outs:\n- {{md5: x, path: set, size: {'9' * 5000}}}\n"),
    Harm("a YAML tag", data="outs: !!python/object/apply:os.system [touch PWNED]\n"),
    Harm("no UTF-8", data=b"outs:\n- {md5: \xff, path: set}\n"),
    Harm("a deep record", record="[" * DEEP),
    Harm("a record of digits", record=f'{{"params": {{"a": {"9" * 5000}}}}}'),
    Harm("a record with a surrogate", record='{"command": "\\udc80"}'),
    Harm("a record of another shape", record='{"data": [{"path": {}, "md5": []}]}'),
    Harm("a broken run.json", record="-", artifacts={RUN_DOCUMENT: b"{" * DEEP}),
    Harm("a broken environment", artifacts={ENVIRONMENT_DOCUMENT: b'{"packages": '}),
    Harm("an environment of lists", artifacts={ENVIRONMENT_DOCUMENT: b'{"packages": [[]]}'}),
    Harm("a deep environment", artifacts={ENVIRONMENT_DOCUMENT: b'{"a":' * DEEP}),
    Harm("a deep listing", listing="[" * DEEP),
    Harm("a listing that leaves", listing=_entry("../../../evil")),
    Harm("a listing of no hashes", listing=_entry("a", "../../etc/passwd")),
    Harm("a name too long for a file", listing=_entry("x" * 300)),
    Harm("a deep commit record", message='{\n"a":' * DEEP + "\n}"),
    Harm("a commit record of digits", message=f'{{\n "anchored": {"9" * 5000}\n}}'),
    Harm("a commit record of paths", message='{\n "anchored": 1, "data": [{"path": "../x"}]\n}'),
    Harm(
        "a commit that is none",
        "tag-mismatch",
        tags={"git_commit": "--upload-pack=touch PWNED\nHEAD"},
    ),
    Harm(
        "a path that leaves",
        "tag-mismatch",
        tags={"dvc_data_md5/" + "x/" * 100 + "../..": "0" * 32},
    ),
    Harm("a name that acts", "", name=ESCAPES),
    Harm("artifacts nowhere", "environment-missing", place="bogus://x/y"),
    Harm("artifacts at no address", "environment-missing", place="http://[::1"),
    Harm("artifacts at a path too long", "environment-missing", place="file:///" + "x" * 190),
    Harm("artifacts at a path of no file", "environment-missing", place="file:///x%00/y"),
    Harm("a time beyond all", "", started=2**62),
)


class ManyRuns:
    """A training repo with sealed runs; every harm in turn is done to the last `hostile` of them.

    They are in order: the good ones, and those that were harmed, each with its harm.
    """

    def __init__(self, repo: Repo, good: int, hostile: int) -> None:
        self.repo = repo
        harms = [HARMS[n % len(HARMS)] for n in range(hostile)]
        repo.configure("data/numbers.csv", FOLDER)
        runs = [self._sealed(n) for n in range(good)]
        runs += [self._harmed(self._sealed(good + n), harm) for n, harm in enumerate(harms)]
        self._commit(runs)
        self._track(runs)
        self.good = runs[:good]
        self.harmed = list(zip(runs[good:], harms, strict=True))

    def _sealed(self, number: int) -> Written:
        model = self._pointer(MODEL, f"model {number}\n".encode())
        data = self._listed(f"shared {number // 10}\n")
        run_id = hashlib.md5(f"run {number}".encode()).hexdigest()
        run = RunRecord(
            run_id=run_id, name=f"run {number}", experiment="sums", state=State.SEALED,
            git=GitFacts(branch="main"), data=(data,), model=(model,), params={"power": 1},
            command="python train.py", environment={"md5": ENVIRONMENT.md5},
        )  # fmt: skip
        files = {f"{p.path}.dvc": rendered(p) for p in (data, model)}
        artifacts = {ENVIRONMENT_DOCUMENT: ENVIRONMENT.render()}
        message = render_message(CommitRecord(run)).encode()
        return Written(run.name, run_id, message, files, render_tags(run), artifacts)

    def _harmed(self, run: Written, harm: Harm) -> Written:
        """Of a commit without a record, as it was sealed before there were any, but for a harm."""
        run.message = f"Version model of run x\n\nAnchored-Run: {run.run_id}\n".encode()
        if harm.message:
            run.message = f"Run\n\n{harm.message}\n\nAnchored-Run: {run.run_id}\n".encode()
        if harm.data:
            data = harm.data.encode() if isinstance(harm.data, str) else harm.data
            run.files[f"{FOLDER}.dvc"] = data
        if harm.listing:
            pointer = self._pointer(FOLDER, harm.listing.encode(), ".dir")
            run.files[f"{FOLDER}.dvc"] = rendered(pointer)
            run.tags |= dict.fromkeys(("dvc_data_md5", f"dvc_data_md5/{FOLDER}"), pointer.md5)
            del run.tags[RECORD]
        if harm.record == "-":
            del run.tags[RECORD]
        elif harm.record:
            run.tags[RECORD] = harm.record
        run.artifacts |= harm.artifacts
        if environment := harm.artifacts.get(ENVIRONMENT_DOCUMENT):
            run.tags["anchored.environment_md5"] = hashlib.md5(environment).hexdigest()
        run.tags |= harm.tags
        return replace(run, name=harm.name or run.name, started=harm.started, place=harm.place)

    # --- where it is written --------------------------------------------------------------------

    def _listed(self, content: str) -> Pointer:
        """A folder of two files."""
        files = {f"part/{n}.csv": f"{content}{n}\n".encode() for n in range(2)}
        entries = [{"md5": self._stored(c), "relpath": path} for path, c in files.items()]
        pointer = self._pointer(FOLDER, json.dumps(entries).encode(), ".dir")
        return replace(pointer, size=sum(map(len, files.values())), nfiles=2)

    def _pointer(self, path: str, content: bytes, suffix: str = "") -> Pointer:
        return Pointer(path, self._stored(content, suffix) + suffix, size=len(content))

    def _stored(self, content: bytes, suffix: str = "") -> str:
        md5 = hashlib.md5(content).hexdigest()
        place = f"files/md5/{md5[:2]}/{md5[2:]}{suffix}"
        for file in (self.repo.root / ".dvc/cache" / place, self.repo.store / place):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return md5

    def _commit(self, runs: Sequence[Written]) -> None:
        base, stream = self.repo.head, b""
        for number, run in enumerate(runs):
            lines = [
                b"commit refs/heads/main", f"mark :{number + 1}".encode(),
                f"committer T <t@localhost> {1_700_000_000 + number} +0000".encode(),
                f"data {len(run.message)}".encode(), run.message,
                f"from {f':{number}' if number else base}".encode(),
            ]  # fmt: skip
            for path, text in run.files.items():
                lines += [f"M 100644 inline {path}".encode(), f"data {len(text)}".encode(), text]
            lines.append(f"\nreset {run_ref(run.run_id)}\nfrom :{number + 1}\n".encode())
            stream += b"\n".join(lines) + b"\n"
        root = self.repo.root
        subprocess.run(
            ["git", "fast-import", "--quiet", "--force"], cwd=root, input=stream, check=True
        )
        refs = self.repo.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/anchored")
        commits = dict(line.split() for line in refs.splitlines())
        for run in runs:
            run.commit = commits[run_ref(run.run_id)]
        for run, source in zip(runs, [base, *(run.commit for run in runs)], strict=False):
            run.source = source
        # The folder stays as it was: the last run's pointers may be none.
        self.repo.git("update-ref", "refs/heads/main", base)
        self.repo.git("push", "--quiet", "origin", "refs/anchored/*:refs/anchored/*")

    def _track(self, runs: Sequence[Written]) -> None:
        from mlflow.tracking import MlflowClient

        root = self.repo.root
        client = MlflowClient(f"sqlite:///{root}/mlflow.db")
        experiment = client.create_experiment("sums", (root / "mlruns").as_uri())
        ids, times, places = [], [], []
        for run in runs:
            tags = {"git_commit": run.commit, "git_source_commit": run.source} | run.tags
            made = client.create_run(experiment, tags=tags, run_name=run.name).info.run_id
            client.set_terminated(made)
            ids.append((run.run_id, made))
            times += [(run.started, run.run_id)] if run.started else []
            places += [(run.place, run.run_id)] if run.place else []
            for path, content in run.artifacts.items():
                file = root / "mlruns" / made / "artifacts" / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        _named_by_their_refs(os.fspath(root / "mlflow.db"), ids, times, places)


def _named_by_their_refs(
    database: str,
    ids: Sequence[tuple[str, str]],
    times: Sequence[tuple[Any, str]],
    places: Sequence[tuple[str, str]],
) -> None:
    """Gives the runs the ids that their refs have, and times that MLflow's client refuses."""
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        for table in ("runs", "tags", "params", "metrics", "latest_metrics"):
            connection.executemany(f"UPDATE {table} SET run_uuid = ? WHERE run_uuid = ?", ids)
        connection.executemany("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", places)
        connection.executemany("UPDATE runs SET start_time = ? WHERE run_uuid = ?", times)
    connection.close()


def rendered(pointer: Pointer) -> bytes:
    facts = [f"{key}: {value}" for key, value in pointer.to_json().items() if key != "path"]
    name = pointer.path.rsplit("/", 1)[-1]
    return ("outs:\n- " + "\n  ".join([*facts, "hash: md5", f"path: {name}"]) + "\n").encode()
