"""Ends what of the stack runs; all data stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from anchored.ports import Report
from anchored.stack.processes import end, strays
from anchored.stack_record import (
    FOLDER,
    PREFECT,
    TRACKER,
    WORKER,
    StackRecord,
    read_stack,
    stack_locked,
    write_stack,
)

GRACE = 10.0  # seconds between SIGTERM and SIGKILL
# Training gets ten seconds to end, and the run is then recorded as failed.
WORKER_GRACE = 30.0


def take_down(root: Path, report: Report) -> tuple[str, ...]:
    """Ends every process of the repo's stack, and no other; returns the parts that ran.

    A process is ended only if it is the one that was started, by number and time, or bears the
    stack's mark in its environment.
    """
    if not (root / FOLDER).is_dir():
        return ()
    with stack_locked(root, lambda: report.say("another `anchored` is at work; waiting")) as folder:
        record = read_stack(root)
        running = [name for name in (WORKER, TRACKER, PREFECT) if record.runs(name)]
        if running:
            report.say("stopping, which lets a training that is under way end")
        record = ended(root, record, running)
        # Flow runs whose worker was killed, and what a killed `up` had no time to note.
        left = strays(folder)
        end(left, grace=WORKER_GRACE)
        write_stack(root, replace(record, processes={}, shows="", elsewhere=""))
    return tuple(running) or (("strays",) if left else ())


def ended(root: Path, record: StackRecord, names: Sequence[str]) -> StackRecord:
    """Ends these parts, the worker first: it tells the server what becomes of its flow runs."""
    worker = [name for name in names if name == WORKER]
    others = [name for name in names if name != WORKER]
    for group, grace in ((worker, WORKER_GRACE), (others, GRACE)):
        started = [record.processes[name] for name in group if name in record.processes]
        end([process for one in started if (process := one.process())], grace=grace)
    left = {name: one for name, one in record.processes.items() if name not in names}
    record = replace(record, processes=left)
    write_stack(root, record)
    return record
