"""Refresh the data: a command of the user's brings what is new, in a private tree.

It works on real copies of the inputs as the branch's head names them. The user's checkout plays no
part: a retrain at night does not train on what somebody has half done in it.
"""

from __future__ import annotations

from anchored.config import Config
from anchored.errors import BadInput, RefreshFailed
from anchored.process import RUN_ID, Ending, run_command
from anchored.records import Pointer
from anchored.steps.close_run import sweep
from anchored.steps.open_run import Fresh, check_retrain
from anchored.steps.private_tree import PrivateTree, passing_tree
from anchored.steps.training_repo import TrainingRepo
from anchored.steps.version_data import committed_pointer


def refreshed(repo: TrainingRepo) -> Fresh:
    """The inputs of the branch's head, after `data.refresh` where there is one.

    Raises `RefreshFailed`, `BadInput` for an input that is not there afterwards, `RemoteFailed`.
    """
    sweep(repo)
    commit = repo.code.head()
    config = check_retrain(repo, commit)
    before = {}
    for path in config.data.inputs:
        pointer = committed_pointer(repo, path, commit)
        if pointer is not None:
            before[path] = pointer
        elif config.data.refresh is None:
            raise BadInput(
                path,
                "is not versioned by any commit yet, and there is no data.refresh to bring it",
                hint="`anchored run` versions the file in your folder",
            )
    if config.data.refresh is None:
        return Fresh(commit, tuple(before.values()))
    with passing_tree(repo, config, commit) as tree:
        repo.store.hand_out(tuple(before.values()), tree.path, repo.report)
        _refresh(tree, config.data.refresh)
        data = tuple(_versioned(tree, path) for path in config.data.inputs)
    changed = tuple(p.path for p in data if before.get(p.path) != p)
    return Fresh(commit, data, changed)


def _refresh(tree: PrivateTree, command: str) -> None:
    """Runs the command with the whole environment: what it brings is recorded, not how."""
    # Named by its folder, it is found where this process is killed and the folder swept away.
    key = tree.path.parent.name
    own = {**tree.repo.variables, "PYTHONUNBUFFERED": "1", "PWD": str(tree.path), RUN_ID: key}
    variables = tree.in_environment(own)
    tree.environment(command, variables)  # imports come from the tree
    ending = run_command(
        command,
        cwd=tree.path,
        variables=variables,
        log=tree.path.parent / "refresh.log",
        timeout=tree.config.train.timeout,
        on_line=tree.told,
        on_start=lambda: None,
    )
    _refuse_bad_ending(ending, tree.config)


def _refuse_bad_ending(ending: Ending, config: Config) -> None:
    if ending.timed_out:
        raise RefreshFailed(
            f"refresh ran out of time ({config.train.timeout:g} s)",
            tail=ending.tail,
            hint="it has as long as training: raise train.timeout in anchored.toml",
        )
    if ending.status:
        raise RefreshFailed(
            f"refresh {ending.in_words}",
            tail=ending.tail,
            hint=f"the command is {config.data.refresh!r}; no run was opened",
        )


def _versioned(tree: PrivateTree, path: str) -> Pointer:
    place = tree.path / path
    if not place.exists():
        raise BadInput(path, "is not there after data.refresh")
    # The tree is gone in a moment: what is in it may be linked into the cache.
    return tree.repo.store.add(place, path, tree.repo.report, move=True)
