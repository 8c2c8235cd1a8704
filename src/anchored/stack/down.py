"""Ends what of the stack runs; all data stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from anchored.ports import Report
from anchored.stack.processes import ask, children_of, end, strays
from anchored.stack.record import (
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
FLOW_GRACE = 30.0  # the same for a flow run: its training gets ten of them, then it is recorded


def take_down(root: Path, report: Report) -> tuple[str, ...]:
    """Ends every process of the repo's stack, and no other; returns the parts that ran.

    A process is ended only if it is the one that was started, by number and time, or bears the
    stack's mark in its environment. Flow runs that are under way record that they were cut off.
    """
    if not (root / FOLDER).is_dir():
        return ()
    with stack_locked(root, lambda: report.say("another `anchored` is at work; waiting")) as folder:
        record = read_stack(root)
        running = [name for name in (WORKER, TRACKER, PREFECT) if record.runs(name)]
        if cut_off := children_of(record.process(WORKER)):
            runs = f"{len(cut_off)} flow runs that are" if cut_off[1:] else "the flow run that is"
            report.say(f"ending {runs} under way")
        if running:
            report.say("stopping " + ", ".join(running))
        record = ended(root, record, running)
        # Flow runs whose worker was killed, and what a killed `up` had no time to note.
        left = strays(folder)
        end(left, grace=FLOW_GRACE)
        write_stack(root, replace(record, processes={}, shows="", elsewhere="", hint=""))
    return tuple(running) or (("strays",) if left else ())


def ended(root: Path, record: StackRecord, names: Sequence[str]) -> StackRecord:
    """Ends these parts; the flow runs of the worker and itself before its server."""
    if WORKER in names:
        # Told to stop, a worker kills its flow runs (Prefect 3.8.8), and they are "running" for
        # ever. Asked themselves, they end their training and record what became of it.
        ask(children_of(record.process(WORKER)), grace=FLOW_GRACE)
    for group in ({WORKER}, {PREFECT, TRACKER}):
        processes = [record.process(name) for name in group.intersection(names)]
        end([process for process in processes if process], grace=GRACE)
    left = {name: one for name, one in record.processes.items() if name not in names}
    record = replace(record, processes=left)
    write_stack(root, record)
    return record
