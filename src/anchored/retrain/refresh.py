"""Refresh the data: a command of the user's brings what is new, in a worktree.

It works on real copies of the inputs as the branch's head names them. The user's checkout plays no
part: a retrain at night does not train on what somebody has half done in it.
"""

from __future__ import annotations

import os

from anchored.config import Config
from anchored.errors import BadInput, RefreshFailed
from anchored.records import Pointer
from anchored.run.open import RetrainInputs, RunRequest, check_retrain
from anchored.run.version_data import committed_pointer
from anchored.run.worktree import Worktree, sweep, temporary_worktree
from anchored.system.process import RUN_ID
from anchored.training_repo import TrainingRepo


def refresh(repo: TrainingRepo, request: RunRequest) -> RetrainInputs:
    """The inputs of the branch's head, after `data.refresh` where there is one.

    Raises what makes the requested run impossible, `RefreshFailed`, `BadInput` for an input that is
    not there afterwards, `RemoteFailed`.
    """
    sweep(repo)
    commit = repo.code.head()
    config = check_retrain(repo, request, commit)
    repo.store.probe_remote()
    before = _committed(repo, config, commit)
    if config.data.refresh is None:
        return RetrainInputs(commit, tuple(before.values()))
    with temporary_worktree(repo, config, commit) as tree:
        repo.store.export(tuple(before.values()), tree.path, repo.report)
        _refresh(tree, config.data.refresh)
        data = tuple(_versioned(tree, path) for path in config.data.inputs)
    known = {path: pointer.md5 for path, pointer in before.items()}
    return RetrainInputs(commit, data, tuple(p.path for p in data if known.get(p.path) != p.md5))


def _committed(repo: TrainingRepo, config: Config, commit: str) -> dict[str, Pointer]:
    """The inputs' pointers, by path, as a commit has them; their content is in the cache."""
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
    return before


def _refresh(tree: Worktree, command: str) -> None:
    """Runs the command with the full environment: what it brings is recorded, not how."""
    # Known by its folder, it is found where this process is killed and the folder swept away.
    key = tree.path.parent.name
    own = {**tree.repo.variables, "PYTHONUNBUFFERED": "1", "PWD": str(tree.path), RUN_ID: key}
    variables = tree.in_environment(own)
    tree.point_imports(command, variables)
    ending = tree.run(command, variables, log=tree.path.parent / "refresh.log")
    if ending.timed_out:
        raise RefreshFailed(
            f"refresh ran out of time ({tree.config.train.timeout:g} s)",
            tail=ending.tail,
            hint="it has as long as training: raise train.timeout in anchored.toml",
        )
    if ending.status:
        raise RefreshFailed(
            f"refresh {ending.in_words}",
            tail=ending.tail,
            hint=f"the command is {command!r}; no run was opened",
        )


def _versioned(tree: Worktree, path: str) -> Pointer:
    place, home = tree.path / path, os.path.realpath(tree.path)
    if not place.exists():
        raise BadInput(path, "is not there after data.refresh")
    links = [p for p in (place, *place.rglob("*")) if p.is_symlink()]
    for link in links:
        if not os.path.realpath(link).startswith(home + os.sep):
            raise BadInput(path, "is or holds a link that leaves the tree that data.refresh ran in")
    # The tree is gone in a moment: what is in it may be linked into the cache.
    return tree.repo.store.add(place, path, tree.repo.report, move=not links)
