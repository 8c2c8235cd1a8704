"""Brings the stack up, as far as it is not: what runs and answers is left alone."""

from __future__ import annotations

import stat
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from anchored.errors import NotReady
from anchored.ports import Report
from anchored.stack.down import GRACE, ended
from anchored.stack.parts import (
    Part,
    Wanted,
    deploy,
    deployments,
    failed,
    made_of_deployments,
    parts_of,
)
from anchored.stack.processes import children_of, end, launch, listens, strays
from anchored.stack.record import (
    PREFECT,
    TRACKER,
    WORKER,
    StackRecord,
    Started,
    digest,
    made_key,
    read_stack,
    stack_locked,
    write_stack,
)
from anchored.stack.status import Standing, logs_of, standing
from anchored.system.sockets import free_port

STARTING = 120.0  # seconds that a part gets until it answers; a first start takes some 12
ANSWERING = 30.0  # seconds that one gets which runs already: the machine may be training


def bring_up(root: Path, wanted: Wanted, report: Report) -> Standing:
    """Starts what of the repo's stack does not run or answer, and deploys the flows to it.

    Interrupted or failed, it ends what it has started. Raises `ServiceFailed` with the last lines
    of the part that did not come up, and `NotReady`.
    """
    if not (root / ".dvc").is_dir():
        raise NotReady(f"{root} is not set up for DVC", hint="run `anchored init`")
    with stack_locked(root, lambda: report.say("another `anchored` is at work; waiting")) as folder:
        _close(folder)
        stack = _Stack(root, folder, wanted, report)
        try:
            stack.bring_up()
        except BaseException:
            stack.undo()
            raise
    return standing(root)


class _Stack:
    """The stack while it is brought up. The record on disk is always what there is."""

    def __init__(self, root: Path, folder: Path, wanted: Wanted, report: Report) -> None:
        self._root, self._folder, self._report = root, folder, report
        self._record = _noted(read_stack(root), wanted)
        self._key = made_key(root)
        self._parts = parts_of(folder, wanted=wanted, ports=self._record.ports, key=self._key)
        self._begun: list[str] = []

    def bring_up(self) -> None:
        """All parts, those that wait for nobody at once."""
        # A tracker that is to be seen elsewhere by now is no longer ours to show.
        gone = [name for name in self._record.processes if name not in self._parts]
        # Another worker is wanted: this one ends while its server hears what its flow runs say.
        if self._is_other(WORKER):
            gone.append(WORKER)
        self._record = ended(self._root, self._record, gone)
        servers = [name for name in self._parts if name != WORKER]
        for name in servers:
            self._start(name)
        for name in servers:
            self._await(name)
        # A worker that has missed its server for half a minute no longer hears of cancellations
        # (Prefect 3.8.8): a new server gets a new worker, unless that one is at work.
        busy = bool(children_of(self._record.process(WORKER)))
        self._start(WORKER, anew=PREFECT in self._begun and not busy)
        self._await(WORKER)
        self._deploy()
        if not self._begun:
            self._report.say("everything is up already")

    def undo(self) -> None:
        """Ends what was started here, and no more than that."""
        self._record = ended(self._root, self._record, self._begun)
        known = {started.pid for started in self._record.processes.values()}
        # What an interrupt left no time to note is a child of this process all the same.
        ours = children_of(psutil.Process())
        left = [p for p in strays(self._folder) if p in ours and p.pid not in known]
        end(left, grace=GRACE)

    def _start(self, name: str, *, anew: bool = False) -> None:
        part = self._parts[name]
        if self._record.runs(name):
            if not anew and self._keeps(name, part):
                return
            self._record = ended(self._root, self._record, [name])
        self._report.say(f"starting {part.title}")
        self._begun.append(name)
        log = self._log(name)
        process = launch(part.argv, folder=self._folder, settings=part.settings, log=log)
        started = Started(process.pid, process.create_time(), part.made_of)
        self._note(processes={**self._record.processes, name: started})

    def _keeps(self, name: str, part: Part) -> bool:
        """Whether what runs is what is wanted, and works."""
        started = self._record.processes[name]
        if self._is_other(name):
            return False
        deadline = time.monotonic() + ANSWERING
        while self._record.runs(name) and time.monotonic() < deadline:
            if part.answers(started.created):
                return True
            time.sleep(0.2)
        return False

    def _is_other(self, name: str) -> bool:
        """Whether what was started is not what is wanted."""
        started = self._record.processes.get(name)
        return started is not None and started.made_of != self._parts[name].made_of

    def _await(self, name: str) -> None:
        if name not in self._begun:
            return
        part, started = self._parts[name], self._record.processes[name]
        port, deadline = self._record.ports.get(name), time.monotonic() + STARTING
        while not part.answers(started.created) or not _is_at(started, port):
            if started.process() is None:
                raise failed(f"{part.title} ended instead of starting", self._log(name))
            if time.monotonic() > deadline:
                raise failed(f"{part.title} does not answer", self._log(name))
            time.sleep(0.1)
        self._report.say(f"{part.title} is up")

    def _deploy(self) -> None:
        wanted, prefect = made_of_deployments(), self._record.url(PREFECT)
        if self._record.deployed == wanted and deployments(prefect, self._key):
            return
        self._report.say("deploying the flows")
        deploy(self._folder, self._parts[WORKER].settings, self._log("deploy"))
        self._note(deployed=wanted)

    def _log(self, name: str) -> Path:
        return logs_of(self._folder) / f"{name}.log"

    def _note(self, **changes: object) -> None:
        self._record = replace(self._record, **changes)  # type: ignore[arg-type]
        write_stack(self._root, self._record)


def _close(folder: Path) -> None:
    """Takes from all others what they might do with files that an earlier version has made."""
    for file in folder.rglob("*"):
        with suppress(OSError):  # a file that comes and goes
            if not file.is_symlink() and (mode := stat.S_IMODE(file.stat().st_mode)) & 0o077:
                file.chmod(mode & 0o700)


def _is_at(started: Started, port: int | None) -> bool:
    """Whether it is the process itself that answers at its port, if it has one.

    Whoever takes a port that was free a moment ago would be asked with the stack's key.
    """
    process = started.process()
    return port is None or (process is not None and listens(process, port))


def _noted(record: StackRecord, wanted: Wanted) -> StackRecord:
    """The record with what is wanted.

    Ports are those of last time, or others where somebody else listens there now.
    """
    pages, ports = wanted.pages, dict(record.ports)
    for name in (PREFECT, TRACKER) if pages.server else (PREFECT,):
        if not record.runs(name):
            ports[name] = free_port(ports.get(name))
    return replace(
        record,
        ports=ports,
        title=wanted.tracker,
        shows=digest(wanted.tracker_uri) if pages.server else "",
        elsewhere=pages.url,
        hint=pages.hint,
    )
