"""`anchored resume [RUN]`."""

from __future__ import annotations

from argparse import Namespace

from anchored.cli import console, render
from anchored.cli.prefect_session import prefect_session, tell_crashed
from anchored.errors import AnchoredError, UnknownRun, WrongUse
from anchored.resume.close import (
    Unfinished,
    check_here,
    claim_unfinished,
    close_lost,
    fail_cut_off,
)
from anchored.training_repo import TrainingRepo
from anchored.workspace.open import TrackerKind, open_repo


def run(arguments: Namespace) -> int:
    """Takes up every run that was cut off; the worst failure decides the exit code."""
    repo = open_repo(getattr(arguments, "repo", None), tracker=arguments.tracker)
    results, code = [], 0
    try:
        for unfinished in claim_unfinished(repo, arguments.run):
            result, status = _ended(repo, unfinished, arguments.tracker)
            results.append(result)
            code = max(code, status)
    except UnknownRun:
        run = close_lost(repo, arguments.run)
        said = f"{run.name}: nothing is left of its work here, and it is closed as failed"
        console.err().print(said, markup=False)
        results.append({"run_id": run.run_id, "name": run.name, "state": "failed"})
    if getattr(arguments, "json", False):
        render.print_json(results)
    elif not results:
        console.err().print("no run was cut off")
    return code


def _ended(
    repo: TrainingRepo, unfinished: Unfinished, tracker: TrackerKind | None
) -> tuple[dict[str, str], int]:
    """Finishes one run, or closes it as failed; says what became of it."""
    run, said = unfinished.run, console.err()
    result = {"run_id": run.run_id, "name": run.name}
    try:
        check_here(repo, repo.journal(unfinished.key))
        if not unfinished.resumable:
            fail_cut_off(repo, unfinished.key)
            tell_crashed(repo.root, run.prefect.flow_run_id)
            said.print(f"{run.name}: was cut off, and is closed as failed", markup=False)
            return {**result, "state": "failed"}, 0
        with prefect_session(repo.root):
            from flows.experiment import experiment
            from tasks.state_hooks import call_crashed

            # Nobody is left to say so of the flow run that was cut off.
            call_crashed([run.prefect.flow_run_id])
            experiment(
                repo=str(repo.root),
                run_name=run.name,
                resume=unfinished.key,
                tracker=tracker,
            )
        said.print(f"{run.name}: finished, sealed", markup=False)
        return {**result, "state": "sealed"}, 0
    except AnchoredError as error:
        repo.journals.release(unfinished.key)
        said.print(f"{run.name}: {error.message}", markup=False)
        if error.hint and isinstance(error, WrongUse):
            said.print(f"hint: {error.hint}", markup=False)
        if repo.journals.read(unfinished.key) is None:
            return {**result, "state": "failed"}, 0
        return {**result, "state": str(run.state)}, error.exit_code
