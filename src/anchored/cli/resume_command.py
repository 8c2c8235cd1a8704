"""`anchored resume [RUN]`."""

from __future__ import annotations

from argparse import Namespace

from anchored.cli import console, render
from anchored.cli.prefect_session import mark_crashed, prefect_session
from anchored.errors import WrongUse
from anchored.records import RunRecord, State
from anchored.resume.close import Unfinished
from anchored.resume.finish import Resumed, resume_runs
from anchored.workspace.open import open_repo


def run(arguments: Namespace) -> int:
    """Resumes every run that was interrupted; the worst failure decides the exit code."""
    repo = open_repo(getattr(arguments, "repo", None), tracker=arguments.tracker)

    def finish(unfinished: Unfinished) -> RunRecord:
        with prefect_session(repo.root):
            from flows.experiment import experiment
            from tasks.state_hooks import call_crashed

            # Nobody is left to say so of the flow run that was interrupted.
            call_crashed([unfinished.run.prefect.flow_run_id])
            sealed = experiment(
                repo=str(repo.root),
                run_name=unfinished.run.name,
                resume=unfinished.key,
                tracker=arguments.tracker,
            )
            return sealed.run

    results, code = [], 0
    for ended in resume_runs(repo, arguments.run, finish):
        if ended.error is None and ended.run.state == State.FAILED:
            mark_crashed(repo.root, ended.run.prefect.flow_run_id)
        _say(ended)
        state = str(ended.run.state)
        results.append({"run_id": ended.run.run_id, "name": ended.run.name, "state": state})
        code = max(code, ended.exit_code)
    if getattr(arguments, "json", False):
        render.print_json(results)
    elif not results:
        console.err().print("no run was interrupted")
    return code


def _say(ended: Resumed) -> None:
    said, error = console.err(), ended.error
    if error is not None:
        said.print(f"{ended.run.name}: {error.message}", markup=False)
        if error.hint and isinstance(error, WrongUse):
            said.print(f"hint: {error.hint}", markup=False)
        return
    what = "finished, sealed"
    if ended.run.state == State.FAILED:
        nothing = "nothing is left of its work here, and it is closed as failed"
        what = nothing if ended.is_lost else "was interrupted, and is closed as failed"
    said.print(f"{ended.run.name}: {what}", markup=False)
